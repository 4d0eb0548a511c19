"""What TrainingArguments and TRL's configs refuse of values that do not go together.

Source: `TrainingArguments._validate_args`, the `__post_init__` of TRL 1.16.0's configs.
"""

from collections.abc import Iterator

from scaffolder.frameworks.trl.values import Values
from scaffolder.machine import positions
from scaffolder.project import Finding

STEPS = ("logging", "eval", "save")
TOGETHER = (
    ("fp16", "bf16"),
    ("fp16_full_eval", "bf16_full_eval"),
    ("load_in_4bit", "load_in_8bit"),
)
"""Pairs of which one at most may be true."""
SCHEDULES = ("reduce_lr_on_plateau", "greedy")
"""Those that look at the loss of held-out rows."""


def check(values: Values) -> Iterator[Finding]:
    yield from _steps(values)
    yield from _evaluation(values)
    yield from _together(values)
    yield from _deepspeed(values)
    yield from _lengths(values)


def _steps(values: Values) -> Iterator[Finding]:
    for what in STEPS:
        name, steps = f"{what}_steps", values.number(f"{what}_steps")
        if values.get(f"{what}_strategy") == "steps" and steps and steps > 1 and steps % 1:
            problem = f"{name} is {steps:g}: above 1 it counts steps, below it is a share of them"
            yield values.error(name, problem, "Write a whole number.")


def _evaluation(values: Values) -> Iterator[Finding]:
    """Held-out rows, and what needs them."""
    strategy, kept = values.get("eval_strategy"), values.get("save_strategy")
    if values.evaluates:
        path = values.get("eval_data_path")
        if path is None:
            problem = "eval_strategy is set, and eval_data_path is not"
            remedy = "Add `eval_data_path: training_data.eval.jsonl`."
            yield values.error("eval_strategy", problem, remedy)
        elif isinstance(path, str) and _is_gone(values, path):
            yield values.error("eval_data_path", f"{path} is not there", "Correct the path.")
    elif values.get("lr_scheduler_type") in SCHEDULES:
        problem = "this schedule follows the loss of held-out rows, and eval_strategy is no"
        yield values.error("lr_scheduler_type", problem, "Set eval_strategy, or another one.")
    if not values.truth("load_best_model_at_end") or kept == "best":
        return
    key, remedy = "load_best_model_at_end", "Set both alike, or remove it."
    if (strategy or "no") != kept:
        problem = f"{key} needs an evaluation at each checkpoint: eval_strategy is {strategy}, "
        yield values.error(key, f"{problem}and save_strategy {kept}", remedy)
    elif strategy == "steps" and (each := _multiple(values)):
        yield values.error(key, f"{key} needs {each}", "Correct one of them.")


def _multiple(values: Values) -> str | None:
    saved = values.number("save_steps")
    asked = values.number("eval_steps") or values.number("logging_steps")
    wrong = saved and asked and saved % asked
    return f"save_steps {saved:g} to be a multiple of eval_steps {asked:g}" if wrong else None


def _is_gone(values: Values, path: str) -> bool:
    """Held-out rows are made with the others."""
    folder = values.project.path
    return (folder / "training_data.jsonl").exists() and not (folder / path).exists()


def _together(values: Values) -> Iterator[Finding]:
    for one, other in TOGETHER:
        if values.truth(one) and values.truth(other):
            yield values.error(one, f"{one} and {other} are both true", "Remove one of them.")
    if values.get("dataloader_prefetch_factor") and not values.number("dataloader_num_workers"):
        problem = "rows are fetched ahead only by processes of their own, and there are none"
        remedy = "Set dataloader_num_workers, or remove it."
        yield values.error("dataloader_prefetch_factor", problem, remedy)
    if values.get("log_completions_hub_repo") and not values.truth("log_completions"):
        problem = "log_completions_hub_repo is set, and log_completions is not"
        yield values.error("log_completions_hub_repo", problem, "Set log_completions: true.")
    weights, losses = values.get("loss_weights"), values.get("loss_type")
    count = len(losses) if isinstance(losses, list) else 1
    if isinstance(weights, list) and len(weights) != count:
        problem = f"{len(weights)} loss_weights are given for {count} loss_type(s)"
        yield values.error("loss_weights", problem, "Give one for each.")


def _deepspeed(values: Values) -> Iterator[Finding]:
    file = values.get("deepspeed")
    if isinstance(file, str) and not (values.project.path / file).is_file():
        yield values.error("deepspeed", f"{file} is not there", "Correct the path.")
    if isinstance(file, dict) and "zero_optimization" not in file:
        problem = "deepspeed has no section zero_optimization, which Accelerate asks for"
        yield values.error("deepspeed", problem, "Add it, or remove deepspeed.")


def _lengths(values: Values) -> Iterator[Finding]:
    """More tokens than the model has positions for, where it was never trained, or its engine."""
    names = ("max_prompt_length", "max_completion_length") if values.online else ("max_length",)
    counts = [values.count(name) or 0 for name in names]
    words, longest = " + ".join(names), names[counts.index(max(counts))]
    known = positions(values.get("model_name_or_path"), values.project.path)
    if known and sum(counts) > known:
        problem = f"{words} is {sum(counts)}, and the model has positions for {known} tokens"
        yield values.error(longest, problem, f"Make it at most {known}.")
    if values.online and values.truth("use_vllm"):
        yield from _engine_length(values, known, sum(counts), words)


def _engine_length(values: Values, known: int | None, wanted: int, words: str) -> Iterator[Finding]:
    """vLLM refuses longer prompts, and cuts responses without a word."""
    key = "vllm_max_model_length"
    engine = values.count(key)
    if known and engine and engine > known:
        problem = f"{key} is {engine}, and the model has positions for {known}"
        yield values.error(key, problem, f"Set it to {known} or less.")
    elif engine and engine < wanted and values.get("vllm_mode") != "server":
        problem = f"{words} is {wanted}, and the engine takes {engine} tokens ({key})"
        yield values.error(key, problem, f"Set it to {wanted}, or lower one of the others.")

"""What verl 0.9.1 ignores, finds out after an hour, or waits for without end, before the launch.

Sources: the wheel of 0.9.1, by file where a rule names one. `validate_config` of verl finds few of
these. The rules of online algorithms stand in `online.py`.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder import code
from scaffolder.frameworks.verl import online
from scaffolder.frameworks.verl.values import Values
from scaffolder.numbers import divisors, nearest
from scaffolder.project import Finding, Project, read_text

if TYPE_CHECKING:
    from rl_rollouts.config import Entry

DEAD = {
    "custom_reward_function": "reward.custom_reward_function",
    "reward_model": "reward.reward_model, and reward.reward_manager for a manager",
    "sandbox_fusion": "reward.sandbox_fusion",
}
"""Sections that the trees of 0.9.1 still have and main_ppo never reads, and what is read."""
DATA = ("training_data.jsonl", "training_data.parquet")


def check(project: Project) -> Iterator[Finding]:
    for config in project.configs:
        if config.problem:
            continue
        values = Values(project, config)
        yield from _texts_for_nothing(values, config.entries, "")
        yield from _machines(values)
        yield from _code(values)
        if values.online:
            yield from _dead_sections(values)
            yield from online.check(values)
        else:
            yield from _offline(values)
        if not config.is_smoke:
            yield from _rows(values)
        yield from _resume(values)


def _code(values: Values) -> Iterator[Finding]:
    """Classes and functions that verl loads by path and name, and the reward behind ours."""
    folder = values.project.path
    for section in ("data.custom_cls", "reward.custom_reward_function"):
        path, name = values.get(f"{section}.path"), values.get(f"{section}.name")
        if not path or not isinstance(path, str) or not isinstance(name, str) or ":" in path:
            continue
        problem, at = None, f"{section}.path"
        try:
            problem = code.problem_in(read_text(folder / path), path, name)
            at = f"{section}.name" if problem else at
        except (OSError, ValueError):
            problem = f"{path} is not there"
        if problem:
            yield values.finding("error", at, problem, "Correct the name, or write it.")
    key = "reward.custom_reward_function.reward_kwargs.rewards"
    if values.online and values.get("reward.custom_reward_function.path") == "verl_rewards.py":
        name = values.config.get(key, "rewards:score")  # as verl_rewards.py has it
        problem = code.problem_of(folder, str(name), "score", arguments=4)
        if problem:
            yield values.finding("error", key, problem, "Correct the name, or write it.")


def _texts_for_nothing(
    values: Values, entries: "tuple[Entry, ...]", prefix: str
) -> Iterator[Finding]:
    """`none` is a text to YAML, and a true one: enable_thinking_default: none switches it on."""
    for entry in entries:
        name = prefix + entry.key
        yield from _texts_for_nothing(values, entry.below, f"{name}.")
        if isinstance(entry.value, str) and entry.value.lower() == "none":
            problem = f"{name}: none is a text to YAML, and verl takes any text for true"
            yield values.finding("error", name, problem, "Write null.")


def _machines(values: Values) -> Iterator[Finding]:
    spec, smoke = values.project.spec, values.config.is_smoke
    for name, planned in (
        ("trainer.nnodes", 1 if smoke else spec.nodes),
        ("trainer.n_gpus_per_node", 1 if smoke else spec.gpus_per_node),
    ):
        said = values.number(name)
        if said is not None and said != planned:
            problem = f"{name} is {said}, and {planned} was planned"
            remedy = f"Write {planned}, or render the project for other machines."
            yield values.finding("error" if said > planned else "warning", name, problem, remedy)
    if not smoke and (values.number("trainer.nnodes") or 1) > 1:
        problem = "all machines must see project, model and outputs under the same paths"
        remedy = "Put them on a file system that they share."
        yield values.finding("note", "trainer.default_local_dir", problem, remedy)


def _dead_sections(values: Values) -> Iterator[Finding]:
    """Source: migrate_legacy_reward_impl, which main_ppo does not call (reward_loop.py)."""
    for section, living in DEAD.items():
        if values.config.entry(section) is not None:
            problem = f"{section} is read by nothing in verl 0.9.1, which does not say so"
            yield values.finding("error", section, problem, f"Write it as {living}.")


def _offline(values: Values) -> Iterator[Finding]:
    """SFT: verl floors what does not divide. Source: sft_trainer.py, `_build_dataloader`."""
    batch, dp = values.number("data.train_batch_size"), _data_parallel(values)
    name = "data.enable_thinking_default"
    if values.config.entry(name) is None and values.get(name) == "none":
        problem = f"{name} is the text none by verl's default, which counts as true"
        yield values.finding("error", name, problem, "Set it to null.")
    if batch is not None and batch % dp:
        yield values.finding(
            "error",
            "data.train_batch_size",
            f"{batch} rows per step do not divide over {dp} data-parallel GPUs: verl would train "
            f"on {batch // dp * dp} without a word",
            f"Set it to {nearest(batch, dp)}.",
        )
    elif batch is not None:
        yield from _micro(values, batch // dp)
        planned = values.project.plan.global_batch_size
        if batch != planned and not values.config.is_smoke:
            problem = f"{batch} rows per optimizer step, and {planned} were planned"
            remedy = "Mean it, and scale optim.lr."
            yield values.finding("warning", "data.train_batch_size", problem, remedy)
    reader = values.get("data.custom_cls.path")
    files = values.get("data.train_files")
    if not reader and isinstance(files, str) and not files.endswith(".parquet"):
        problem = "verl reads SFT data from parquet alone, and nested tools there come back changed"
        yield values.finding(
            "error",
            "data.custom_cls.path",
            problem,
            "Set data.custom_cls.path to verl_data.py and data.custom_cls.name to Conversations.",
        )
    if reader and values.get("data.pad_mode") != "no_padding":
        problem = "verl_data.py makes rows without padding"
        yield values.finding("error", "data.pad_mode", problem, "Remove it.")


def _micro(values: Values, per_process: int) -> Iterator[Finding]:
    if values.get("data.use_dynamic_bsz") is not False:
        room, longest = (
            values.number("data.max_token_len_per_gpu"),
            values.number("data.max_length"),
        )
        if room and longest and room < longest:
            name = "data.max_token_len_per_gpu"
            problem = f"{name} is {room}, and one row may have {longest} tokens (data.max_length)"
            yield values.finding("error", name, problem, f"Set it to {longest} or more.")
        return
    micro = values.number("data.micro_batch_size_per_gpu")
    if micro and per_process % micro:
        yield values.finding(
            "error",
            "data.micro_batch_size_per_gpu",
            f"{per_process} rows per GPU do not divide into micro batches of {micro}",
            f"Set it to {max(divisors(per_process, micro))}, or data.use_dynamic_bsz: true.",
        )


def _data_parallel(values: Values) -> int:
    """Processes that see different rows of SFT."""
    if values.megatron:
        names = ("tensor_model_parallel_size", "pipeline_model_parallel_size")
        shared = values.numbers(*(f"engine.{name}" for name in names))
        shared_gpus = shared[0] * shared[1] if shared else 1
    else:
        shared_gpus = values.number("engine.ulysses_sequence_parallel_size") or 1
    return max(1, values.gpus // shared_gpus)


def _rows(values: Values) -> Iterator[Finding]:
    """Held-out rows that are to be followed are there."""
    folder = values.project.path
    data = next((folder / name for name in DATA if (folder / name).is_file()), None)
    if data is None or data.suffix != ".jsonl":
        return
    held_out = data.with_name(f"{data.stem}.eval{data.suffix}")
    follows = (values.number("trainer.test_freq") or 0) > 0
    if follows and (not held_out.is_file() or not _lines(held_out, 1)):
        yield values.finding(
            "warning" if values.online else "error",  # online, they are then not followed
            "trainer.test_freq",
            f"held-out rows are to be followed, and {held_out.name} has none",
            "Prepare with a larger --eval_share, or remove trainer.test_freq.",
        )


def _lines(path: Path, enough: int) -> int:
    """How many lines a file has, up to a number."""
    try:
        with path.open("rb") as file:
            return sum(1 for line in islice(file, enough) if line.strip())
    except OSError:
        return enough


def _resume(values: Values) -> Iterator[Finding]:
    """Source: checkpoint_handler.py and trainer_base.py, which assert it."""
    path = values.get("trainer.resume_from_path")
    if isinstance(path, str) and "global_step_" not in path:
        name = "trainer.resume_from_path"
        problem = f"{name} names no checkpoint of verl: their folders are called global_step_..."
        yield values.finding("error", name, problem, "Give such a folder.")

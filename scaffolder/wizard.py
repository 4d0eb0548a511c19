"""Questions on a terminal: what was not answered yet. Writes no files and knows no Jinja."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from scaffolder import answers as given_answers
from scaffolder import frameworks, rollouts
from scaffolder import spec as specs
from scaffolder.answers import Answers
from scaffolder.errors import UserError
from scaffolder.frameworks import Framework
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE, TRACKERS

TITLES = {
    "sft": "supervised fine-tuning on the best rollouts",
    "dpo": "preferences: better against worse rollout of a task",
    "kto": "good and bad rollouts without pairs",
    "rm": "a reward model",
    "grpo": "online, groups of samples compared",
    "rloo": "online, leave-one-out baseline",
    "ppo": "online, with a critic",
    "reinforce_pp": "online, REINFORCE++",
    "dapo": "GRPO with dynamic sampling",
    "gspo": "GRPO with sequence-level ratios",
    "local": "this machine",
    "slurm": "a Slurm cluster",
    "ray": "a running Ray cluster",
    "kubernetes": "a Kubernetes cluster",
    "full": "all weights",
    "lora": "adapters beside frozen weights, for less memory",
    "qlora": "the same, with the frozen weights in 4 bits",
    "vllm_colocate": "vLLM on the GPUs that train",
    "sglang_colocate": "SGLang on the GPUs that train",
    "vllm_server": "vLLM on GPUs of its own",
    "transformers": "the trainer itself, which is slow",
    "direct": "data in, model out",
    "continuous": "generate, train, generate with the new model, and again",
    "staged": "named stages that can be resumed",
    "scale": "models and clusters beyond one machine",
    "few_gpus": "one or few GPUs with little memory",
    "tools": "tools over several turns in online training",
    "hugging_face": "the Hugging Face ecosystem",
    "readable": "reading and changing all of the trainer",
    "own_system": "a training system of my own, or one that is not open",
    "cpu": "trying the whole path without a GPU",
    "pip": "installation with pip alone",
    "amd": "AMD GPUs",
}
FITS = "  (fits the rollouts)"
SIZES = {
    "nodes": "How many machines?",
    "gpus_per_node": "How many GPUs has one machine?",
    "gpu_memory": "How much memory has one GPU, in GiB?",
    "model": "Which model? (Hugging Face id or local folder)",
}


def ask(directory: str | None, given: Answers) -> tuple[str, Answers]:
    """Ask for every answer that was not given; those that were have been checked.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        EOFError: on Ctrl-D.
    """
    answers = dict(given)
    fitting = ask_rollouts(answers)
    if "framework" not in answers:
        offered = frameworks.discover().items()
        titles = {name: f"{each.title} {each.version}" for name, each in offered}
        answers["framework"] = select("Which framework trains?", titles, rollouts.FIRST_CHOICE)
    _ask_offered(frameworks.get(str(answers["framework"])), answers, fitting)
    ask_sizes(answers, ("gpus_per_node", "gpu_memory", "model"))
    if "tracker" not in answers:
        trackers: dict[str, str] = {name: name for name in TRACKERS}
        answers["tracker"] = select("Where should the loss curve go?", trackers, "tensorboard")
    if directory is None:
        default = given_answers.target(None, answers).name
        directory = text("Which directory?", default, None)
    return directory, answers


def ask_rollouts(answers: Answers) -> str | None:
    """Where they are, if that was not said, and a glance at them; returns what fits them."""
    if "rollouts" not in answers:
        question = "Where are the rollouts? (file or folder)"
        answers["rollouts"] = text(question, str(specs.default("rollouts")), "rollouts")
    return _glance_at(str(answers["rollouts"]))


def ask_sizes(answers: Answers, names: Sequence[str]) -> None:
    """Those of SIZES that were not said."""
    for name in names:
        if name not in answers:
            answers[name] = text(SIZES[name], str(specs.default(name)), name)


def _glance_at(path: str) -> str | None:
    """Say what the rollouts hold, if they are there; returns the algorithm that fits them."""
    if not (Path(path).is_file() or Path(path).is_dir()):
        return None
    try:
        found = rollouts.inspect(path, glance=True)
    except UserError as error:
        print(f"  {error.problem} {error.remedy}")
        return None
    summary = found.summary
    counted = f"{summary['rollouts']:,} rollouts of {summary['tasks']['count']:,} tasks"
    print(f"  {counted} at a glance; `rl-scaffolder inspect` says more:")
    for weight, sentence in found.findings:
        if weight != "note":
            print(f"  {'!' if weight == 'warning' else '+'} {sentence}")
    return found.recommended


def _ask_offered(framework: Framework, answers: Answers, fitting: str | None) -> None:
    """What the framework offers more than one of; a single choice is taken.

    Args:
        fitting: the algorithm that fits the rollouts, offered first.
    """
    questions: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("algorithm", "Which algorithm?", tuple(framework.algorithms)),
        ("topology", "Where are the GPUs?", framework.topologies),
        ("pattern", "Which pattern?", framework.patterns),
        ("tuning", "Which weights are trained?", framework.tunings),
        ("generation", "What generates the responses?", framework.generations),
    )
    for name, question, words in questions:
        if name in answers or not words:
            continue
        if name == "generation" and answers["algorithm"] in OFFLINE:
            continue
        titles = {word: f"{word}: {TITLES[word]}" for word in words}
        default = fitting if fitting in titles else words[0]
        if fitting in titles:
            titles[fitting] += FITS
        answers[name] = select(question, titles, default) if len(words) > 1 else words[0]
    if answers["topology"] != "local":
        ask_sizes(answers, ("nodes",))


def select(question: str, titles: Mapping[str, str], default: str) -> str:
    """Ask for one of several; returns its name."""
    import questionary

    choices = [questionary.Choice(title, value=name) for name, title in titles.items()]
    chosen: str = questionary.select(
        question, choices, default=default if default in titles else None
    ).unsafe_ask()
    return chosen


def text(question: str, default: str, name: str | None) -> str:
    """Ask for a line; an answer with a name is validated while it is typed."""
    import questionary

    def problem(value: str) -> bool | str:
        if name is None:
            return bool(value.strip()) or "must not be empty"
        return specs.problem_with(name, value) or True

    typed: str = questionary.text(question, default=default, validate=problem).unsafe_ask()
    return typed.strip()


def confirm(directory: Path, spec: ProjectSpec, plan: Plan) -> bool:
    """Show what will be written and ask whether to go on."""
    import questionary

    show(directory, spec, plan)
    return bool(questionary.confirm("Write the project?", default=True).unsafe_ask())


def show(directory: Path, spec: ProjectSpec, plan: Plan) -> None:
    """The summary: what was chosen and what follows from it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{spec.project_name} in {directory}")
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in summary(spec, plan):
        table.add_row(name, Text(value))
    console = Console()
    console.print(table)
    for note in plan.notes:
        console.print(Text(f"note: {note}"))


def summary(spec: ProjectSpec, plan: Plan) -> list[tuple[str, str]]:
    """Lines of the summary, as (what, value)."""
    batch = (
        f"{plan.micro_batch_size} per GPU x {plan.accumulation_steps} accumulated "
        f"x {plan.data_parallel} GPU(s) = {plan.global_batch_size}"
    )
    memory = (
        f"about {plan.memory.total:.0f} of {spec.gpu_memory:g} GiB per GPU"
        if plan.memory
        else "not estimated"
    )
    return [
        ("framework", f"{spec.framework} {plan.framework_version}"),
        ("algorithm", f"{spec.algorithm}, on {plan.dataset_kind} data"),
        (
            "where",
            f"{spec.topology}, {spec.nodes} x {spec.gpus_per_node} GPU(s), {_shared(plan)}",
        ),
        ("model", spec.model + ("" if spec.tuning == "full" else f", {spec.tuning}")),
        *([("generation", _generation(plan))] if plan.generation else []),
        ("rollouts", spec.rollouts),
        ("batch", batch),
        ("sequence length", f"{spec.sequence_length} tokens"),
        ("memory", memory),
        ("tracker", spec.tracker),
    ]


def _shared(plan: Plan) -> str:
    if plan.world_size == 1:
        return "one process"
    words = {
        "ddp": "a copy of the model on each",
        "zero2": "gradients and optimizer split over all (ZeRO-2)",
        "zero3": "the model split over all (ZeRO-3)",
        "fsdp2": "the model split over all (FSDP2)",
        "megatron": "each layer split over several (Megatron)",
    }
    return words[plan.sharding]


def _generation(plan: Plan) -> str:
    if plan.generation_gpus:
        return f"vLLM on {plan.generation_gpus} GPU(s) of its own, {plan.world_size} train"
    words = {"vllm_colocate": "vLLM", "sglang_colocate": "SGLang"}
    return (
        f"{words[plan.generation]} on the GPUs that train"
        if plan.generation in words
        else "transformers"
    )


def show_next_steps(directory: Path, *, count: int, plan: Plan) -> None:
    """What was written and the commands that come next."""
    try:
        shown = directory.relative_to(Path.cwd())
    except ValueError:
        shown = directory
    print(f"\nWrote {count} files to {directory}. Next:\n")
    print(f"  cd {shlex.quote(str(shown))}")
    print("  make install    # an environment of its own, with the pinned framework")
    where = "one GPU" if plan.smoke_gpus else "a CPU"
    print(f"  make smoke      # the whole path with a tiny model, on {where}, in minutes")
    print("  make train      # filter, prepare and train on your rollouts")

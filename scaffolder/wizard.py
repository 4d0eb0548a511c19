"""Questions on a terminal: what was not answered yet. Writes no files, and prints nothing else."""

from collections.abc import Callable, Mapping, Sequence

from scaffolder import answers as given_answers
from scaffolder import frameworks, machine, rollouts
from scaffolder import spec as specs
from scaffolder.answers import Answers
from scaffolder.errors import UserError
from scaffolder.frameworks import Framework
from scaffolder.rollouts import Inspection
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
    "environment": "the model calls them; environment.py runs them, and is yours to write",
    "drop": "rows with tools are left out",
    "refuse": "training stops at them, until this is chosen in the config",
}
FITS = "  (fits the rollouts)"
SIZES = {
    "nodes": "How many machines?",
    "gpus_per_node": "How many GPUs has one machine?",
    "gpu_memory": "How much memory has one GPU, in GiB?",
    "model": "Which model? (Hugging Face id or local folder)",
}

Tell = Callable[[Inspection | UserError], None]
"""Says what a glance at the rollouts found, or why they cannot be read."""


def ask(directory: str | None, given: Answers, tell: Tell) -> tuple[str, Answers]:
    """Ask for every answer that was not given; those that were have been checked.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        EOFError: on Ctrl-D.
    """
    answers = dict(given)
    fitting = ask_rollouts(answers, tell)
    if "framework" not in answers:
        offered = frameworks.discover().items()
        titles = {name: f"{each.title} {each.version}" for name, each in offered}
        answers["framework"] = select("Which framework trains?", titles, frameworks.usual(titles))
    _ask_offered(frameworks.get(str(answers["framework"])), answers, fitting)
    _ask_about_tools(answers)
    ask_sizes(answers, ("gpus_per_node", "gpu_memory", "model"))
    if "tracker" not in answers:
        trackers: dict[str, str] = {name: name for name in TRACKERS}
        answers["tracker"] = select("Where should the loss curve go?", trackers, "tensorboard")
    if directory is None:
        default = given_answers.target(None, answers).name
        directory = text("Which directory?", default, None)
    return directory, answers


def ask_rollouts(answers: Answers, tell: Tell) -> str | None:
    """Where they are, if that was not said, and a glance at them; returns what fits them."""
    if "rollouts" not in answers:
        question = "Where are the rollouts? (file or folder)"
        answers["rollouts"] = text(question, str(specs.default("rollouts")), "rollouts")
    return _glance_at(str(answers["rollouts"]), str(answers.get("keys") or ""), tell)


def ask_sizes(answers: Answers, names: Sequence[str]) -> None:
    """Those of SIZES that were not said."""
    for name in names:
        if name not in answers:
            answers[name] = text(SIZES[name], str(specs.default(name)), name)


def _glance_at(path: str, keys: str, tell: Tell) -> str | None:
    """Look at the rollouts, if they are there; returns the algorithm that fits them."""
    there = machine.found(path)
    if not (there and (there.is_file() or there.is_dir())):
        return None
    try:
        found = rollouts.glance(str(there), keys)
    except UserError as error:
        tell(error)
        return None
    tell(found)
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


def _ask_about_tools(answers: Answers) -> None:
    """What becomes of rows with tools, where the rollouts have some."""
    if found := rollouts.tools_to_choose(answers):
        with_tools, ways = found
        titles: dict[str, str] = {way: f"{way}: {TITLES[way]}" for way in ways}
        question = f"{with_tools:,} prompts have tools. What becomes of them?"
        answers["rows_with_tools"] = select(question, titles, ways[0])


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


def confirm() -> bool:
    """Whether to go on, after the summary was shown."""
    import questionary

    return bool(questionary.confirm("Write the project?", default=True).unsafe_ask())

"""Questions of `compare` on a terminal: what there is, and what matters."""

from collections.abc import Sequence

from scaffolder import frameworks, wizard
from scaffolder.answers import Answers
from scaffolder.vocabulary import ALGORITHMS, TOPOLOGIES, WISHES, Wish

UNDECIDED = "not decided"


def ask(
    given: Answers, wishes: Sequence[Wish], tell: wizard.Tell
) -> tuple[Answers, tuple[Wish, ...], str | None]:
    """Ask for what was not given.

    Returns:
        The answers, the wishes, and the algorithm that fits the rollouts, if they are there.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        EOFError: on Ctrl-D.
    """
    answers = dict(given)
    fitting = wizard.ask_rollouts(answers, tell)
    if "algorithm" not in answers:
        chosen = _algorithm(fitting)
        answers |= {} if chosen == UNDECIDED else {"algorithm": chosen}
    if "topology" not in answers:
        places: dict[str, str] = {word: f"{word}: {wizard.TITLES[word]}" for word in TOPOLOGIES}
        answers["topology"] = wizard.select("Where are the GPUs?", places, TOPOLOGIES[0])
    wizard.ask_sizes(answers, ("nodes", "gpus_per_node", "gpu_memory", "model"))
    return answers, tuple(wishes) or _wishes(), fitting


def _algorithm(fitting: str | None) -> str:
    offered = {name for each in frameworks.discover().values() for name in each.algorithms}
    words = [word for word in ALGORITHMS if word in offered]
    titles = {UNDECIDED: f"{UNDECIDED}: show what each framework can do"}
    titles |= {word: f"{word}: {wizard.TITLES[word]}" for word in words}
    default = fitting if fitting in words else UNDECIDED
    titles[default] += wizard.FITS if fitting in words else ""
    return wizard.select("Which algorithm?", titles, default)


def _wishes() -> tuple[Wish, ...]:
    import questionary

    choices = [questionary.Choice(f"{word}: {wizard.TITLES[word]}", value=word) for word in WISHES]
    ticked: list[Wish] = questionary.checkbox(
        "What matters to you?",
        choices,
        instruction="(space ticks, enter goes on)",
    ).unsafe_ask()
    return tuple(ticked)

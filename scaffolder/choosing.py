"""Questions of `compare` on a terminal: what there is, and what matters."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from scaffolder import frameworks
from scaffolder.answers import Answers
from scaffolder.conversation import BACK, MORE, GoBack, chosen_with_keys
from scaffolder.explained import ANSWERS
from scaffolder.vocabulary import ALGORITHMS, TOPOLOGIES, WISHES, WORDS, Wish
from scaffolder.wizard import SIZES, AboutRollouts, Tell

UNDECIDED = "not decided"


class Choosing(AboutRollouts):
    """Asks for what was not given."""

    def __init__(self, given: Answers, wishes: Sequence[Wish], tell: Tell) -> None:
        super().__init__(given, tell)
        self._wishes = tuple(wishes)

    @property
    def wishes(self) -> tuple[Wish, ...]:
        return self._wishes or self.replies.get("wishes", ())

    @property
    def answers(self) -> Answers:
        known = super().answers
        return {name: value for name, value in known.items() if value != UNDECIDED}

    def order(self) -> Iterator[str]:
        for name in ("rollouts", "algorithm", "topology", *SIZES):
            if name not in self.given:
                yield name
        if not self._wishes:
            yield "wishes"

    def put(self, name: str) -> Any:
        if name == "rollouts":
            return self.ask_rollouts()
        if name == "algorithm":
            return self._ask_algorithm()
        if name == "topology":
            return self.ask_word(name, TOPOLOGIES, TOPOLOGIES[0])
        return self._ask_wishes() if name == "wishes" else self.ask_line(name)

    def _ask_algorithm(self) -> str:
        offered = {name for each in frameworks.discover().values() for name in each.algorithms}
        words = [word for word in ALGORITHMS if word in offered]
        first = self.fitting if self.fitting in words else UNDECIDED
        return self.ask_word("algorithm", [UNDECIDED, *words], str(first))

    def _ask_wishes(self) -> tuple[Wish, ...]:
        import questionary

        about = ANSWERS["wishes"]
        choices = [questionary.Choice(f"{word}: {WORDS[word]}", value=word) for word in WISHES]
        while True:
            words = "(space ticks, enter goes on)"
            asked = questionary.checkbox(about.asks, choices, instruction=words)
            ticked: list[Wish] | str = chosen_with_keys(asked, BACK, MORE)
            if ticked == BACK:
                raise GoBack
            if ticked != MORE:
                return tuple(cast("list[Wish]", ticked))
            self.say(about.more)

"""Questions on a terminal, one after the other, with a way back to the one before."""

import shutil
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from scaffolder.explained import ANSWERS

if TYPE_CHECKING:
    from questionary import Question

BACK, MORE = "<", "?"
KEYS = "Enter takes what is in [brackets]; < goes back, ? explains, Ctrl-C stops."

Say = Callable[[str], None]
Judge = Callable[[str], str | None]
"""Why an answer cannot be used; None when it can."""


class GoBack(Exception):
    """The question before is wanted."""


class Conversation(ABC):
    """Asks until all is answered; what was said is known at every moment."""

    def __init__(self, say: Say) -> None:
        self.replies: dict[str, Any] = {}
        """By the names of questions, in the order in which they were asked."""
        self.before: dict[str, Any] = {}
        """What was said before somebody went back."""
        self._say, self._begun = say, False

    @abstractmethod
    def order(self) -> Iterable[str]:
        """Names of the questions, as far as they follow from the answers so far."""

    @abstractmethod
    def put(self, name: str) -> Any:
        """Ask one.

        Raises:
            GoBack
        """

    def ask(self) -> None:
        """Put every question that has no answer yet.

        Raises:
            KeyboardInterrupt: on Ctrl-C.
            EOFError: on Ctrl-D.
        """
        while open_ := [name for name in self.order() if name not in self.replies]:
            if not self._begun:
                self._begun = True
                self.say(KEYS)
            try:
                self.replies[open_[0]] = self.put(open_[0])
            except GoBack:
                self.back()

    def back(self, name: str | None = None) -> None:
        """Take back the last answer, or one and all that were given after it."""
        if not self.replies:
            self.say("This is the first question.")
            return
        names = list(self.replies)
        for each in names[names.index(name) if name else -1 :]:
            self.before[each] = self.replies.pop(each)

    def change(self) -> None:
        """Ask which answer is to be another one, and take it back."""
        said = {name: f"{ANSWERS[name].asks} {value}" for name, value in self.replies.items()}
        last = list(said)[-1]
        try:
            self.back(self.select("Which answer is to be another one?", said, last, ""))
        except GoBack:
            self.back()

    def say(self, text: str) -> None:
        """Something between two questions."""
        self._say(text)

    def text(self, question: str, default: str, more: str, judge: Judge) -> str:
        """Ask for a line. The default is taken on Enter, and replaced by what is typed."""
        while True:
            typed = _typed(f"{question} [{default}]" if default else question)
            if typed == BACK:
                raise GoBack
            if typed == MORE:
                self.say(more)
                continue
            problem = judge(typed or default)
            if problem is None:
                return typed or default
            self.say(f"! {problem}")

    def select(
        self,
        question: str,
        titles: Mapping[str, str],
        default: str,
        more: str,
        *,
        fleeting: bool = False,
    ) -> str:
        """Ask for one of several; returns its name.

        Args:
            fleeting: whether nothing is left of it on the screen.
        """
        import questionary

        choices = [questionary.Choice(title, value=name) for name, title in titles.items()]
        while True:
            first = default if default in titles else None
            asked = questionary.select(question, choices, default=first)
            asked.application.erase_when_done = True
            chosen = str(chosen_with_keys(asked, BACK, MORE))
            if chosen == BACK:
                raise GoBack
            if chosen != MORE:
                break
            self.say(more)
        if not fleeting:
            _leave_behind(question, titles[chosen])
        return chosen


def _leave_behind(question: str, answer: str) -> None:
    """A question and its answer, on one line of the terminal."""
    from prompt_toolkit import print_formatted_text
    from prompt_toolkit.formatted_text import FormattedText
    from questionary.constants import DEFAULT_STYLE

    room = shutil.get_terminal_size((80, 24)).columns - len(f"? {question} ")
    said = textwrap.shorten(answer, max(room, 20), placeholder=" ...")
    words = [("class:qmark", "?"), ("class:question", f" {question} "), ("class:answer", said)]
    print_formatted_text(FormattedText(words), style=DEFAULT_STYLE)


def _typed(question: str) -> str:
    import questionary

    typed: str = questionary.text(question).unsafe_ask()
    return typed.strip()


def chosen_with_keys(asked: "Question", *keys: str) -> Any:
    """Ask with arrows, where other keys end the question too and are what it returns then."""
    from prompt_toolkit.key_binding import KeyBindings

    bindings = asked.application.key_bindings
    assert isinstance(bindings, KeyBindings)
    for key in keys:
        bindings.add(key, eager=True)(_leave(key))
    bindings.add("c-d", eager=True)(lambda event: event.app.exit(exception=EOFError))
    chosen = asked.unsafe_ask()
    if chosen in keys:
        _drop_enter(asked.application.input)
    return chosen


def _leave(key: str) -> Callable[[Any], None]:
    def leave(event: Any) -> None:
        event.app.erase_when_done = True
        event.app.exit(result=key)

    return leave


def _drop_enter(terminal: Any) -> None:
    """Who typed Enter after such a key did not answer the next question with it."""
    from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead

    waiting = get_typeahead(terminal)
    enter = bool(waiting) and waiting[0].data in {"\r", "\n"}
    store_typeahead(terminal, waiting[enter:])

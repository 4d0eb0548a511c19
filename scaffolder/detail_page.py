"""The page of the wizard on which learning rate, lengths and the like can be changed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from scaffolder.answers import Answers
from scaffolder.conversation import Conversation, GoBack
from scaffolder.errors import UserError
from scaffolder.explained import ANSWERS
from scaffolder.resolving import Resolved
from scaffolder.spec import DETAILS
from scaffolder.vocabulary import LOSSES, SCHEDULERS, WORDS

PLANNED = ("epochs", "global_batch_size", "sequence_length")
SAMPLED = ("num_generations", "completion_length", "thinking")
"""Of algorithms that generate."""
CHOICES: Mapping[str, Sequence[str]] = {"scheduler": SCHEDULERS, "loss": LOSSES}
NO = "no"


class DetailPage:
    """What is usual, with its values; what is chosen of it is asked for."""

    def __init__(self, talk: Conversation, resolved: Callable[[Answers], Resolved]) -> None:
        self.changed: Answers = {}
        self._talk, self._resolved = talk, resolved

    def ask(self, others: Answers) -> str:
        """Show it until nothing more is to be changed.

        Args:
            others: all other answers.

        Raises:
            UserError: when they make no plan, which has the values.
            GoBack
        """
        about = ANSWERS["details"]
        self._drop(others)
        while True:
            values = _changeable(self._resolved(others | self.changed))
            titles = {name: _row(name, value) for name, value in values.items()}
            titles = {NO: f"{NO}: go on", **titles}
            name = self._talk.select(about.asks, titles, NO, about.more, fleeting=True)
            if name == NO:
                return NO
            try:
                self._change(name, _shown(values[name]), others)
            except GoBack:
                continue

    def _drop(self, others: Answers) -> None:
        """What was changed earlier, and other answers leave no room for now."""
        there = _changeable(self._resolved(others))
        self.changed = {name: self.changed[name] for name in self.changed if name in there}
        try:
            self._resolved(others | self.changed)
        except UserError as error:
            self._talk.say(f"! {_in_words(error)}; what was changed is as usual again")
            self.changed = {}

    def _change(self, name: str, now: str, others: Answers) -> None:
        about = ANSWERS[name]
        question = f"{name}: {about.short.rstrip('.')}?"
        judge = partial(self._problem_with, name, others)
        if name in CHOICES:
            titles = {word: f"{word}: {WORDS[word]}" for word in CHOICES[name]}
            value = self._talk.select(question, titles, now, about.more)
            if problem := judge(value):
                self._talk.say(f"! {problem}")
                return
        else:
            value = self._talk.text(question, now, about.more, judge)
        if value != now:
            self.changed[name] = value

    def _problem_with(self, name: str, others: Answers, value: str) -> str | None:
        """Why it cannot be this beside all else."""
        try:
            self._resolved(others | self.changed | {name: value})
        except UserError as error:
            return _in_words(error)
        return None


def _in_words(error: UserError) -> str:
    return "; ".join(error.reasons or [error.problem])


def _changeable(resolved: Resolved) -> Answers:
    """What the page shows, and its values."""
    spec, plan = resolved.spec, resolved.plan
    values: Answers = {name: getattr(spec, name) for name in PLANNED}
    values["global_batch_size"] = plan.global_batch_size
    if plan.generation:
        values |= {name: getattr(spec, name) for name in SAMPLED}
    details = {name: getattr(plan.training, name) for name in DETAILS}
    return values | {name: value for name, value in details.items() if value is not None}


def _row(name: str, value: Any) -> str:
    return f"{name:<18}{_shown(value):<10}{ANSWERS[name].short}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

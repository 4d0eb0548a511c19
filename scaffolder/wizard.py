"""The questions of `new` on a terminal. Writes no files, and prints nothing by itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from scaffolder import answers as given_answers
from scaffolder import frameworks, resolving, rollouts
from scaffolder import spec as specs
from scaffolder.answers import Answers
from scaffolder.conversation import Conversation, Judge
from scaffolder.detail_page import DetailPage
from scaffolder.errors import UserError
from scaffolder.explained import ANSWERS
from scaffolder.resolving import Resolved
from scaffolder.rollouts import Inspection
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import TRACKERS, WORDS

FITS = "  (fits the rollouts)"
OFFERED = ("algorithm", "topology", "pattern", "tuning", "generation")
"""Answers of which a framework has a list."""
TOOLS = "rows_with_tools"
SIZES = ("nodes", "gpus_per_node", "gpu_memory", "model")

Tell = Callable[[Inspection | UserError | str], None]
"""Says what a glance at the rollouts found, why they cannot be read, or a sentence."""


def judge_of(name: str) -> Judge:
    return lambda value: specs.problem_with(name, value)


class AboutRollouts(Conversation):
    """What every conversation about rollouts asks."""

    def __init__(self, given: Answers, tell: Tell) -> None:
        super().__init__(tell)
        self.given = dict(given)
        """Never asked; those that were given have been checked."""
        self.tell = tell
        self.found: Inspection | None = None
        """At a glance."""

    def ask(self) -> None:
        if "rollouts" in self.given and not self.replies:
            self._glance(str(self.given["rollouts"]))
        super().ask()

    @property
    def answers(self) -> Answers:
        """All so far."""
        known = self.given | self.replies
        return {name: known[name] for name in known if name in ProjectSpec.model_fields}

    @property
    def fitting(self) -> str | None:
        """The algorithm that fits the rollouts."""
        return self.found.recommended if self.found else None

    def default(self, name: str) -> str:
        return str(self.before.get(name, specs.default(name)))

    def ask_rollouts(self) -> str:
        """Where they are; a path without any is said to be one, and taken when it is said again."""
        about, said, default = ANSWERS["rollouts"], "", self.default("rollouts")
        while True:
            path = self.text(about.asks, default, about.more, judge_of("rollouts"))
            if path == said or self._glance(path):
                return path
            self.say("Enter goes on with it all the same; or type another path.")
            said = default = path

    def _glance(self, path: str) -> bool:
        """Look at the rollouts, and say what is found; whether there are any."""
        found = rollouts.look(path, str(self.given.get("keys") or ""))
        self.tell(found)
        self.found = found if isinstance(found, Inspection) else None
        return self.found is not None

    def ask_line(self, name: str) -> str:
        about = ANSWERS[name]
        return self.text(about.asks, self.default(name), about.more, judge_of(name))

    def ask_word(self, name: str, words: Iterable[str], first: str) -> str:
        """One of several words, with what each means."""
        titles = {word: f"{word}: {WORDS[word]}" if word in WORDS else word for word in words}
        if name == "algorithm" and self.fitting in titles:
            titles[self.fitting] += FITS
        default = str(self.before.get(name, first))
        return self.select(ANSWERS[name].asks, titles, default, ANSWERS[name].more)


class Wizard(AboutRollouts):
    """Asks for every answer of a project that was not given."""

    def __init__(self, directory: str | None, given: Answers, tell: Tell) -> None:
        super().__init__(given, tell)
        self._directory = directory
        self._page = DetailPage(self, self._resolved)

    @property
    def directory(self) -> str | None:
        return self._directory or self.replies.get("directory")

    @property
    def answers(self) -> Answers:
        return self._others() | self._page.changed

    def _others(self) -> Answers:
        """Without what the page changed; with what there is no choice of."""
        known = super().answers
        if "framework" not in known:
            return known
        offered = frameworks.get(str(known["framework"])).offered(str(known.get("algorithm")))
        single = {name: offered[name][0] for name in OFFERED if len(offered[name]) == 1}
        return single | known

    def order(self) -> Iterator[str]:
        wanted = (
            "rollouts",
            "framework",
            *OFFERED,
            TOOLS,
            *SIZES,
            "tracker",
            "directory",
            "details",
        )
        for name in wanted:
            if name == "directory" and self._directory is not None:
                continue
            if name == TOOLS and self._rows_with_tools() is None:
                continue
            if name not in self.given and not (name in OFFERED and self._is_settled(name)):
                yield name

    def _is_settled(self, name: str) -> bool:
        """Whether there is nothing to choose; only known once there is a framework."""
        return "framework" in self.answers and len(self._offered(name)) < 2

    def _offered(self, name: str) -> tuple[str, ...]:
        framework = frameworks.get(str(self.answers["framework"]))
        return tuple(framework.offered(str(self.answers.get("algorithm")))[name])

    def put(self, name: str) -> Any:
        own = {
            "rollouts": self.ask_rollouts,
            "framework": self._ask_framework,
            TOOLS: self._ask_about_tools,
            "directory": self._ask_directory,
        }
        if name in own:
            return own[name]()
        if name in OFFERED:
            return self._ask_offered(name)
        if name == "tracker":
            return self.ask_word(name, TRACKERS, self.default(name))
        return self._page.ask(self._others()) if name == "details" else self.ask_line(name)

    def _ask_framework(self) -> str:
        offered = frameworks.discover()
        titles = {name: f"{each.title} {each.version}" for name, each in offered.items()}
        default = str(self.before.get("framework", frameworks.usual(titles)))
        about = ANSWERS["framework"]
        return self.select(about.asks, titles, default, about.more)

    def _ask_offered(self, name: str) -> str:
        words = self._offered(name)
        fits = name == "algorithm" and self.fitting in words
        return self.ask_word(name, words, str(self.fitting) if fits else words[0])

    def _rows_with_tools(self) -> tuple[int, Sequence[str]] | None:
        """How many rows have tools, and what may become of them, where that has to be chosen."""
        known = {name: value for name, value in self.answers.items() if name != TOOLS}
        return rollouts.tools_to_choose(known) if {"framework", "algorithm"} <= set(known) else None

    def _ask_about_tools(self) -> str:
        found = self._rows_with_tools()
        assert found is not None
        with_tools, ways = found
        self.say(f"{with_tools:,} prompts have tools.")
        return self.ask_word(TOOLS, ways, ways[0])

    def _ask_directory(self) -> str:
        about, answers = ANSWERS["directory"], self.answers
        default = str(self.before.get("directory", given_answers.target(None, answers).name))
        return self.text(
            about.asks,
            default,
            about.more,
            lambda value: resolving.directory_problem(value, answers),
        )

    def resolved(self) -> Resolved:
        """What follows from the answers.

        Raises:
            UserError
        """
        return self._resolved(self.answers)

    def _resolved(self, answers: Answers) -> Resolved:
        return resolving.resolve(self.directory, answers)

    def confirm(self) -> bool:
        """Whether to go on, after the summary was shown."""
        about = ANSWERS["write"]
        said = self.text(about.asks, "yes", about.more, _judge_confirmation)
        return said.lower().startswith("y")


def _judge_confirmation(value: str) -> str | None:
    return None if value.lower() in {"y", "yes", "n", "no"} else "yes or no"

"""Mutations of a project, judged by the framework itself and by `rl-scaffolder check`.

A framework's `judging.py` says what it refuses, and its `test_mutations.py` which projects; the
share that `check` finds stands in the table of contracts, with what it does not find.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from contracts.mutations import (
    Added,
    Mutation,
    harmless,
    of_a_key,
    of_a_script,
    of_a_value,
    of_the_syntax,
    other,
)
from contracts.rendering import Variant, write
from scaffolder.check import check
from scaffolder.project import Finding
from scaffolder.schema import Key, Schema

Judge = Callable[[Variant, Path, str], str | None]
"""Why the framework refuses a file of a project in a folder, by its name; None: it takes it."""
GOAL = 0.99
"""Share of what a framework refuses that `check` has to find."""
SEED = os.environ.get("MUTATIONS_SEED", "1")
"""Another one makes other changes."""


@dataclass
class Tally:
    """What became of many mutations."""

    refused: int = 0
    """By the framework."""
    harmless: int = 0
    missed: list[str] = field(default_factory=list)
    """Refused by the framework, and no error of `check`."""
    false: list[str] = field(default_factory=list)
    """Harmless, and an error or a warning of `check`."""

    @property
    def share(self) -> float:
        return 1 - len(self.missed) / max(1, self.refused)

    def __add__(self, more: "Tally") -> "Tally":
        return Tally(
            self.refused + more.refused,
            self.harmless + more.harmless,
            self.missed + more.missed,
            self.false + more.false,
        )

    def words(self) -> str:
        """For the table of contracts."""
        found = self.refused - len(self.missed)
        said = (
            f"check finds {found} of {self.refused} mutations that are refused ({self.share:.1%})"
        )
        said += f", and says {len(self.false)} wrong thing(s) of {self.harmless} that are harmless"
        listed = [f"not found: {each}" for each in self.missed]
        listed += [f"wrong: {each}" for each in self.false]
        return "\n".join([said, *(" ".join(each.split()) for each in listed)])


class Torture:
    """One project, changed and judged again and again."""

    def __init__(self, variant: Variant, folder: Path, schema: Schema) -> None:
        self.variant, self.folder = variant, folder
        self.chance = random.Random(f"{SEED} {variant}")
        write(variant, folder)
        (folder / "training_data.jsonl").write_text("{}\n" * 2000)
        (folder / "training_data.eval.jsonl").write_text("{}\n" * 8)
        self.schema = schema
        self.clean = self.heavy()
        self.files = {
            name: (folder / name).read_text("utf-8")
            for name in sorted(
                path.relative_to(folder).as_posix()
                for pattern in ("*.yaml", "launch/*.sh")
                for path in folder.glob(pattern)
            )
        }

    def heavy(self) -> list[Finding]:
        return [each for each in check(self.folder) if each.weight != "note"]

    def broken(self, count: int) -> Iterator[Mutation]:
        """Mutations of every file in turn."""
        names = list(self.files)
        for turn in range(count):
            name = names[turn % len(names)]
            text = self.files[name]
            if name.endswith(".sh"):
                yield Mutation(name, *of_a_script(text, self.chance))
                continue
            added = Added(self.keys(name))
            ways = (of_a_key, of_a_value, of_a_value, of_a_value, of_the_syntax, added, added)
            yield Mutation(name, *self.chance.choice(ways)(text, self.chance))

    def keys(self, name: str) -> Mapping[str, Key]:
        return self.schema.keys(name) or self.schema.keys(self.variant.spec.algorithm)

    def same(self, count: int) -> Iterator[Mutation]:
        names = [name for name in self.files if name.endswith(".yaml")]
        for turn in range(count):
            name = names[turn % len(names)]
            text = self.files[name]
            if self.chance.random() < 0.4:
                yield Mutation(name, *other(text, self.keys(name), self.chance))
            else:
                yield Mutation(name, *harmless(text, self.chance))

    def run(self, judge: Judge, tally: Tally, broken: int, same: int) -> None:
        """Judge so many, and count."""
        assert not self.clean, f"{self.variant}: {self.clean}"
        for name in self.files:
            reason = judge(self.variant, self.folder, name)
            assert reason is None, f"{self.variant} {name}: {reason}"
        for mutation in self.broken(broken):
            reason, found = self.judged(judge, mutation)
            if reason is None:
                continue
            tally.refused += 1
            if not any(each.weight == "error" for each in found):
                tally.missed.append(f"{self.variant} {mutation.file} {mutation.what}: {reason}")
        for mutation in self.same(same):
            reason, found = self.judged(judge, mutation)
            tally.harmless += 1
            assert reason is None, f"not harmless: {mutation.file} {mutation.what}: {reason}"
            if found:
                said = "; ".join(each.problem for each in found)
                tally.false.append(f"{self.variant} {mutation.file} {mutation.what}: {said}")

    def judged(self, judge: Judge, mutation: Mutation) -> tuple[str | None, list[Finding]]:
        path = self.folder / mutation.file
        path.write_text(mutation.text, "utf-8")
        try:
            found = self.heavy()  # before the framework leaves a run in the output folder
            return judge(self.variant, self.folder, mutation.file), found
        finally:
            path.write_text(self.files[mutation.file], "utf-8")


def tortured(one: Callable[..., Tally], cases: Sequence[tuple[Any, ...]]) -> Tally:
    """Several projects, two at a time, each in a process of its own.

    What frameworks do to their process while they refuse (loggers, variables, open files) is then
    nobody else's.
    """
    spawn = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, max_tasks_per_child=1) as pool:
        return sum((each.result() for each in [pool.submit(one, *case) for case in cases]), Tally())

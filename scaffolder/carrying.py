"""What an owner had changed in the config of one framework, taken over into another's.

Keys are compared by what they mean (`scaffolder/meaning.py`). What is an answer is answered anew,
so that batches and memory are planned with it; the rest is written into the new config.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder import frameworks
from scaffolder import spec as specs
from scaffolder.check.values import judge
from scaffolder.errors import NotCommitted, UserError
from scaffolder.plan import Plan
from scaffolder.project import Config, read_config
from scaffolder.saved import Saved
from scaffolder.spec import ProjectSpec
from scaffolder.yaml_lines import write

if TYPE_CHECKING:
    from rl_rollouts.config import Entry

REMOVED = "(removed)"
"""In place of the value of a key that the owner took out."""


@dataclass(frozen=True)
class Carried:
    """One edit of the owner's, and where it is now."""

    key: str
    """In the config that is gone; several where they say one thing together."""
    value: Any
    to: str | None = None
    """In the new one; None where it has no counterpart."""
    why: str = ""
    """Why it has none, where there is more to say."""


@dataclass(frozen=True)
class Edit:
    """An edit by what it means."""

    meaning: str
    key: str
    value: Any
    """The common one."""
    said: Any
    """As the owner wrote it."""


@dataclass(frozen=True)
class Carrying:
    """The choices with what is an answer, and what is to be written."""

    spec: ProjectSpec
    plan: Plan
    edits: tuple[Edit, ...] = ()
    others: tuple[Carried, ...] = ()
    """What has no counterpart, whatever the new config has."""

    def write(self, folder: Path) -> tuple[Carried, ...]:
        """Write what no template does into the new project's config; all edits, those first that
        are taken over."""
        found = [*self.others, *(self._written(each, folder) for each in self.edits)]
        return tuple(sorted(found, key=lambda each: (each.to is None, each.key)))

    def _written(self, edit: Edit, folder: Path) -> Carried:
        adapter, file = frameworks.get(self.spec.framework), f"{self.spec.framework}_config.yaml"
        meant = adapter.meanings(self.spec, self.plan)[edit.meaning]
        carried = Carried(edit.key, edit.said, meant.shown)
        if edit.meaning in ProjectSpec.model_fields:
            return carried
        config, schema = read_config(folder, file), adapter.schema()
        name = adapter.schema_name(config, self.spec.algorithm)
        key, value = schema.key(name, meant.keys[0]) if schema else None, meant.written(edit.value)
        if value is None or (key and judge(key, value)):
            return replace(carried, to=None, why=f"{meant.shown} has no such value")
        write(folder / file, config.entries, meant.keys[0], value)
        return carried


def find(
    saved: Saved, rendered: Path, spec: ProjectSpec, plan: Plan, given: Collection[str]
) -> Carrying:
    """What is to be taken over.

    Args:
        rendered: the project as its templates rendered it.
        spec: as it is to be, without the edits.
        given: answers that were given now: they win.

    Raises:
        NotCommitted: when the project's config cannot be read.
    """
    file = f"{saved.spec.framework}_config.yaml"
    base, now = read_config(rendered, file), read_config(saved.path, file)
    if not (saved.path / file).exists():
        gone = Carried(file, REMOVED, why="what you changed in it stands nowhere that is known")
        return Carrying(spec, plan, others=(gone,))
    if now.problem:
        why = f"{file} {now.problem.problem}, and what you changed in it could not be taken over"
        raise NotCommitted(saved.path, why, "Mend it and commit, then update again.")
    old = frameworks.get(saved.spec.framework).meanings(saved.spec, saved.plan)
    new = frameworks.get(spec.framework).meanings(spec, plan)
    edits: list[Edit] = []
    settled: set[str] = set()
    for meaning, meant in old.items():
        value = meant.read(now)
        if value is None or value == meant.read(base):
            continue
        if meaning in given:
            settled.update(meant.keys)
        elif meaning in new:
            settled.update(meant.keys)
            said = now.get(meant.keys[0]) if len(meant.keys) == 1 else value
            edits.append(Edit(meaning, meant.shown, value, said))
    others = [Carried(key, value) for key, value in _changed(base, now) if key not in settled]
    return _planned(Carrying(spec, plan, tuple(edits), tuple(others)))


def _changed(base: Config, now: Config) -> Iterator[tuple[str, Any]]:
    """Keys with no key below whose values the owner wrote, or removed."""
    before, there = dict(_leaves(base.entries)), dict(_leaves(now.entries))
    yield from ((key, REMOVED) for key in before if key not in there)
    for key, value in there.items():
        if key not in before or before[key] != value:
            yield key, value


def _leaves(entries: "Collection[Entry]", above: str = "") -> Iterator[tuple[str, Any]]:
    for entry in entries:
        if entry.below:
            yield from _leaves(entry.below, f"{above}{entry.key}.")
        else:
            yield above + entry.key, entry.value


def _planned(carrying: Carrying) -> Carrying:
    """Planned with all answers; where they cannot be, with each that can."""
    answers = {
        each.meaning: each.value
        for each in carrying.edits
        if each.meaning in ProjectSpec.model_fields
    }
    try:
        return replace(carrying, **_plan(carrying.spec, answers))
    except UserError:
        pass
    for edit in carrying.edits:
        if edit.meaning in answers:
            try:
                carrying = replace(carrying, **_plan(carrying.spec, {edit.meaning: edit.value}))
            except UserError as error:
                lost = Carried(edit.key, edit.said, why=(error.reasons or [error.problem])[0])
                kept = tuple(each for each in carrying.edits if each is not edit)
                carrying = replace(carrying, edits=kept, others=(*carrying.others, lost))
    return carrying


def _plan(spec: ProjectSpec, answers: Mapping[str, Any]) -> dict[str, Any]:
    changed = specs.build({**spec.model_dump(), **answers})
    return {"spec": changed, "plan": frameworks.resolve(changed).plan(changed)}

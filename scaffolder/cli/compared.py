"""How a comparison is shown: criterion by criterion, a verdict for each framework, JSON.

Facts carry the number of a footnote, which has their source and date.
"""

import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaffolder.candidates import Candidate, Judgement
    from scaffolder.compare import Comparison
    from scaffolder.criteria import Row
    from scaffolder.frameworks import Fact, Framework
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec

COVERS = "Compared are the frameworks that this version of rl-scaffolder renders."
SIGNS = {2: "+", 1: "~", 0: "-", None: "?"}
GRADES = {2: "", 1: "in part: ", 0: "no: ", None: ""}
PLANNED = {
    "world_size",
    "sharding",
    "generation",
    "generation_gpus",
    "container",
    "global_batch_size",
    "micro_batch_size",
    "accumulation_steps",
    "notes",
}


Offers = dict[str, list[tuple[str, str]]]
"""By framework: what fits in words, and the command that makes it."""


class Footnotes:
    """Sources and dates, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], int] = {}

    def cite(self, fact: "Fact") -> str:
        """The fact and the number of its footnote."""
        number = self.numbers.setdefault((fact.source, fact.date), len(self.numbers) + 1)
        return f"{fact.value} [{number}]"

    def show(self) -> None:
        print()
        for (source, date), number in self.numbers.items():
            _say(f"[{number}] {source}, {date}", indent=4)
        print(COVERS)


def show_table(frameworks: "Sequence[Framework]", rows: "Sequence[Row]") -> None:
    """Criterion by criterion, a line for each framework."""
    from scaffolder.frameworks import Fact

    notes, titles = Footnotes(), [each.title for each in frameworks]
    _say(", ".join(f"{each.title} {each.version}" for each in frameworks))
    widest = max(map(len, titles))
    for row in rows:
        print(f"\n{row.criterion}")
        for title, cell in zip(titles, row.cells, strict=True):
            said = cell or "-"
            if isinstance(cell, Fact):
                said = GRADES[cell.grade] + notes.cite(cell)
            _say(f"  {title:<{widest}}  {said}", indent=widest + 4)
    notes.show()


def show(found: "Comparison", commands: dict[str, str], instead: Offers) -> None:
    """Every framework with its reasons, why one is first, and the command that makes a project.

    Args:
        commands: by the name of the framework that each is for.
        instead: what fits where the model does not, by the same names, and its command.
    """
    from scaffolder.criteria import rows

    notes, spec = Footnotes(), found.spec
    where = (
        f"{spec.topology}, {spec.nodes} x {spec.gpus_per_node} GPU(s) of {spec.gpu_memory:g} GiB"
    )
    _say(f"{found.algorithm or 'Any algorithm'} with {spec.model} on {where}")
    if found.wishes:
        _say(f"wanted: {', '.join(found.wishes)} (+ in full, ~ in part, - no, ? not known)")
    for candidate in found.candidates:
        _show_candidate(candidate, found, notes)
    print()
    _say(found.because)
    for candidate in found.possible:
        _show_gains(found, candidate, notes)
    if found.possible and not found.recommended:
        compared = [each.framework for each in found.possible]
        print("\nWhere they differ:\n")
        notes = Footnotes()
        show_table(compared, [row for row in rows(compared) if row.differs])
    else:
        notes.show()
    _show_end(found, commands, instead)


def _show_candidate(candidate: "Candidate", found: "Comparison", notes: Footnotes) -> None:
    framework, chosen = candidate.framework, candidate.chosen
    score = f": {candidate.score} of {found.most} points" if found.most else ""
    verdict = "" if candidate.possible else ": not possible"
    print(f"\n{framework.title} {framework.version}{verdict or score}")
    for judgement in candidate.judgements:
        _say(_judged(judgement, notes), indent=4)
    if chosen and chosen.plan:
        for line in _planned(candidate, chosen.spec, chosen.plan, said=bool(found.algorithm)):
            _say(line, indent=4)
    for reason, algorithms in candidate.refused.items():
        about = "" if found.algorithm else f"{', '.join(algorithms)}: "
        _say(f"  ! {about}{reason}", indent=4)


def _judged(judgement: "Judgement", notes: Footnotes) -> str:
    if not judgement.counts:
        return f"    {judgement.wish}: not counted, it is about online algorithms"
    if judgement.fact is None:
        return f"  ? {judgement.wish}: not known: no points, which is not to say no"
    return f"  {SIGNS[judgement.fact.grade]} {judgement.wish}: {notes.cite(judgement.fact)}"


def _planned(
    candidate: "Candidate", spec: "ProjectSpec", plan: "Plan", *, said: bool
) -> "list[str]":
    """The numbers that a project would have, and what its user should know."""
    from scaffolder.cli.summary import summary

    numbers = dict(summary(spec, plan))
    shown = [numbers[name] for name in ("where", "generation") if name in numbers]
    memory = "memory " + numbers["memory"]
    can = [] if said else [f"    can do {', '.join(candidate.possible)}"]
    if candidate.fitting and candidate.fitting not in candidate.possible:
        can.append(f"  ! {candidate.fitting}, which fits the rollouts, is not among them")
    line = "; ".join([f"{spec.algorithm} on {shown[0]}", *shown[1:], memory])
    return [*can, f"    {line}", *(f"  ! {note}" for note in plan.notes)]


def _show_gains(found: "Comparison", candidate: "Candidate", notes: Footnotes) -> None:
    facts, algorithms = found.gains(candidate)
    if not (facts or algorithms) or found.recommended is None:
        return
    first = found.recommended.framework.title
    beside = "Beside that, " if found.wishes else ""
    print(f"\n{beside}{candidate.framework.title} gives more than {first} in:")
    for fact in facts:
        _say(f"  {SIGNS[fact.grade]} {fact.criterion}: {notes.cite(fact)}", indent=4)
    if algorithms:
        _say(f"  + algorithms: {', '.join(algorithms)}", indent=4)


def _show_end(found: "Comparison", commands: dict[str, str], instead: Offers) -> None:
    """The commands; they stay on one line each, to be copied."""
    from scaffolder.errors import UnsupportedChoice

    if found.nearest:
        print(f"\n{UnsupportedChoice([], found.nearest).remedy}")
    if found.recommended:
        print(f"\nThe command that makes the project:\n\n  {commands[found.recommended.name]}")
    elif found.possible:
        print("\nThe command for each; --want WISH chooses:\n")
        for candidate in found.possible:
            print(f"  {commands[candidate.name]}")
    elif any(instead.values()):
        print("\nThis fits, as the planner has tried:\n")
        for candidate in found.candidates:
            for words, command in instead[candidate.name]:
                print(f"  # {candidate.framework.title}: {words}\n  {command}")


def _say(text: str, indent: int = 0) -> None:
    """A paragraph as wide as the terminal, or 80 columns where there is none."""
    width = shutil.get_terminal_size((80, 24)).columns
    print(textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False))


def as_json(found: "Comparison", commands: dict[str, str], instead: Offers) -> dict[str, Any]:
    """For scripts; everything, with sources and dates."""
    first = found.recommended
    return {
        "algorithm": found.algorithm,
        "wishes": list(found.wishes),
        "recommended": first.name if first else None,
        "command": commands[first.name] if first else None,
        "because": found.because,
        "nearest": found.nearest,
        "covers": COVERS,
        "most": found.most,
        "frameworks": [
            _candidate(each, commands.get(each.name), instead[each.name])
            for each in found.candidates
        ],
    }


def _candidate(
    candidate: "Candidate", command: str | None, instead: "Sequence[tuple[str, str]]"
) -> dict[str, Any]:
    from scaffolder.criteria import DECLARED

    framework, chosen = candidate.framework, candidate.chosen
    return {
        "name": framework.name,
        "title": framework.title,
        "version": framework.version,
        "feasible": bool(candidate.possible),
        "algorithms": candidate.possible,
        "reasons": [{"reason": why, "algorithms": of} for why, of in candidate.refused.items()],
        "score": candidate.score,
        "wishes": [_judgement(each) for each in candidate.judgements],
        "plan": _plan(chosen.spec, chosen.plan) if chosen and chosen.plan else None,
        "command": command,
        "instead": [{"words": words, "command": each} for words, each in instead],
        "offers": {name: list(getattr(framework, name)) for name in DECLARED},
        "facts": [vars(fact) for fact in framework.facts],
    }


def _judgement(judgement: "Judgement") -> dict[str, Any]:
    fact = judgement.fact
    return {
        "wish": judgement.wish,
        "grade": fact.grade if fact else None,
        "reason": fact.value if fact else "not known",
        "source": fact.source if fact else None,
        "date": fact.date if fact else None,
        "counts": judgement.counts,
    }


def _plan(spec: "ProjectSpec", plan: "Plan") -> dict[str, Any]:
    return {
        "algorithm": spec.algorithm,
        **plan.model_dump(mode="json", include=PLANNED),
        "memory_gib": plan.memory.total if plan.memory else None,
    }

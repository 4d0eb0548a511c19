"""What became of the rollouts, from the manifests beside the outputs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..engine.manifest import Manifest
from .charts import meter, share_bar
from .markup import Child, Html, element
from .numbers import percent
from .tables import Section, card, facts, grid, note, section, table

LOSSES = {"rejected": "bad", "set aside": "aside", "removed": "rest"}
"""Counts by reason, and their colours; others have none."""
SIDES = {"training rows": "", "held-out rows": "rest"}
SURVIVORS = ("kept", "rollouts")
"""Counts of what went on."""
CHOICE = "not chosen"
"""Counts of what was made of those, and does not stay."""
BUILT = "turns, each a row"
UNSET: tuple[Any, ...] = (None, [], "")
REASONS = 60
"""The longest list of reasons, most frequent first."""


def stages(manifests: Sequence[Manifest]) -> Section | None:
    """A card for each manifest."""
    if not manifests:
        return None
    cards = [card(_title(manifest), *_stage(manifest), wide=True) for manifest in manifests]
    return section("stages", "What became of them", cards)


def inputs(manifests: Sequence[Manifest]) -> Section | None:
    """The files and options of each stage."""
    if not manifests:
        return None
    cards = [
        card(
            manifest.output,
            _sources(manifest),
            _options(manifest),
            wide=True,
        )
        for manifest in manifests
    ]
    return section("inputs", "Inputs and options", grid(cards))


def total(count: int | dict[str, int]) -> int:
    return sum(count.values()) if isinstance(count, dict) else count


def _title(manifest: Manifest) -> str:
    names = {"kept": "Filter", "training rows": "Prepare"}
    name = next((names[key] for key in names if key in manifest.counts), "Stage")
    return f"{name}: {manifest.output}, from {total(manifest.counts.get('read', 0)):,} lines"


def _stage(manifest: Manifest) -> list[Child]:
    counts = manifest.counts
    read = total(counts.get("read", 0))
    losses = {name: value for name, value in counts.items() if isinstance(value, dict)}
    out = {name: value for name, value in losses.items() if name != CHOICE}
    went_on = next((total(counts[name]) for name in SURVIVORS if name in counts), None)
    parts = [(name, total(value), LOSSES.get(name, "aside")) for name, value in out.items()]
    if went_on is not None:
        name = next(name for name in SURVIVORS if name in counts)
        parts.insert(0, (name, went_on, "good"))
    missing = read - sum(count for _, count, _ in parts)
    if went_on is not None and missing > 0:
        parts.append(("not accounted for", missing, "bad"))
    others = [
        (name, f"{value:,}")
        for name, value in counts.items()
        if isinstance(value, int) and name not in ("read", *SURVIVORS)
    ]
    bar = share_bar(f"Of {read:,} read", parts) if sum(count for _, count, _ in parts) else None
    wholes = dict.fromkeys(out, read) | {CHOICE: _built(counts)}
    table_ = _reasons(losses, wholes)
    return [facts(others, "row") if others else None, bar, _rows(manifest), table_]


def _rows(manifest: Manifest) -> Html | None:
    """On which side of the split the rows are, and of what is built one by one, what was not
    chosen. A pair is built of two rollouts, and is no part of them."""
    counts = manifest.counts
    sides = [(name, total(counts.get(name, 0)), class_) for name, class_ in SIDES.items()]
    if not any(count for _, count, _ in sides):
        return None
    recipe = manifest.options.get("recipe")
    paired = isinstance(recipe, dict) and recipe.get("kind") == "preference"
    if not paired and (others := total(counts.get(CHOICE, 0))):
        sides.append((CHOICE, others, "aside"))
    return share_bar("Rows", sides)


def _built(counts: Mapping[str, int | dict[str, int]]) -> int:
    """What could have been chosen."""
    return total(counts.get(BUILT, counts.get("rollouts", 0)))


def _reasons(losses: dict[str, dict[str, int]], wholes: Mapping[str, int]) -> Html | None:
    """Why anything was left out, stage by stage."""
    most = max((count for reasons in losses.values() for count in reasons.values()), default=0)
    rows: list[tuple[Child, ...]] = []
    for name, reasons in losses.items():
        for reason, count in _most_frequent(reasons):
            bar = meter(count, most, LOSSES.get(name, "aside"))
            rows.append((reason, name, bar, f"{count:,}", percent(count, wholes[name])))
    if not rows:
        return note("Nothing was left out.")
    head = ("reason", "stage", "", "count", "share")
    return table("What was left out, and why", head, rows, numeric=2)


def _most_frequent(reasons: dict[str, int]) -> list[tuple[str, int]]:
    ordered = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(count for _, count in ordered[REASONS:])
    return [*ordered[:REASONS], *([("other reasons", rest)] if rest else [])]


def _sources(manifest: Manifest) -> Html:
    rows = [_source_row(msgspec.to_builtins(source)) for source in manifest.inputs]
    return table(f"Inputs of {manifest.output}", ("file", "checksum", "bytes"), rows, numeric=1)


def _source_row(source: dict[str, Any]) -> tuple[Child, ...]:
    """A file; streams have neither size nor checksum."""
    size, checksum = source.get("bytes"), source.get("checksum")
    return (
        element("code", str(source.get("file"))),
        element("code", str(checksum or "none"), class_="checksum"),
        "" if size is None else f"{size:,}",
    )


def _options(manifest: Manifest) -> Html:
    """What was asked for; options that are not set say nothing."""
    flat = _flat(manifest.options)
    pairs = [(name, element("code", _json(value))) for name, value in flat if value not in UNSET]
    template = getattr(manifest, "template", None)
    return facts([*pairs, ("template version", str(template or "unknown"))], "options")


def _flat(options: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

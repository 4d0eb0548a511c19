"""What else a person could run: the programs that our scripts are compared with.

    cd benchmarks
    python baselines.py orjson --input rollouts.jsonl
    python baselines.py json_script --input rollouts.jsonl --output sft.jsonl --min_reward 0.7
    python baselines.py json_script --input rollouts.jsonl --output dpo.jsonl --algorithm dpo
    python baselines.py json_script --input rollouts.jsonl --output rows.jsonl --algorithm both
    python baselines.py datasets --input rollouts.jsonl --output sft.jsonl --min_reward 0.7

`orjson` reads every line and parses it, and nothing else: no program that looks at every line
through Python objects does less. `json_script` is what a careful engineer writes in an afternoon,
after the approach of NeMo Gym's tutorial on offline training. `datasets` is the same job with
Hugging Face datasets. Imports stand in the functions, so that each pays for its own alone.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conversations import Json, is_whole, row_of, task_of

BUFFER_BYTES = 2**20
Row = tuple[str, float, Json]
"""Task, reward and SFT row of a rollout."""


def parse_only(source: Path) -> None:
    """Parse every line with orjson."""
    import orjson

    read = bad = 0
    with source.open("rb", buffering=BUFFER_BYTES) as lines:
        for line in lines:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError:
                bad += 1
            read += 1
    print(f"{read} lines, {bad} of them no JSON")


def json_script(
    source: Path,
    output: Path,
    *,
    algorithm: str,
    min_reward: float | None,
    min_margin: float,
    dedupe: bool,
) -> None:
    """Rows for SFT, DPO or both with the standard library, in one pass over the rollouts."""
    rows = _rows(source, min_reward)
    if dedupe:
        rows = _deduped(rows)
    if algorithm == "both":
        kept: list[Row] = []
        _write(output.with_suffix(".sft.jsonl"), _texts(_kept(rows, kept)))
        output, rows = output.with_suffix(".dpo.jsonl"), iter(kept)
    if algorithm != "sft":
        rows = _pairs(rows, min_margin)
    _write(output, _texts(rows))


def _kept(rows: Iterator[Row], kept: list[Row]) -> Iterator[Row]:
    """The same rows, which are also kept for pairs."""
    for row in rows:
        kept.append(row)
        yield row


def _texts(rows: Iterator[Row]) -> Iterator[tuple[str, str]]:
    return ((task, json.dumps(row)) for task, _, row in rows)


def _rows(source: Path, min_reward: float | None) -> Iterator[Row]:
    """The row of each rollout that can be used."""
    with source.open("rb", buffering=BUFFER_BYTES) as lines:
        for line in lines:
            try:
                rollout = json.loads(line)
            except ValueError:
                continue
            if not isinstance(rollout, dict) or rollout.get("reward") is None:
                continue
            if min_reward is not None and not (
                rollout["reward"] >= min_reward and is_whole(rollout)
            ):
                continue
            row = row_of(rollout)
            if row is not None:
                yield task_of(rollout), rollout["reward"], row


def _deduped(rows: Iterator[Row]) -> Iterator[Row]:
    """Without rows that were there before."""
    seen: set[int] = set()
    for task, reward, row in rows:
        key = hash(json.dumps([row["prompt"], row["completion"]]))
        if key not in seen:
            seen.add(key)
            yield task, reward, row


def _pairs(rows: Iterator[Row], min_margin: float) -> Iterator[Row]:
    """Best against worst of each task; every row is held in memory until the last is read."""
    tasks: dict[str, list[tuple[float, Json]]] = {}
    for task, reward, row in rows:
        tasks.setdefault(task, []).append((reward, row))
    for task, group in tasks.items():
        best_reward, best = max(group, key=lambda one: one[0])
        worst_reward, worst = min(group, key=lambda one: one[0])
        margin = round(best_reward - worst_reward, 9)
        if margin > 0 and margin >= min_margin:
            completions = {"chosen": best["completion"], "rejected": worst["completion"]}
            yield task, margin, {"prompt": best["prompt"], **completions, "tools": best["tools"]}


def _write(output: Path, rows: Iterator[tuple[str, str]]) -> None:
    """Training rows and held-out rows; a tenth of the tasks is held out."""
    from zlib import crc32

    with ExitStack() as stack:
        paths = output, output.with_name(f"{output.stem}.eval.jsonl")
        train, held_out = (stack.enter_context(path.open("w", encoding="utf-8")) for path in paths)
        for task, row in rows:
            side = held_out if crc32(task.encode()) % 10 == 0 else train
            side.write(row + "\n")


def with_datasets(source: Path, output: Path, *, min_reward: float, cache: Path) -> None:
    """SFT rows with Hugging Face datasets, in one process.

    Rows leave `map` as text: the columns of a table cannot hold the arguments of different tools.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    rollouts = load_dataset(
        "json", data_files=str(source), split="train", cache_dir=str(cache), num_proc=None
    )
    good = rollouts.filter(
        lambda reward: reward is not None and reward >= min_reward, input_columns=["reward"]
    )
    rows = good.map(_task_and_text, remove_columns=good.column_names)
    _write(output, ((row["task"], row["text"]) for row in rows if row["text"]))


def _task_and_text(rollout: Json) -> Json:
    row = row_of(rollout) if is_whole(rollout) else None
    return {"task": task_of(rollout), "text": json.dumps(row) if row else ""}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", choices=["orjson", "json_script", "datasets"])
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--algorithm", choices=["sft", "dpo", "both"], default="sft")
    parser.add_argument("--min_reward", type=float, help="also drops what is cut off or masked")
    parser.add_argument("--min_margin", type=float, default=0.0, help="of a pair's rewards")
    parser.add_argument("--dedupe", action="store_true", help="drop rows that were there before")
    parser.add_argument("--cache", type=Path, help="folder for what datasets writes")
    options: Any = parser.parse_args()
    if options.program == "orjson":
        parse_only(options.input)
    elif options.output is None:
        parser.error("--output is needed")
    elif options.program == "json_script":
        json_script(
            options.input,
            options.output,
            algorithm=options.algorithm,
            min_reward=options.min_reward,
            min_margin=options.min_margin,
            dedupe=options.dedupe,
        )
    else:
        with_datasets(
            options.input,
            options.output,
            min_reward=options.min_reward or 0.0,
            cache=options.cache or options.output.with_name("datasets-cache"),
        )


if __name__ == "__main__":
    main()

"""Write rollouts like those of a long NeMo Gym run, of any size, the same for the same seed.

    python benchmarks/generate.py --bytes 1GB --output rollouts.jsonl
    python benchmarks/generate.py --bytes 1GB --shape short --output short.jsonl

Every record is made up, after a survey of the rollout files that ship with NeMo Gym: environments,
shapes, sizes, share of text beyond ASCII and of characters that must be escaped. Among them are
what a real file holds too: rollouts cut off at the token limit, duplicates, lines that are no JSON,
rows without a reward, fields whose type changes late in the file. Memory does not grow with the
file. Rollouts of the shape `short` are of small items: tools, parallel calls and several turns, but
little text.
"""

import argparse
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple

import multi_step
import short_turns
import single_step
from mess import DEGREES, Mess
from records import Json, Writer

VERSION = 1
"""Of what is generated: files of another version are not used again."""
MOST_IN_FLIGHT = 2048
"""Rollouts that run at once, of which any may be the next to end."""
ROLLOUTS_OF_A_TASK = (8, 8, 8, 8, 8, 8, 16, 4)
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class Environment(NamedTuple):
    agent: str
    share: float
    """Of all tasks."""
    task: Callable[[Writer], single_step.Attempt]
    stamped: bool = True
    """Whether NeMo Gym's task index and agent are on the rows; older versions wrote neither."""


ENVIRONMENTS = (
    Environment("mcqa_simple_agent", 0.13, single_step.choice),
    Environment("math_with_judge_simple_agent", 0.17, single_step.maths),
    Environment("instruction_following_agent", 0.12, single_step.instructions),
    Environment("code_gen_simple_agent", 0.11, single_step.code),
    Environment("grid_game_agent", 0.06, multi_step.game),
    Environment("python_math_agent", 0.04, multi_step.python_tool),
    Environment("office_simple_agent", 0.06, multi_step.office),
    Environment("web_search_agent", 0.04, multi_step.search),
    Environment("customer_dialogue_agent", 0.04, multi_step.dialogue),
    Environment("long_context_agent", 0.05, single_step.long_context),
    Environment("repository_agent", 0.05, multi_step.repository),
    Environment("short_qa_agent", 0.13, single_step.short_answer, stamped=False),
)
SHORT_ENVIRONMENTS = (
    Environment("assistant_agent", 0.4, short_turns.assistant),
    Environment("lookup_agent", 0.25, short_turns.lookup),
    Environment("sums_agent", 0.2, short_turns.sums),
    Environment("talk_agent", 0.15, short_turns.talk),
)


class Shape(NamedTuple):
    """What the rollouts of a file are like."""

    environments: tuple[Environment, ...]
    mean_bytes: int
    """Of a line, roughly."""


SHAPES = {"long": Shape(ENVIRONMENTS, 20_000), "short": Shape(SHORT_ENVIRONMENTS, 8_000)}


class Run(NamedTuple):
    """One rollout that has been started."""

    environment: Environment
    task: int
    number: int
    attempt: single_step.Attempt

    def end(self) -> Json:
        rollout = self.attempt()
        if self.environment.stamped:
            agent = {"type": "responses_api_agents", "name": self.environment.agent}
            stamps = {"_ng_task_index": self.task, "_ng_rollout_index": self.number}
            rollout |= {**stamps, "agent_ref": agent}
        return rollout


class Survey:
    """What was written, for the statistics."""

    def __init__(self) -> None:
        self.bytes = 0
        self.sizes = array("L")
        self.counts: Counter[str] = Counter()

    def add(self, line: bytes, kind: str) -> None:
        self.bytes += len(line)
        self.sizes.append(len(line))
        self.counts[kind] += 1
        self.counts["lines with text beyond ASCII"] += not line.isascii()

    def __str__(self) -> str:
        sizes = sorted(self.sizes)
        at = {f"{share:.0%}": sizes[int(len(sizes) * share)] for share in (0.1, 0.5, 0.9, 0.99)}
        rows = {
            "bytes": self.bytes,
            "lines": len(sizes),
            "bytes of a line, mean": self.bytes // len(sizes),
            **{f"bytes of a line, {share} are below": size for share, size in at.items()},
            "bytes of a line, most": sizes[-1],
            **self.counts,
        }
        return "\n".join(f"{value:>14,}  {name}" for name, value in rows.items())


def generate(
    output: BinaryIO,
    size: int,
    *,
    seed: int = 0,
    order: str = "mixed",
    mess: str = "all",
    shape: str = "long",
) -> Survey:
    """Write lines until there are `size` bytes, at most one line more.

    Args:
        order: `mixed`, in the order in which rollouts of a large run end; or `env`, one
            environment after another, so that types change late in the file.
        mess: one of `mess.DEGREES`; strict readers stop at more than `none`.
        shape: one of SHAPES.
    """
    survey = Survey()
    spoil = Mess(seed, size, mess)
    for rollout in _rollouts(size, seed, order, SHAPES[shape], survey):
        for kind, line in spoil.lines(rollout, survey.bytes):
            output.write(line)
            survey.add(line, kind)
        if survey.bytes >= size:
            break
    return survey


def _rollouts(size: int, seed: int, order: str, shape: Shape, survey: Survey) -> Iterator[Json]:
    write = Writer(seed)
    in_flight = min(max(size // shape.mean_bytes // 4, 16), MOST_IN_FLIGHT)
    if order == "mixed":
        yield from _completed(write, shape.environments, in_flight)
    ends = accumulate(environment.share for environment in shape.environments)
    for environment, end in zip(shape.environments, ends, strict=True):
        until = size * min(end, 1.0)
        for rollout in _completed(write, (environment,), in_flight):
            yield rollout
            if survey.bytes >= until:
                break


def _completed(
    write: Writer, environments: tuple[Environment, ...], in_flight: int
) -> Iterator[Json]:
    """Rollouts without end, in the order in which they end."""
    weights = [environment.share for environment in environments]
    running: list[Run] = []
    task = 0
    while True:
        while len(running) < in_flight:
            environment = write.random.choices(environments, weights)[0]
            attempt = environment.task(write)
            rollouts = range(write.random.choice(ROLLOUTS_OF_A_TASK))
            running += [Run(environment, task, number, attempt) for number in rollouts]
            task += 1
        chosen = write.number(len(running))
        running[chosen], running[-1] = running[-1], running[chosen]
        yield running.pop().end()


def bytes_of(text: str) -> int:
    """Bytes of a size such as 1GB (decimal units) or 5000."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)?", text.strip().upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 200MB or 1GB")
    return int(float(found[1]) * UNITS[found[2] or ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=bytes_of, default="1GB", help="size, such as 200MB or 1GB")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--order", choices=["mixed", "env"], default="mixed")
    parser.add_argument("--mess", choices=DEGREES, default="all", help="what goes wrong")
    parser.add_argument("--shape", choices=SHAPES, default="long", help="of the rollouts")
    arguments = parser.parse_args()
    with arguments.output.open("wb", buffering=2**20) as output:
        survey = generate(
            output,
            arguments.bytes,
            seed=arguments.seed,
            order=arguments.order,
            mess=arguments.mess,
            shape=arguments.shape,
        )
    print(survey)


if __name__ == "__main__":
    main()

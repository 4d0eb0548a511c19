"""Environments of small items: short texts, many tools, several steps, calls side by side.

What a program pays for each item, and not for each byte, shows here.
"""

from functools import partial

from multi_step import schema_of, step_of
from records import Json, Writer, request, said
from single_step import Attempt


def assistant(write: Writer) -> Attempt:
    """Up to five steps, each a few calls with short results; some thoughts in between."""
    return _with_tools(write, tools=6, steps=5, reasoning=0.5, parallel=0.5)


def lookup(write: Writer) -> Attempt:
    """One or two calls and an answer."""
    return _with_tools(write, tools=3, steps=2, reasoning=0.3, parallel=0.2)


def _with_tools(
    write: Writer, *, tools: int, steps: int, reasoning: float, parallel: float
) -> Attempt:
    """A task of short steps.

    Args:
        steps: how often the model calls tools, at most.
        reasoning: share of the steps before which the model thinks.
        parallel: share of the steps with several calls.
    """
    schemas = [schema_of(write) for _ in range(tools)]
    asked = _asked(write, 200, ("prose", 150), schemas)
    solved = write.pass_rate()
    result, thought = ("prose", 120), ("prose", 150)
    step = partial(step_of, write, schemas, result, reasoning, parallel=parallel, thought=thought)

    def attempt() -> Json:
        output = [item for _ in range(1 + write.number(steps)) for item in step()]
        output.append(write.message(write.text("prose", 200)))
        return write.rollout(asked, output, float(write.chance(solved))) | {"category": "tools"}

    return attempt


def sums(write: Writer) -> Attempt:
    """A short thought and a short answer."""
    asked = request(
        [said("system", write.text("prose", 150)), said("user", write.text("maths", 200))]
    )
    answer, solved = str(write.number(1000)), write.pass_rate()

    def attempt() -> Json:
        right = write.chance(solved)
        thought = write.reasoning(write.text("maths", 500))
        output = [thought, write.message(write.text("maths", 200))]
        return write.rollout(asked, output, float(right)) | {"expected_answer": answer}

    return attempt


def talk(write: Writer) -> Attempt:
    """A few turns with a user, who stands in the output."""
    asked = request(
        [said("system", write.text("prose", 200)), said("user", write.text("prose", 80))]
    )
    solved = write.pass_rate()

    def attempt() -> Json:
        output = [write.message(write.text("prose", 120))]
        for _ in range(1 + write.number(4)):
            output += [
                said("user", write.text("prose", 60)),
                write.message(write.text("prose", 120)),
            ]
        return write.rollout(asked, output, float(write.chance(solved))) | {"terminated": True}

    return attempt


def _asked(
    write: Writer, system: int, question: tuple[str, int], schemas: list[Json] | None = None
) -> Json:
    """A request of so many characters, in the median."""
    prompt = [said("system", write.text("prose", system)), said("user", write.text(*question))]
    return request(prompt, schemas)

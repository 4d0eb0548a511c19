"""How everything calls a reward function: with a reward that is a number, or a clear error.

score = load_score()                     # rewards.py; or load_score("my_rewards:strict")
reward = reward_of(prompt, answer_of(generated), ground_truth, metadata, score)
"""

import importlib
import inspect
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ..data.reasoning import split
from ..errors import UserError

Score = Callable[[list[dict[str, Any]], str, Any, dict[str, Any]], float]
ARGUMENTS = ("prompt", "response", "ground_truth", "metadata")
SHOWN = 100
"""Letters of prompt and response in an error."""


class BadReward(UserError):
    """The reward function failed, or gave something else than a finite number."""


def reward_of(
    prompt: list[dict[str, Any]],
    response: str,
    ground_truth: Any,
    metadata: dict[str, Any],
    score: Score | None = None,
) -> float:
    """The reward of one response.

    Args:
        score: the reward function; that of rewards.py when none is given.

    Raises:
        BadReward: with the beginning of prompt and response.
        UserError: that the reward function raised itself.
    """
    score = score or load_score()
    try:
        reward = score(prompt, response, ground_truth, metadata)
    except UserError:
        raise
    except Exception as error:
        raise _bad(score, f"raised {_said(error)}", prompt, response) from error
    if not hasattr(reward, "__float__"):
        if inspect.iscoroutine(reward):
            reward.close()
        given = f"returned {reward!r:.80}, which is a {type(reward).__name__} and no number"
        raise _bad(score, given, prompt, response)
    try:
        number = float(reward)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise _bad(score, f"returned no number: {_said(error)}", prompt, response) from None
    if not math.isfinite(number):
        raise _bad(score, f"returned {number}", prompt, response)
    return number


def judge(row: dict[str, Any], generated: str, score: Score | None = None) -> float:
    """The reward of what a model wrote to the prompt of a row, as `reward_of` gives it."""
    facts = (row["ground_truth"], row["metadata"])
    return reward_of(row["prompt"], answer_of(generated), *facts, score)


def answer_of(generated: str) -> str:
    """What a model wrote, without its reasoning between think tags, as recorded rollouts have it.

    Of a model that was cut off while reasoning nothing is left.
    """
    return split(generated)[1]


@cache
def load_score(name: str = "rewards:score") -> Score:
    """A reward function by the name of its module, or `module:function`.

    Raises:
        UserError: when there is none of that name, or it takes other arguments.
    """
    module_name, _, function_name = name.partition(":")
    module_name = module_name.removesuffix(".py").replace("/", ".")
    function_name = function_name or "score"
    remedy = f"Write `def {function_name}({', '.join(ARGUMENTS)}) -> float` in it."
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise UserError(
                f"There is no module {module_name} with rewards.",
                "Give the name of a Python file in this folder, without its .py: rewards.",
            ) from None
        raise _broken(module_name, error) from error
    except Exception as error:
        raise _broken(module_name, error) from error
    score = getattr(module, function_name, None)
    if not callable(score):
        raise UserError(f"{module_name} has no function {function_name}.", remedy)
    try:
        inspect.signature(score).bind(*ARGUMENTS)
    except TypeError as error:
        raise UserError(
            f"{name} does not take the arguments {', '.join(ARGUMENTS)}: {error}.", remedy
        ) from None
    return score  # type: ignore[no-any-return]


def _broken(module: str, error: Exception) -> UserError:
    """A module of rewards that cannot be imported, with the place."""
    return UserError(f"{module} cannot be imported: {_said(error)}", "Mend it.", exit_code=1)


def _bad(score: Score, problem: str, prompt: Any, response: str) -> BadReward:
    module, name = getattr(score, "__module__", "?"), getattr(score, "__name__", "score")
    asked = prompt[-1].get("content") if prompt else ""
    return BadReward(
        f"{module}.{name} {problem}\n"
        f"  prompt    {_beginning(asked)}\n"
        f"  response  {_beginning(response)}",
        "It must return a finite number for every response. Mend it, and try it on recorded "
        "rollouts: make rewards",
        exit_code=1,
    )


def _said(error: Exception) -> str:
    """An exception with the line that raised it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None and trace.tb_frame.f_code.co_filename != __file__:
        where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{where}"


def _beginning(text: Any) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."

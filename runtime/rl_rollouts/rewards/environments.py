"""Environments of online training: a class whose public methods are tools that a model may call.

`environment: environment:Shop` names one; an object of it is one conversation. `reset` begins it,
`get_reward`, where there is one, says what it was worth; all other public methods are tools.
"""

import importlib
import inspect
import json
from typing import Any

from ..errors import UserError

PLACE = "here-stands-an-answer"


def load_environment(name: str) -> Any:
    """The class of `module:class`, whose public methods are the tools."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"There is no environment {name!r}: {error}.",
            "Give `module:class`, see environment.py.",
        ) from None


def tools_in(environment: Any) -> list[str]:
    """The names of the methods that a model may call."""
    own = {"reset", "get_reward"}
    names = [name for name, _ in inspect.getmembers(environment, callable)]
    return [name for name in names if name[0] != "_" and name not in own]


def shown_tools(name: str | None) -> list[dict[str, Any]] | None:
    """The schemas of an environment's tools, as transformers makes them of its public methods."""
    if not name:
        return None
    from transformers.utils import get_json_schema

    made = load_environment(name)
    visit = object.__new__(made)
    try:
        return [get_json_schema(getattr(visit, each)) for each in tools_in(made)] or None
    except (ValueError, TypeError) as error:
        raise UserError(
            f"A tool of {name} has no schema: {error}",
            "Give its methods types and docstrings, as those of environment.py have them.",
        ) from None


def called(environment: Any, text: str) -> str:
    """What a call gives, as the model is told: also what is wrong with it.

    Args:
        text: `{"name": ..., "arguments": {...}}`.
    """
    try:
        call = json.loads(text)
        name, given = str(call["name"]), dict(call.get("arguments") or {})
    except (ValueError, TypeError, LookupError) as error:
        return f"error: this is no call: {error}"
    if name not in tools_in(type(environment)):
        return f"error: there is no tool {name}"
    try:
        result = getattr(environment, name)(**given)
    except Exception as error:  # The tools are the user's, and the arguments the model's.
        return f"error: {error}"
    return result if isinstance(result, str) else json.dumps(result, default=str)


def results(tokenizer: Any, texts: list[str]) -> str:
    """What stands between an answer with calls and the next one: the results, as the chat template
    writes them. The token that ends the answer is not among it.

    Raises:
        UserError: when it does not write them.
    """
    asked = [{"role": "user", "content": "a"}, {"role": "assistant", "content": PLACE}]
    told = [*asked, *({"role": "tool", "content": each} for each in texts)]
    whole = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
    after = str(whole).partition(PLACE)[2].removeprefix(tokenizer.eos_token)
    if not all(each.strip() in after for each in texts):
        raise UserError(
            "The chat template of the model does not write the results of tools.",
            "Take a model that was trained to call tools, or leave `environment` out.",
        )
    return after

"""Whether a value of a YAML file is one that a key accepts."""

import math
from fnmatch import fnmatch
from typing import Any, NamedTuple

from scaffolder.project import Weight
from scaffolder.schema import LIMITS, Key

_WORDS = frozenset({"yes", "no", "true", "false", "t", "f", "y", "n", "1", "0"})
BOOLEAN_WORDS = {
    "argparse": _WORDS,
    "pydantic": _WORDS | {"on", "off"},
    "text": _WORDS | {"on", "off"},
}
"""By who reads them; words of `schema.Key.reads`."""


class Verdict(NamedTuple):
    weight: Weight
    problem: str
    remedy: str


def judge(key: Key, value: Any) -> Verdict | None:
    """What is wrong with a key's value, if anything is."""
    wrong = _choice_verdict(key, value) or _limit_verdict(key, value)
    found = _type_verdict(key, value)
    if found is None or found.weight == "note":
        return wrong or found or _number_inside(key, value)
    return found


def _type_verdict(key: Key, value: Any) -> Verdict | None:
    if key.reads == "text" and not isinstance(value, list | dict | None):
        return None if _is_text_of(key, str(value)) else _wrong(key, value)
    if isinstance(value, dict) and value and key.reads == "yaml":
        return None if "dict" in key.names else _wrong(key, value)
    if any(_is(name, value) for name in key.names) or _is_taken(key, value):
        return None
    if isinstance(value, str) and key.reads != "yaml":
        return _converted(key, value) or _wrong(key, value)
    if isinstance(value, str) and "list" in key.names:
        problem = f"{key.name}: {value!r} is text, and a list is expected"
        return Verdict("warning", problem, f"Write [{value}].")
    return _wrong(key, value)


def _wrong(key: Key, value: Any) -> Verdict:
    return Verdict("error", f"{key.name}: {_shown(value)} is not {key.type}", _remedy(key, value))


def _converted(key: Key, text: str) -> Verdict | None:
    """Text that the framework makes something else of: worth a word, and no mistake."""
    names = key.names
    if key.number(text) is not None:
        problem = f"{key.name}: {text} is text to YAML, which the framework turns into a number"
        return Verdict("note", problem, f"{_yaml_number(text)} is a number to YAML as well.")
    if "bool" in names and text.lower() in BOOLEAN_WORDS[key.reads]:
        problem = f"{key.name}: {text!r} is text, which is read as a truth value"
        return Verdict("note", problem, "true and false, without quotes, are ones to YAML as well.")
    if key.reads != "argparse":
        return None
    if "None" in names and "bool" not in names and text.lower() in {"none", "null"}:
        problem = f"{key.name}: {text} is text to YAML, whose word for nothing is null"
        return Verdict("note", problem, "null, without quotes, is nothing to YAML as well.")
    if "list" in names:
        problem = f"{key.name}: {text!r} is text, where a list is usual"
        return Verdict("note", problem, f"[{text}] is a list.")
    return None


def _is_text_of(key: Key, text: str) -> bool:
    """Whether a process makes the right thing of a text in its environment."""
    if key.choices or "str" in key.names or text in key.names:  # a word, as auto
        return True
    if "bool" in key.names:
        return text.lower() in BOOLEAN_WORDS["text"]
    return key.number(text) is not None


def _is_taken(key: Key, value: Any) -> bool:
    """pydantic takes 64.0 for 64, and 1 for true."""
    if key.reads != "pydantic" or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    whole = "int" in key.names and float(value).is_integer()
    return whole or ("bool" in key.names and value in {0, 1})


def _choice_verdict(key: Key, value: Any) -> Verdict | None:
    each = value if isinstance(value, list) and "list" in key.names else [value]
    wrong = [one for one in each if one is not None and not _is_choice(key, one)]
    if not key.choices or not wrong:
        return None
    problem = f"{key.name}: {_shown(wrong[0])} is none of its values"
    return Verdict("error", problem, f"It can be {_listed(key)}.")


def _is_choice(key: Key, value: Any) -> bool:
    if isinstance(value, bool) and "bool" in key.names:
        return True
    if key.reads == "text":
        return str(value).lower() in {str(each).lower() for each in key.choices}
    if value in key.choices and isinstance(value, bool) == (value is True or value is False):
        return True
    patterns = [each for each in key.choices if isinstance(each, str) and "*" in each]
    return isinstance(value, str | int) and any(fnmatch(str(value), each) for each in patterns)


def _limit_verdict(key: Key, value: Any) -> Verdict | None:
    number = len(value) if isinstance(value, str) and key.shortest else key.number(value)
    if number is None:
        return None
    if not math.isfinite(number):
        problem = f"{key.name}: {_shown(value)} is no finite number"
        return Verdict("error", problem, "Write a number.")
    if isinstance(value, str) and key.shortest:
        empty = f"{key.name} is empty"
        return Verdict("error", empty, "Write something.") if number < key.shortest else None
    kept = {
        "gt": lambda limit: number > limit,
        "ge": lambda limit: number >= limit,
        "lt": lambda limit: number < limit,
        "le": lambda limit: number <= limit,
    }
    broken = [f"{LIMITS[word]} {limit:g}" for word, limit in key.limits if not kept[word](limit)]
    if not broken:
        return None
    problem = f"{key.name}: {_shown(value)} is outside its limits"
    return Verdict("error", problem, f"It must be {' and '.join(broken)}.")


def _number_inside(key: Key, value: Any) -> Verdict | None:
    """`1e-6` inside a mapping or list reaches the framework as text: nothing there converts it."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if "str]" in key.type:
        texts = all(isinstance(each, str) for each in parts)
        problem = f"{key.name}: what stands in it has to be text"
        return None if texts else Verdict("error", problem, "Put it in quotes.")
    trapped = [each for each in parts if isinstance(each, str) and _is_exponent(each)]
    if not trapped:
        return None
    problem = f"{key.name}: {', '.join(trapped)} inside it is text to YAML, and stays text"
    return Verdict("warning", problem, f"Write {_yaml_number(trapped[0])}.")


def _is(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name in {"bool", "Any", "object"}
    kinds: dict[str, type | tuple[type, ...]] = {
        "None": type(None),
        "int": int,
        "float": (int, float),
        "bool": bool,
        "str": str,
        "Path": str,
        "list": list,
        "tuple": list,
        "set": list,
        "Sequence": list,
        "dict": dict,
        "Mapping": dict,
    }
    return isinstance(value, kinds.get(name, object))


def _is_exponent(text: str) -> bool:
    try:
        return "e" in text.lower() and math.isfinite(float(text))
    except ValueError:
        return False


def _yaml_number(text: str) -> str:
    """The same number as YAML 1.1 reads it: with a point, and a sign in the exponent."""
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent:
        return text
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign}{exponent}"


def _shown(value: Any) -> str:
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def _listed(key: Key) -> str:
    return ", ".join(_shown(each) if isinstance(each, bool) else str(each) for each in key.choices)


def _remedy(key: Key, value: Any) -> str:
    plain = value is not None and not isinstance(value, list | dict)
    if {"str", "Path"} & set(key.names) and plain and not key.choices:
        return "Put it in quotes."
    if key.choices:
        return f"It can be {_listed(key)}."
    kept = "" if key.required else f", or leave the key out: its default is {_shown(key.default)}"
    return f"Write a value of the type {key.type}{kept}."

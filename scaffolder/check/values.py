"""Whether a value of a YAML file is one that a key accepts."""

import math
from typing import Any, NamedTuple

from scaffolder.project import Weight
from scaffolder.schema import LIMITS, Key

BOOLEAN_WORDS = {"yes", "no", "true", "false", "t", "f", "y", "n", "1", "0"}


class Verdict(NamedTuple):
    weight: Weight
    problem: str
    remedy: str


def judge(key: Key, value: Any) -> Verdict | None:
    """What is wrong with a key's value, if anything is."""
    wrong = _type_verdict(key, value) or _choice_verdict(key, value) or _limit_verdict(key, value)
    return wrong or _number_inside(key, value)


def _type_verdict(key: Key, value: Any) -> Verdict | None:
    names = _names(key.type)
    if any(_is(name, value) for name in names):
        return None
    if isinstance(value, str) and _is_number_of(names, value):
        return _text_number(key.name, value)
    may_be_none = "None" in names and "bool" not in names
    if isinstance(value, str) and may_be_none and value.lower() in {"none", "null"}:
        problem = f"{key.name}: {value} is text to YAML, whose word for nothing is null"
        return Verdict("warning", problem, "Write null, without quotes.")
    if isinstance(value, str) and "bool" in names and value.lower() in BOOLEAN_WORDS:
        problem = f"{key.name}: {value!r} is text, which is read as a truth value"
        return Verdict("warning", problem, "Write true or false, without quotes.")
    if isinstance(value, str) and "list" in names:
        problem = f"{key.name}: {value!r} is text, and a list is expected"
        return Verdict("warning", problem, f"Write [{value}].")
    return Verdict("error", f"{key.name}: {_shown(value)} is not {key.type}", _remedy(key, value))


def _text_number(name: str, value: str) -> Verdict:
    problem = f"{name}: {value} is text to YAML, which the framework turns into a number"
    return Verdict(
        "warning", problem, f"Write {_yaml_number(value)}, which YAML reads as a number."
    )


def _choice_verdict(key: Key, value: Any) -> Verdict | None:
    if not key.choices or value is None or value in key.choices:
        return None
    problem = f"{key.name}: {_shown(value)} is none of its values"
    return Verdict("error", problem, f"It can be {', '.join(map(str, key.choices))}.")


def _limit_verdict(key: Key, value: Any) -> Verdict | None:
    number = _number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
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
        return None
    trapped = [each for each in parts if isinstance(each, str) and _is_exponent(each)]
    if not trapped:
        return None
    problem = f"{key.name}: {', '.join(trapped)} inside it is text to YAML, and stays text"
    return Verdict("warning", problem, f"Write {_yaml_number(trapped[0])}.")


def _names(annotation: str) -> list[str]:
    """The alternatives of an annotation, without what stands in brackets."""
    depth, parts = 0, [""]
    for letter in annotation:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.partition("[")[0].strip() for part in parts]


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


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_number_of(names: list[str], text: str) -> bool:
    """Whether a number key makes a number of this text; whole numbers take no exponent."""
    if "float" in names and _number(text) is not None:
        return True
    try:
        return "int" in names and isinstance(int(text), int)
    except ValueError:
        return False


def _is_exponent(text: str) -> bool:
    return "e" in text.lower() and _number(text) is not None


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


def _remedy(key: Key, value: Any) -> str:
    plain = value is not None and not isinstance(value, list | dict)
    if {"str", "Path"} & set(_names(key.type)) and plain and not key.choices:
        return "Put it in quotes."
    if key.choices:
        return f"It can be {', '.join(map(str, key.choices))}."
    kept = "" if key.required else f", or leave the key out: its default is {_shown(key.default)}"
    return f"Write a value of the type {key.type}{kept}."

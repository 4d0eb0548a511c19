"""How a config schema is written down: one JSON file for one version of one framework.

    classes     name of a class -> where it is from, the classes it `inherits` keys from, in the
                order of Python's lookup, and its own keys
    algorithms  name of an algorithm -> the classes that its config has the keys of
    files       name of another file of a project -> the classes that it has the keys of
    reads       of a class: what becomes of text where a number or truth value is expected.
                argparse and pydantic convert it; `text`: all values become text; else it stays
    interpolates  true where a value may be that of another key, ${other.key}
    a key       `type` as a Python annotation (Path, str, list[str] | None ...), `default` unless
                the key is required, `choices` where only some values are accepted (of a list each;
                `*` stands for anything), and limits by pydantic's words (gt, ge, lt, le,
                min_length)

A key stands at the class that declares it last. The file is `schema.json` in the framework's
folder, sorted and with one key a line.
`python -m contracts.extraction trl` writes the file of the framework that is installed.
"""

import dataclasses
import enum
import importlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
LIMITS = ("gt", "ge", "lt", "le", "min_length")
KEYS_DEPTH = 4
"""Below this depth a mapping is written on one line: schema, classes, one class, its keys."""


def schema(
    framework: str, version: str, algorithms: Mapping[str, Iterable[type]], reads: str
) -> Json:
    """The schema of one version of a framework, from the classes of each algorithm."""
    found = {name: list(classes) for name, classes in algorithms.items()}
    return {
        "framework": framework,
        "version": version,
        "algorithms": {
            name: [each.__name__ for each in classes] for name, classes in found.items()
        },
        "classes": {
            parent.__name__: {**_describe(parent), "reads": reads}
            for classes in found.values()
            for each in classes
            for parent in (each, *_parents(each))
        },
    }


def _parents(class_: type) -> list[type]:
    """The classes that it has keys from, in the order of Python's lookup."""
    return [each for each in class_.__mro__[1:] if _declares(each)]


def _declares(class_: type) -> bool:
    """Whether it says something about keys itself."""
    described = dataclasses.is_dataclass(class_) or hasattr(class_, "model_fields")
    return described and bool(_own(class_))


def _own(class_: type) -> list[str]:
    """Names of the fields that stand in the class itself."""
    if dataclasses.is_dataclass(class_):
        fields = {field.name for field in dataclasses.fields(class_) if field.init}
    else:
        fields = set(typing.cast(Any, class_).model_fields)
    return sorted(fields & set(inspect.get_annotations(class_)))


def _describe(class_: type) -> Json:
    key = _dataclass_key if dataclasses.is_dataclass(class_) else _pydantic_key
    keys = {name: key(class_, name) for name in _own(class_)}
    inherits = [each.__name__ for each in _parents(class_)]
    return {"module": class_.__module__, "inherits": inherits, "keys": keys}


def _dataclass_key(class_: Any, name: str) -> Json:
    field = class_.__dataclass_fields__[name]
    annotation = typing.get_type_hints(class_)[name]
    given = field.metadata.get("choices")
    described: Json = {"type": spelled(annotation)}
    if choices := (list(given) if given else choices_of(annotation)):
        described["choices"] = choices
    if field.default is not dataclasses.MISSING:
        described["default"] = _plain(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        described["default"] = _plain(field.default_factory())
    return described


def _pydantic_key(class_: Any, name: str) -> Json:
    field = class_.model_fields[name]
    described: Json = {"type": spelled(field.annotation)}
    if choices := choices_of(field.annotation):
        described["choices"] = choices
    if not field.is_required():
        described["default"] = _plain(field.get_default(call_default_factory=True))
    for limit in field.metadata:
        described |= {
            word: getattr(limit, word) for word in LIMITS if getattr(limit, word, None) is not None
        }
    return described


def spelled(annotation: Any) -> str:
    """An annotation as one writes it, the same in every version of Python; literals as their type.

    An enumeration is the text that a config has for it.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {Union, types.UnionType}:
        parts = dict.fromkeys(spelled(each) for each in arguments if each is not type(None))
        none = ["None"] if type(None) in arguments else []
        return " | ".join([*parts, *none])
    if origin is Literal:
        return " | ".join(dict.fromkeys(type(each).__name__ for each in arguments))
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "str"
    name = getattr(origin or annotation, "__name__", None) or str(origin or annotation)
    if origin in {Callable, typing.get_origin(Callable[..., Any])} or not arguments:
        return name
    return f"{name}[{', '.join(spelled(each) for each in arguments)}]"


def choices_of(annotation: Any) -> list[Any]:
    """The values that literals and enumerations leave; none where any text would do."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return list(arguments)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return sorted(each.value for each in annotation)
    if typing.get_origin(annotation) not in {Union, types.UnionType}:
        return []
    parts = [each for each in arguments if each is not type(None)]
    closed = {id(each): choices_of(each) for each in parts}
    has_enum = any(isinstance(each, type) and issubclass(each, enum.Enum) for each in parts)
    open_ = [each for each in parts if not closed[id(each)] and not (has_enum and each is str)]
    return [] if open_ else [value for each in parts for value in closed[id(each)]]


def _plain(value: Any) -> Any:
    """A default as JSON has it; what JSON cannot say as Python shows it."""
    if isinstance(value, enum.Enum):
        return value.value
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return str(value) if isinstance(value, Path) else repr(value)


def text(value: Json) -> str:
    """A schema as its file has it."""
    return _lines(value, 0) + "\n"


def _lines(value: Any, depth: int) -> str:
    if not isinstance(value, dict) or depth >= KEYS_DEPTH or not value:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    pad = " " * (depth + 1)
    lines = [f"{pad}{json.dumps(key)}: {_lines(value[key], depth + 1)}" for key in sorted(value)]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def extract(framework: str) -> Json:
    """What the framework's own folder extracts from the installed package."""
    found: Json = importlib.import_module(f"contracts.{framework}.extract").extract()
    return found


def written(framework: str) -> Path:
    """Where the schema of a framework is committed."""
    return ROOT / "scaffolder" / "frameworks" / framework / "schema.json"


def main(framework: str) -> None:
    path = written(framework)
    path.write_text(text(extract(framework)), "utf-8")
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1])

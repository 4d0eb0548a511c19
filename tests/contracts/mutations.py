"""Rendered projects with one thing changed: what breaks a file, and what must not matter.

The same seed gives the same changes; `torture.py` makes and judges them.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from scaffolder.schema import Key

Change = tuple[str, str]
"""What was done, in words, and the text of the file after it."""
LINE = re.compile(r"(?P<pad>\s*)(?P<key>[\w-]+):(?P<gap> *)(?P<value>[^#\n]*?)(?P<rest>\s*(#.*)?)$")
NUMBERS: tuple[Any, ...] = (
    "-1",
    "0",
    ".inf",
    "-.inf",
    ".nan",
    "eight",
    "[1]",
    "true",
    "{a: 1}",
    "",
)
WORDS: tuple[str, ...] = ("7", "[a, 3]", "{a: 1}", "''", "true")
TRUTHS: tuple[str, ...] = ("maybe", "2", "[true]", "ture", "{a: 1}", "0.5")
LISTS: tuple[str, ...] = ("{a: 1}", "7", "[[a]]", "true")
LEGAL = {
    "learning_rate": "3.0e-6",
    "lr": "3.0e-6",
    "logging_steps": "5",
    "save_steps": "50",
    "save_freq": "50",
    "seed": "7",
    "num_train_epochs": "2",
    "epochs": "2.5",
    "total_epochs": "2",
    "warmup_steps": "10",
    "lr_warmup_steps_ratio": "0.1",
    "temperature": "0.7",
    "kl_loss_coef": "0.01",
    "run_name": "another-name",
    "experiment_name": '"another name: 2"',
    "output_dir": "outputs/another",
    "default_local_dir": "outputs/another",
    "save_total_limit": "5",
    "gpu_memory_utilization": "0.6",
    "weight_decay": "0.1",
}
"""Keys of any framework, and other values that they may have."""
SETTLED = {"output_dir", "data_path", "deepspeed", "fsdp", "local_rank", "algorithm", "bf16"}
"""Keys whose default is not what happens without them, or not on this machine."""


class Mutation(NamedTuple):
    """One change of one file."""

    file: str
    what: str
    text: str


def is_id(model: object) -> bool:
    """Whether a model may be one of the Hub, which is not asked; `smoke/model` is made later."""
    return isinstance(model, str) and re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model) is not None


def lines_of(text: str) -> list[tuple[int, re.Match[str]]]:
    """The `key: value` lines, by number."""
    found = ((number, LINE.match(line)) for number, line in enumerate(text.splitlines()))
    return [(number, match) for number, match in found if match and match["key"]]


def put(text: str, number: int, *lines: str) -> str:
    """Other lines in place of one."""
    every = text.splitlines()
    return "\n".join([*every[:number], *lines, *every[number + 1 :], ""])


def typo(word: str, chance: random.Random) -> str:
    """A word as hasty fingers write it."""
    letters = [place for place, letter in enumerate(word) if letter.isalnum()]
    if not letters:
        return word + "x"
    place = chance.choice(letters)
    following = word[place + 1 : place + 2]
    changed = [word[:place] + word[place + 1 :], word[:place] + word[place] * 2 + word[place + 1 :]]
    if following.isalnum():
        changed.append(word[:place] + following + word[place] + word[place + 2 :])
    return chance.choice([each for each in changed if each and each != word] or [word + "x"])


def of_a_key(text: str, chance: random.Random) -> Change:
    """A key misspelled, gone, or there twice."""
    number, found = chance.choice(lines_of(text))
    line, key = text.splitlines()[number], found["key"]
    wrong = chance.choice([typo(key, chance), key.replace("_", "-", 1)])
    if wrong != key and chance.random() < 0.6:
        return f"{key} -> {wrong}", put(text, number, line.replace(key, wrong, 1))
    if found["value"] and chance.random() < 0.5:
        return f"without {key}", put(text, number)
    return f"{key} twice", put(text, number, line, line)


def of_a_value(text: str, chance: random.Random) -> Change:
    """Another value: of another kind, out of all bounds, misspelled."""
    number, found = chance.choice([each for each in lines_of(text) if each[1]["value"]])
    value = chance.choice(wrong_values(found["value"], chance))
    line = f"{found['pad']}{found['key']}: {value}{found['rest']}"
    return f"{found['key']}: {found['value']} -> {value}", put(text, number, line)


def wrong_values(value: str, chance: random.Random) -> Sequence[str]:
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, bool):
        return TRUTHS
    if isinstance(parsed, int | float):
        return (*NUMBERS, f"-{value}", str(parsed * 3 + 1), f"{parsed + 0.5:g}", str(parsed * 3))
    if isinstance(parsed, list):
        return (*LISTS, value.replace("[", "", 1), value.replace("]", "", 1))
    wrong = typo(str(parsed), chance)
    return (*WORDS, wrong, wrong, wrong, typo(str(parsed), chance), '""', "nonsense", "null")


def of_the_syntax(text: str, chance: random.Random) -> Change:
    """What YAML itself stumbles over, or takes for something else."""
    number, found = chance.choice([each for each in lines_of(text) if each[1]["value"]])
    pad, key, value, rest = (found[name] for name in ("pad", "key", "value", "rest"))
    changed = {
        "an open quote": f'{pad}{key}: "{value.strip(chr(34))}{rest}',
        "another open quote": f"{pad}{key}: '{value.strip(chr(34))}{rest}",
        "no colon": f"{pad}{key} {value}{rest}",
        "no blank": f"{pad}{key}:{value.strip(chr(34))}{rest}",
        "a tab": f"\t{key}: {value}{rest}",
        "moved in": f"  {pad}{key}: {value}{rest}",
        "an open bracket": f"{pad}{key}: [{value}{rest}",
        "an open brace": f"{pad}{key}: {{{value}{rest}",
        "two values": f"{pad}{key}: {value}: 3{rest}",
    }
    what = chance.choice(sorted(changed))
    return f"{key}: {what}", put(text, number, changed[what])


@dataclass(frozen=True)
class Added:
    """Keys that the file does not have, with values that are mostly wrong."""

    keys: Mapping[str, Key]

    def __call__(self, text: str, chance: random.Random) -> Change:
        present = {found["key"] for _, found in lines_of(text)}
        flat = [key for key in sorted(self.keys) if "." not in key and key not in present]
        if not flat:
            return of_a_value(text, chance)
        key = self.keys[chance.choice(flat)]
        value = chance.choice(self.values(key))
        return f"+ {key.name}: {value}", f"{text.rstrip()}\n{key.name}: {value}\n"

    def values(self, key: Key) -> Sequence[str]:
        """By what the key's type says first."""
        first = key.type.partition(" ")[0].partition("[")[0]
        kinds = {"bool": TRUTHS, "int": NUMBERS, "float": NUMBERS, "list": LISTS, "dict": LISTS}
        return kinds.get(first, ("nonsense", *WORDS))


def of_a_script(text: str, chance: random.Random) -> Change:
    """A letter or a line of a script that is gone, or a number that is another."""
    every = text.splitlines()
    number = chance.choice([n for n, line in enumerate(every) if line.strip()[:1] not in {"", "#"}])
    line = every[number]
    numbers = list(re.finditer(r"(?<![\w$.-])\d+(?![\w.>])", line))
    brackets = [place for place, letter in enumerate(line) if letter in "\"'()[]{}"]
    names = list(re.finditer(r"[\w./-]+\.(?:py|yaml|sh|jsonl)\b|--\w+|(?<=-m )[\w.]+", line))
    ways: list[tuple[str, list[Any]]] = [
        ("a bracket", brackets),
        ("a number", numbers),
        ("a name", names),
    ]
    usable = [(what, places) for what, places in ways if places]
    if not usable:
        return f"line {number + 1} gone: {line.strip()}", put(text, number)
    what, places = chance.choice(usable)
    place: int | re.Match[str] = chance.choice(places)
    if isinstance(place, int):
        changed = line[:place] + line[place + 1 :]
    else:
        word = str(int(place[0]) + 1) if what == "a number" else typo(place[0], chance)
        changed = line[: place.start()] + word + line[place.end() :]
    return f"line {number + 1}: {changed.strip()}", put(text, number, changed)


def other(text: str, keys: Mapping[str, Key], chance: random.Random) -> Change:
    """Another value that is as good, or a default that is written down."""
    usable = [each for each in lines_of(text) if each[1]["key"] in LEGAL]
    if usable and chance.random() < 0.5:
        number, found = chance.choice(usable)
        value = LEGAL[found["key"]]
        return f"{found['key']}: {value}", put(
            text, number, f"{found['pad']}{found['key']}: {value}{found['rest']}"
        )
    present = {found["key"] for _, found in lines_of(text)}
    flat = [key for key in keys.values() if "." not in key.name and key.name not in present]
    plain = [key for key in flat if isinstance(key.default, bool | int | float | str)]
    plain = [key for key in plain if key.name not in present | SETTLED and key.default != ""]
    if not plain:
        return commented(text, chance)
    key = chance.choice(sorted(plain, key=lambda each: each.name))
    said = json.dumps(key.default)
    return f"+ {key.name}: {said}", f"{text.rstrip()}\n{key.name}: {said}\n"


def harmless(text: str, chance: random.Random) -> Change:
    """What a file says in another way, and means the same."""
    ways = [commented, reordered, quoted, respelled, respelled, spaced]
    for way in chance.sample(ways, len(ways)):
        if (change := way(text, chance)) and yaml.safe_load(change[1]) == yaml.safe_load(text):
            return change
    return "nothing", text


def commented(text: str, chance: random.Random) -> Change:
    number = chance.randrange(len(text.splitlines()))
    line = text.splitlines()[number]
    note = "# a note: with 'quotes', [brackets] and 100 %"
    return "a comment", put(text, number, note, line) if chance.random() < 0.5 else text + note


def reordered(text: str, chance: random.Random) -> Change:
    """The keys of the top level with what is below them."""
    parts = re.split(r"(?m)^(?=[\w\"'-]+:)", text)
    head, blocks = parts[0], parts[1:]
    chance.shuffle(blocks)
    return "reordered", head + "".join(block.rstrip("\n") + "\n" for block in blocks)


def quoted(text: str, chance: random.Random) -> Change | None:
    """Text between quotes, or without them."""
    usable = [
        each for each in lines_of(text) if re.fullmatch(r"\"?[A-Za-z][\w/.-]*\"?", each[1]["value"])
    ]
    number, found = chance.choice(usable)
    bare = found["value"].strip('"')
    said = chance.choice([f'"{bare}"', f"'{bare}'", bare])
    return f"{found['key']}: {said}", put(
        text, number, f"{found['pad']}{found['key']}: {said}{found['rest']}"
    )


def respelled(text: str, chance: random.Random) -> Change | None:
    """Other spellings of numbers, truth values and lists."""
    usable = [each for each in lines_of(text) if each[1]["value"]]
    number, found = chance.choice(usable)
    value = yaml.safe_load(found["value"])
    ways: list[str] = []
    if isinstance(value, bool):
        ways = ["yes", "True", "on", "TRUE"] if value else ["no", "False", "off"]
    elif isinstance(value, float):
        ways = [f"{value:.12f}", f"{value:.3e}", f"+{value:.12f}"]
    elif isinstance(value, int):
        ways = [f"+{value}", hex(value)]
    elif isinstance(value, list):
        ways = ["".join(f"\n{found['pad']}  - {each}" for each in value)]
    if not ways:
        return None
    said = chance.choice(ways)
    return f"{found['key']}: {said!r}", put(text, number, f"{found['pad']}{found['key']}: {said}")


def spaced(text: str, chance: random.Random) -> Change:
    number, found = chance.choice([each for each in lines_of(text) if each[1]["value"]])
    line = f"{found['pad']}{found['key']}:   {found['value']}   "
    return "more blanks", "---\n" + put(text, number, "", line, "")

"""Text to fill generated rollouts with: long corpora made once, of which slices are taken.

A slice costs a copy, so text comes at the speed of memory; and what matters to a parser is kept:
how often a character must be escaped, and how often it is not ASCII.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

CORPUS_CHARACTERS = 900_000
LONGEST = 420_000
"""Characters of the longest slice."""

VOCABULARY = {
    "english": (
        "the of to and in is that for it as with be on by this are from at which have or can we if "
        "then each all one two so not but when after before total number value result first second "
        "answer question step check table column order report budget invoice meeting customer and "
        "query function loop index length river bridge engine signal market price share server the "
        "water light garden window letter station museum captain harbour journal method sample of "
        "compare explain consider therefore because however between under about every other same"
    ),
    "russian": "и в не на что это как он она мы если число ответ задача шаг затем вопрос река",
    "german": "und die für über schön größer müssen nächste Straße können Maß führt während",
    "spanish": "el la que según también día número añadir corazón más está país después razón",
    "names": "count total items rows left right best cache path node score limit data parts seen",
}
WORDS = {language: words.split() for language, words in VOCABULARY.items()}
ENGLISH, NAMES = WORDS["english"], WORDS["names"]
HANZI = "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学"
SYMBOLS = (
    "\u2019\u2014\u201c\u201d\u2192\u2248\u2013\u2022\u00e9\u00d7\u2264\u2026\u00b0\u2713\U0001f600"
)
"""Quotes, dashes, arrows and the like, as models write them."""


class Corpus(NamedTuple):
    text: str
    starts: list[int]
    """Where a slice may begin, ascending; each leaves room for the longest slice."""

    def slice(self, random: Random, characters: int) -> str:
        start = self.starts[int(random.random() * len(self.starts))]
        return self.text[start : start + characters]


def corpora() -> dict[str, Corpus]:
    """Every kind of text by its name. The same on every call."""
    makers: dict[str, Callable[[Random], str]] = {
        "prose": _prose,
        "typeset": _typeset,
        "maths": _maths,
        "code": _code,
        "listing": _listing,
        "chinese": _chinese,
    }
    for language in ("russian", "german", "spanish"):
        makers[language] = partial(_sentence, words=WORDS[language])
    return {name: _corpus(name, make) for name, make in makers.items()}


def _corpus(name: str, make: Callable[[Random], str]) -> Corpus:
    random = Random(name)
    pieces, starts, at = [], [], 0
    while at < CORPUS_CHARACTERS:
        piece = make(random)
        pieces.append(piece)
        starts.append(at)
        at += len(piece)
    return Corpus("".join(pieces), starts[: bisect_right(starts, at - LONGEST)])


def _sentence(random: Random, words: list[str]) -> str:
    chosen = " ".join(random.choices(words, k=random.randrange(5, 22)))
    return f"{chosen.capitalize()}. "


def _prose(random: Random) -> str:
    """Sentences, with the paragraphs, bullets and headings that models like."""
    sentence = _sentence(random, ENGLISH)
    kind = random.random()
    if kind < 0.25:
        return f"{sentence}\n\n"
    if kind < 0.5:
        return f"- **{random.choice(ENGLISH)}**: {sentence}\n"
    if kind < 0.55:
        return f'\n## {sentence}\n\nIt says "{random.choice(ENGLISH)}". '
    if kind < 0.6:
        return rf"{sentence}Here \( {random.choice('xyzn')}_{{{random.randrange(9)}}} \ge 0 \). "
    return sentence


def _typeset(random: Random) -> str:
    """Prose with a character here and there that is not ASCII."""
    prose = _prose(random)
    return f"{random.choice(SYMBOLS)} {prose}" if random.random() < 0.8 else prose


def _maths(random: Random) -> str:
    """Sentences between formulas in LaTeX."""
    a, b, c = random.randrange(2, 99), random.randrange(2, 99), random.choice("xyzabn")
    formulas = (
        rf"\( {c}_{{{a}}} = \frac{{{b}}}{{{a}}} \times \left( {a} \right) \)",
        rf"$${c}^2 + {a}{c} \le \sqrt{{{b}}}$$" + "\n",
        f"{a} * {b} = {a * b}\n",
        rf"\[ \sum_{{i=1}}^{{{a}}} {c}_i \cdot {b} \]" + "\n\n",
    )
    return f"{_sentence(random, ENGLISH)}{random.choice(formulas)} "


def _code(random: Random) -> str:
    """Lines of code, indented."""
    one, two = random.choices(NAMES, k=2)
    lines = (
        f"    {one} = {two}[{random.randrange(9)}] + {random.randrange(99)}\n",
        f"        if {one} < len({two}):\n            {one} += 1\n",
        f'    print(f"{one} is {{{two}}}", end="")\n',
        f"\ndef {one}_{two}({one}: int, {two}: list[int]) -> int:\n",
        f"    # {_sentence(random, ENGLISH)}\n",
        f"    return max({two}, key=lambda {one}: {one} % {random.randrange(2, 9)})\n",
    )
    return random.choice(lines)


def _listing(random: Random) -> str:
    """What tools return: JSON objects, one after another."""
    title = _sentence(random, ENGLISH).strip()
    tags = ", ".join(f'"{word}"' for word in random.choices(ENGLISH, k=2))
    number = random.randrange(10**6)
    body = r"\n".join(_sentence(random, ENGLISH) for _ in range(5))
    return (
        f'{{"id": {number}, "title": "{title}", "score": {number / 10**6}, "tags": [{tags}], '
        f'"body": "{body}"}},\n'
    )


def _chinese(random: Random) -> str:
    return "".join(random.choices(HANZI, k=random.randrange(5, 20))) + random.choice("\uff0c\u3002")

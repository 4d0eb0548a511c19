"""Write the table of frameworks and algorithms into README.md.

python examples/readme_table.py
"""

from pathlib import Path

from scaffolder.frameworks import discover
from scaffolder.vocabulary import ALGORITHMS

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- frameworks: begin -->\n", "<!-- frameworks: end -->"


def table() -> str:
    """What discovery offers, as Markdown."""
    frameworks = list(discover().values())
    offered = [word for word in ALGORITHMS if any(word in each.algorithms for each in frameworks)]
    rows = [
        ["framework", *offered, "topologies", "patterns"],
        ["---"] * (len(offered) + 3),
        *(
            [
                f"[{each.title}]({each.homepage}) {each.version}",
                *("yes" if word in each.algorithms else "" for word in offered),
                ", ".join(each.topologies),
                ", ".join(each.patterns),
            ]
            for each in frameworks
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def updated(readme: str) -> str:
    """The README with the table of today."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(updated(README.read_text("utf-8")), "utf-8")
    print(f"wrote {README.name}")

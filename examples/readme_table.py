"""Write the table of frameworks and algorithms into README.md and the page on choosing.

python examples/readme_table.py
"""

import os
from pathlib import Path

from scaffolder.frameworks import discover
from scaffolder.vocabulary import ALGORITHMS

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "choosing.md")
BEGIN, END = "<!-- frameworks: begin -->\n", "<!-- frameworks: end -->"


def table(folder: Path) -> str:
    """What discovery offers, as Markdown.

    Args:
        folder: from where the links are seen.
    """
    frameworks = list(discover().values())
    offered = [word for word in ALGORITHMS if any(word in each.algorithms for each in frameworks)]
    docs = os.path.relpath(ROOT / "docs" / "frameworks", folder)
    rows = [
        ["framework", *offered, "topologies", "patterns"],
        ["---"] * (len(offered) + 3),
        *(
            [
                f"[{each.title}]({docs}/{each.name}.md) {each.version}",
                *("yes" if word in each.algorithms else "" for word in offered),
                ", ".join(each.topologies),
                ", ".join(each.patterns),
            ]
            for each in frameworks
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def updated(page: Path) -> str:
    """Its text with the table of today."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    return before + BEGIN + table(page.parent) + END + rest.split(END)[1]


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page), "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")

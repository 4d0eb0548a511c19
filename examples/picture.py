"""Draw docs/pictures/new.svg: `rl-scaffolder new` on a terminal of 80 x 24, as it really goes.

python examples/picture.py            # write it
python examples/picture.py --check    # 1 where the program says something else today
"""

import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "new.svg"
ROLLOUTS = ROOT / "examples" / "rollouts" / "shop.jsonl"
WIDTH, HEIGHT = 80, 24
COMMAND = ("new", "my-project")
ENTER, UP = "\r", "\x1b[A"
SAID = {
    "Where are the rollouts": ENTER,
    "Which framework": ENTER,
    "Which algorithm": UP + ENTER,
    "Which weights": ENTER,
    "How many machines": ENTER,
    "How many GPUs": "2" + ENTER,
    "How much memory": ENTER,
    "Which model": ENTER,
    "Where should the loss curve go": ENTER,
    "Change learning rate": ENTER,
    "Write the project": ENTER,
}
"""What a person presses at each question."""
HOME = "/home/someone"
"""As long as the folder in which it runs, so that lines and tables are as wide."""
END = "The same again"
"""From here on it only repeats the answers, as a command."""


def conversation(folder: Path) -> str:
    """All that the program writes to the terminal."""
    shutil.copy(ROLLOUTS, folder / "rollouts.jsonl")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TERM": "xterm-256color"}
    written = io.StringIO()
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "scaffolder", *COMMAND],
        cwd=str(folder),
        encoding="utf-8",
        timeout=120,
        dimensions=(HEIGHT, WIDTH),
        # A terminal says where its cursor is, and is waited for a second where it does not.
        env={**os.environ, **own, "PROMPT_TOOLKIT_NO_CPR": "1"},
    )
    terminal.logfile_read = written
    for question, keys in SAID.items():
        terminal.expect(question)
        terminal.send(keys)
    terminal.expect(pexpect.EOF)
    terminal.close()
    if terminal.exitstatus:
        sys.exit(f"error: it ended with {terminal.exitstatus}:\n{written.getvalue()}")
    return written.getvalue().replace(str(folder), HOME)


def shown(written: str) -> Iterator[Text]:
    """The lines of the terminal, and those that have left it at the top."""
    screen = pyte.HistoryScreen(WIDTH, HEIGHT, history=1000)
    pyte.Stream(screen).feed(f"$ rl-scaffolder {' '.join(COMMAND)}\r\n{written}")
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(HEIGHT))]
    for row in rows:
        runs = groupby((row[at] for at in range(WIDTH)), style)
        line = Text.assemble(*(("".join(cell.data for cell in run), each) for each, run in runs))
        line.rstrip()
        if line.plain.startswith(END):
            return
        yield line


def style(cell: Any) -> Style:
    names = {"default": None, "brown": "yellow", "brightbrown": "bright_yellow"}
    colour = names.get(cell.fg, cell.fg.replace("bright", "bright_"))
    if colour and len(colour) == 6 and set(colour) <= set("0123456789abcdef"):
        colour = f"#{colour}"
    return Style(color=colour, bold=cell.bold, italic=cell.italics, underline=cell.underscore)


def picture() -> str:
    # Eight letters of chance: as long as HOME.
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as folder:
        written = conversation(Path(folder))
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in shown(written):
        console.print(line)
    return console.export_svg(title="rl-scaffolder", unique_id="new")


def words(svg: str) -> list[str]:
    """What stands in it, however it is drawn."""
    return re.findall(r"<text[^>]*>([^<]+)<", svg)


def main() -> None:
    drawn = picture()
    if "--check" not in sys.argv:
        PICTURE.write_text(drawn, "utf-8")
        print(f"wrote {PICTURE.relative_to(ROOT)}")
    elif words(PICTURE.read_text("utf-8")) != words(drawn):
        sys.exit(f"error: {PICTURE.relative_to(ROOT)} is not what the program shows: make examples")


if __name__ == "__main__":
    main()

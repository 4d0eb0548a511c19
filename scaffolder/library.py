"""The one way to the library that projects use, `rl_rollouts`: in a checkout the folder beside this
package, in an installed tool the wheel that the package carries.

The tool calls what projects call, so that both read configs, rows and rollouts with the same code.
`python -m scaffolder.library FOLDER` writes the wheel, which the tool's own build carries along.
"""

import base64
import hashlib
import importlib
import io
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from rl_rollouts.config import Lines
    from rl_rollouts.data.named import Keys
    from scaffolder.vocabulary import Algorithm, DatasetKind

NAME = "rl_rollouts"
PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent / "runtime"
CARRIED = PACKAGE / "_library"
CARRIED_SUFFIXES = {".py", ".json", ".css", ".typed"}
VENDOR = "vendor"
"""Folder of a project with the wheel."""
WHEELS = f"{VENDOR}/{NAME}-*.whl"
"""The wheel of any version, as git and Python match paths."""
DATE = (1980, 1, 1, 0, 0, 0)
"""Of all files in it: the same sources give the same bytes."""


def load(name: str) -> "ModuleType":
    """A module of the library, by its name within it.

    It is the tool's own, first on Python's path: a project in the current folder may have another.
    """
    place = str(_place())
    if sys.path[0] != place:
        sys.path.insert(0, place)
    return importlib.import_module(f"{NAME}.{name}")


def place() -> str:
    """What Python's path needs for it, in a process of its own."""
    return str(_place())


def dataset_kind(algorithm: "Algorithm") -> "DatasetKind":
    """What an algorithm reads; the library has the one map of it."""
    kind: DatasetKind = load("values").KINDS[algorithm]
    return kind


def max_bad_share() -> float:
    """Share of lines that may be no rollouts before a project's scripts stop."""
    share: float = load("values").MAX_BAD_SHARE
    return share


def imitated_from() -> float:
    """Lowest reward that projects for sft keep."""
    reward: float = load("values").IMITATED_FROM
    return reward


def keys(text: str) -> "Keys":
    """Names that rollouts have for what is read, checked.

    Raises:
        the library's UserError: for a name that is not read.
    """
    pairs = [tuple(word.split("=", 1)) for word in text.split()]
    found: Keys = load("data.named").keys_of(pairs)
    return found


def read_lines(path: Path) -> "Lines":
    """A YAML file as it is written, read as projects read it; see there."""
    lines: Lines = load("config").read_lines(path)
    return lines


@cache
def wheel() -> tuple[str, bytes]:
    """Name and content of the library's wheel."""
    if _is_checkout():
        return build(CHECKOUT)
    carried = _place()
    return carried.name, carried.read_bytes()


def path() -> str:
    """Where the wheel lies in a project."""
    return f"{VENDOR}/{wheel()[0]}"


def put(project: Path) -> str:
    """Put the wheel into a project that has none; its path there."""
    (project / VENDOR).mkdir(exist_ok=True)
    (project / path()).write_bytes(wheel()[1])
    return path()


def version(wheel: str) -> str:
    """Of a wheel, by its name or path."""
    return Path(wheel).name.split("-")[1]


def build(source: Path) -> tuple[str, bytes]:
    """A wheel of the folder with the library's pyproject.toml.

    Its version ends with the first letters of its content's hash: what pip has installed of another
    content it replaces, and what it has of this one it keeps.
    """
    package = source / NAME
    names = (p for p in package.rglob("*") if p.suffix in CARRIED_SUFFIXES)
    files = {p.relative_to(source).as_posix(): p.read_bytes() for p in sorted(names)}
    number = _version(package)
    version = f"{number}+{_content(files, _metadata(source, number))}"
    notes = f"{NAME}-{version}.dist-info"
    files[f"{notes}/METADATA"] = _metadata(source, version).encode()
    files[f"{notes}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: rl-scaffolder\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    record = f"{notes}/RECORD"
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    return f"{NAME}-{version}-py3-none-any.whl", _zipped(files)


def _is_checkout() -> bool:
    return (CHECKOUT / NAME).is_dir()


@cache
def _place() -> Path:
    """What is put on Python's path."""
    return CHECKOUT if _is_checkout() else next(CARRIED.glob(f"{NAME}-*.whl"))


def _version(package: Path) -> str:
    text = (package / "__init__.py").read_text("utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def _content(files: "Mapping[str, bytes]", metadata: str) -> str:
    digest = hashlib.sha256(metadata.encode())
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return "t" + digest.hexdigest()[:12]


def _metadata(source: Path, version: str) -> str:
    """Source: the core metadata specification, version 2.1."""
    described = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {described['name']}",
        f"Version: {version}",
        f"Summary: {described['description']}",
        f"License: {described['license']}",
        f"Requires-Python: {described['requires-python']}",
        *(f"Requires-Dist: {each}" for each in described["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*lines, "", (source / "README.md").read_text("utf-8")])


def _digest(content: bytes) -> str:
    """As RECORD has it. Source: the binary distribution format (PEP 427)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zipped(files: "Mapping[str, bytes]") -> bytes:
    """Not compressed: what compresses is not the same everywhere, and git does it anyway, with only
    the difference between two versions."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def main(folder: Path) -> Path:
    """Write the wheel into a folder."""
    name, content = build(CHECKOUT)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))

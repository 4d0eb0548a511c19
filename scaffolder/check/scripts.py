"""The launch scripts, as bash reads them, and the names in them; none of them is run.

A name is wrong where nothing has it and one that should be there looks like it. What an owner adds
is left alone.
"""

import ast
import difflib
import itertools
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from scaffolder.check.script import Script, names, read
from scaffolder.project import Finding, Project

NEAR = 0.75
"""How alike two words are of which one is the other with a slip; see difflib."""
NAME = r"[A-Za-z_]\w*"
SET = rf"\b({NAME})(?=\+?=)|\b(?:for|read|local|export)(?: -\w+)* +({NAME})"
USED = rf"\$(?:({NAME})|\{{#?({NAME})(?:\[[@*]\])?\}})"
COUNTED = r"\(\(([^()]*)\)\)"
"""What bash calculates, where names stand for variables."""
FILE = r"(?<![\w./$}])((?:\./)?\w[\w./-]*\.\w+)"
OPTION, MODULE = r"(?<![\w-])(--[\w-]+)", r"-m '?([\w.]+)"
PATTERN, PYTHON = r"\bgrep\b[^']*'([^']*)'", r"-c '([^']*)'"
COMMAND = (
    r"(?:^|[;|&(`]|\$\(|\b(?:if|then|else|elif|do|while|until|!|exec|setsid)\s)\s*"
    rf"(?:{NAME}=\S*\s+)*([a-z][\w-]*)(?=[\s;)|&]|$)"
)
NEEDED = (".py", ".yaml", ".yml", ".sh")
"""Ends of files that have to be there, whatever they are called."""
WRITTEN = ("training_data.jsonl",)
"""What other commands write before the launch."""
OPTIONS = ("--query-gpu", "--format", "--delimiter", "--fields", "--data_path", "--config")
_COMMANDS = (
    "if then else elif fi for in do done while until case esac break cd command continue echo eval "
    "exec exit export false hash kill let local printf pwd read return set shift source test time "
    "trap true type ulimit umask unset wait cat cut date env grep head mkdir nproc nvidia-smi rm "
    "sed paste seq setsid sleep srun sort tail tee timeout torchrun tr wc"
)
COMMANDS = frozenset(_COMMANDS.split())
"""Words of bash, and programs that launch scripts call."""


def check(project: Project) -> Iterator[Finding]:
    found = [read(project.path, name) for name in names(project)]
    scripts = [each for each in found if isinstance(each, Script)]
    yield from (each for each in found if isinstance(each, Finding))
    broken = [finding for each in scripts for finding in _syntax(project.path, each)]
    yield from broken or _named(project, scripts)


def _syntax(folder: Path, script: Script) -> Iterator[Finding]:
    bash = shutil.which("bash")
    if bash is None:
        return
    command = [bash, "-n", script.name]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return
    if done.returncode or done.stderr:
        said = re.search(r"line (\d+): (.*)", done.stderr)
        problem = f"bash cannot read it: {said[2] if said else done.stderr.strip()}"
        remedy = "Mend it: a quote, a bracket or a word is missing there, or before."
        yield script.finding(problem, remedy, int(said[1]) if said else None)


def _named(project: Project, scripts: Iterable[Script]) -> Iterator[Finding]:
    scripts = list(scripts)
    text = "\n".join(script.text for script in scripts)
    for script in scripts:
        yield from _brackets(script)
        yield from _quoted(script)
        yield from _files(project, script)
        yield from _options(project, script, text)
        yield from _commands(script, text)
        yield from _variables(script, text)


def _brackets(script: Script) -> Iterator[Finding]:
    """Expansions that lost one: bash reads on, and finds it when it runs."""
    for line in script.lines:
        goes_on = line.bare.rstrip().endswith("{") or line.bare.lstrip().startswith("}")
        counts = {letter: line.bare.count(letter) for letter in "[]{}"}
        even = goes_on or counts["{"] == counts["}"]
        if counts["["] != counts["]"] or not even:
            yield script.finding("a bracket is missing, or too many", "Mend it.", line.number)


def _quoted(script: Script) -> Iterator[Finding]:
    """What stands between quotes for other programs, which bash does not look into."""
    for number, pattern in script.all(PATTERN):
        if pattern.count("[") != pattern.count("]") or pattern.count("(") != pattern.count(")"):
            yield script.finding(f"the pattern {pattern} has an open bracket", "Close it.", number)
    for number, text in script.all(PYTHON):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError) as error:
            yield script.finding(f"this is no Python: {error}", "Mend it.", number)


def _files(project: Project, script: Script) -> Iterator[Finding]:
    there = [*(path.name for path in project.path.glob("*")), *WRITTEN]
    there += [f"launch/{path.name}" for path in project.path.glob("launch/*")]
    for number, name in script.all(FILE):
        if name in WRITTEN or (project.path / name).is_file():
            continue
        problem = f"{name}, which it names, is not there"
        slips = list(_slip(script, number, name, there, problem))
        yield from slips
        if not slips and name.endswith(NEEDED):
            yield script.finding(problem, "Correct the name, or bring it back.", number)


def _options(project: Project, script: Script, text: str) -> Iterator[Finding]:
    """Options and modules that were planned, and stand there with a slip."""
    plan = project.plan
    words = [*OPTIONS, *plan.launcher, *plan.node_flags.values()]
    words += [*plan.server.command, plan.server.address_option] if plan.server else []
    planned = {word.partition("=")[0] for word in words if word.startswith("--")}
    modules = {word for before, word in itertools.pairwise(words) if before == "-m"}
    for pattern, known in ((OPTION, planned), (MODULE, modules)):
        gone = known - set(re.findall(pattern, text))
        for number, word in script.all(pattern):
            if word not in known:
                yield from _slip(script, number, word, gone, f"{word} is not what was planned")


def _commands(script: Script, text: str) -> Iterator[Finding]:
    own = set(re.findall(rf"(?m)^\s*({NAME})\s*\(\)", text))
    known = sorted(COMMANDS | own)
    for line in script.lines:
        for word in re.findall(COMMAND, re.sub(r"=\([^$]*$", "", line.bare)):
            if word not in known and not shutil.which(word):
                yield from _slip(script, line.number, word, known, f"there is no command {word}")


def _variables(script: Script, text: str) -> Iterator[Finding]:
    """A variable that is nowhere set ends a script (`set -u`)."""
    known = {name for match in re.findall(SET, text) for name in match if name}
    for line in script.lines:
        used = [name for match in re.findall(USED, line.bare) for name in match if name]
        counted = re.findall(COUNTED, line.bare)
        used += [name for inner in counted for name in re.findall(rf"\b{NAME}", inner)]
        for name in used:
            problem = f"the variable {name} is nowhere set"
            if name not in known and name.islower():
                yield script.finding(problem, "Mend the name, or set it.", line.number)
            elif name not in known:  # It may come from outside.
                yield from _slip(script, line.number, name, known, problem)


def _slip(
    script: Script, line: int, word: str, known: Iterable[str], problem: str
) -> Iterator[Finding]:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=NEAR)
    if near:
        yield script.finding(problem, f"Did you mean {near[0]}?", line)

"""The library as projects get it: one wheel, the same from the same sources, that runs unopened."""

import shutil
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import LIBRARY, ROOT, SAMPLE, Result, run
from rl_rollouts import __version__
from scaffolder import library
from scripts import ENVIRONMENT, everything

KINDS = ("sft", "preference", "unpaired", "prompts")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library.main(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def project(new: Callable[..., Path]) -> Path:
    return new("p", "--framework", "trl", "--algorithm", "sft")


def from_wheel(project: Path, *words: str) -> Result:
    """Python with the project's wheel on its path, and no other library."""
    (wheel,) = project.glob(library.WHEELS)
    done = run([sys.executable, *words], project, env={**ENVIRONMENT, "PYTHONPATH": str(wheel)})
    assert "Traceback" not in done.stderr, done.stderr
    return done


def copy(folder: Path) -> Path:
    """The sources, somewhere else and as somebody else would have them."""
    hidden = shutil.ignore_patterns("__pycache__")
    shutil.copytree(LIBRARY.parent, folder, ignore=hidden, copy_function=shutil.copyfile)
    return folder


def test_the_same_sources_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    sources = copy(tmp_path / "sources")
    (sources / "rl_rollouts" / "__pycache__").mkdir()
    (sources / "rl_rollouts" / "__pycache__" / "values.pyc").write_bytes(b"x")
    assert library.build(sources) == (wheel.name, wheel.read_bytes())
    before = library.version(wheel.name)
    for file in ("rl_rollouts/values.py", "rl_rollouts/report/style.css", "README.md"):
        with (sources / file).open("a") as text:
            text.write("\n")
        after = library.version(library.build(sources)[0])
        assert after != before and after.startswith(f"{__version__}+t")
        before = after


@pytest.mark.long
def test_pip_installs_it_and_puts_another_content_in_its_place(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True, system_site_packages=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    sources = copy(tmp_path / "sources")
    (sources / "rl_rollouts" / "values.py").write_text("changed = True\n")
    name, content = library.build(sources)
    (tmp_path / name).write_bytes(content)
    for each in (tmp_path / name, wheel):
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        done = run([*pip, "install", str(each)], tmp_path)
        assert done.returncode == 0, done.stderr
    assert run([*pip, "check"], tmp_path).returncode == 0
    shown = run([*pip, "show", "--files", "rl-rollouts"], tmp_path).stdout
    assert f"Version: {library.version(wheel.name)}" in shown
    assert "rl_rollouts/report/style.css" in shown and "rl_rollouts/schemas/chat.json" in shown
    said = run([python, "-c", "import rl_rollouts.values as v; print(v.Kind)"], tmp_path)
    assert "Literal" in said.stdout, said.stderr


def test_all_scripts_run_from_the_unopened_wheel(project: Path) -> None:
    rollouts = ["--input", str(SAMPLE)]
    done = from_wheel(project, "filter_rollouts.py", *rollouts, "--output", "filtered.jsonl")
    assert done.returncode == 0, done.stderr
    for kind in KINDS:
        words = ["--kind", kind, "--output", f"{kind}.jsonl", "--workers", "2"]
        done = from_wheel(project, "prepare_for_trl.py", *rollouts, *words)
        assert done.returncode == 0, done.stderr
    from_custom = [str(ROOT / "templates/{{custom}}/prepare_for_custom.py"), *rollouts]
    for kind in (*KINDS, "trajectories"):
        done = from_wheel(project, *from_custom, "--kind", kind, "--output", "rows.jsonl")
        assert done.returncode == 0, done.stderr
        done = from_wheel(project, "-m", "rl_rollouts.validate", "rows.jsonl", "--kind", kind)
        assert "rows are as they should be" in done.stdout, done.stderr
    page = ["--rollouts", str(SAMPLE), "--output", "report.html"]
    done = from_wheel(project, "-m", "rl_rollouts.report", *page)
    assert done.returncode == 0, done.stderr
    style = (LIBRARY / "report" / "style.css").read_text("utf-8").splitlines()[0]
    assert style in (project / "report.html").read_text("utf-8")
    done = from_wheel(project, "-m", "rl_rollouts.rewards.check", *rollouts)
    assert "agree" in done.stdout, done.stderr
    for module in ("smoke.tiny_model", "smoke.verify", "report.plot"):
        assert from_wheel(project, "-m", f"rl_rollouts.{module}", "--help").returncode == 0
    for script in ("evaluate.py", "export.py", "collect_rollouts.py"):
        assert from_wheel(project, script, "--help").returncode == 0


REWARD = """
import sys
sys.path.insert(0, {wheel!r})
sys.modules.update(dict.fromkeys(("msgspec", "yaml", "tqdm", "xxhash", "zstandard")))
from rl_rollouts.rewards import checked, gym, ready
print(ready.number_or_text([], "it is 4", "4", {{}}))
"""


def test_rewards_need_the_standard_library_alone(wheel: Path, tmp_path: Path) -> None:
    done = run([sys.executable, "-I", "-S", "-c", REWARD.format(wheel=str(wheel))], tmp_path)
    assert (done.stdout, done.stderr) == ("1.0\n", "")


CODE = """
import hooks
from rl_rollouts.engine.work import plan_of
print(plan_of([], [], {})["code"])
"""


def test_a_run_is_not_continued_by_other_code(wheel: Path, tmp_path: Path) -> None:
    """Neither of the user's, in whichever file and imported when, nor of the library."""
    files = {"main.py": CODE, "hooks.py": "from deeper import inner\n", "later.py": "x = 1\n"}
    for name, text in {**files, "deeper/inner.py": "x = 1\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sources = copy(tmp_path / "other" / "sources")
    with (sources / "rl_rollouts" / "data" / "build.py").open("a") as file:
        file.write("# another\n")
    name, content = library.build(sources)
    (tmp_path / name).write_bytes(content)

    def code(place: Path) -> str:
        environment = {**ENVIRONMENT, "PYTHONPATH": str(place)}
        done = run([sys.executable, "main.py"], tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    unopened, opened = code(wheel), code(LIBRARY.parent)
    assert unopened == code(wheel) and opened == code(LIBRARY.parent)
    assert code(tmp_path / name) != unopened and code(sources) != opened
    for each in ("main.py", "hooks.py", "later.py", "deeper/inner.py"):
        with (tmp_path / each).open("a") as file:
            file.write("# another\n")
        before, unopened = unopened, code(wheel)
        assert unopened != before, each


def test_make_own_unpacks_what_then_comes_first(project: Path) -> None:
    """Before the installed library, in each way that a project calls it."""
    done = run(["make", f"PYTHON={sys.executable}", "own"], project)
    assert done.returncode == 0, done.stderr
    assert not list(project.glob("*.dist-info"))
    original = everything(LIBRARY)
    unpacked = everything(project / "rl_rollouts")
    assert unpacked == {name: text for name, text in original.items() if name in unpacked}
    with (project / "rl_rollouts" / "__init__.py").open("a") as text:
        text.write('import sys\nprint("mine", file=sys.stderr)\n')
    rollouts = ["--input", str(SAMPLE)]
    for words in (
        ["filter_rollouts.py", *rollouts, "--output", "filtered.jsonl"],
        ["prepare_for_trl.py", *rollouts, "--output", "training_data.jsonl"],
        ["-m", "rl_rollouts.report", "--rollouts", str(SAMPLE), "--output", "report.html"],
        ["-m", "pytest", "-s", "-p", "no:cacheprovider", "tests/test_data.py"],
    ):
        done = from_wheel(project, *words)
        assert done.returncode == 0 and "mine" in done.stderr, (words, done.stdout)
    again = run(["make", f"PYTHON={sys.executable}", "own"], project)
    assert again.returncode == 2 and "is there already" in again.stderr


CONFIG = """\
defaults: &usual
  nodes: 2
trainer:
  <<: *usual
  name: "a: b"
  steps: 10
on: yes
"""


def test_projects_and_the_tool_read_a_config_with_the_same_code(tmp_path: Path) -> None:
    from rl_rollouts.config import read_config, read_lines
    from scaffolder.project import read_config as as_the_tool

    file = tmp_path / "c.yaml"
    file.write_text(CONFIG)
    read = read_config(file, ["trainer=1"])
    assert read.values["defaults"] == {"nodes": 2} and read.values["on"] is True
    assert (read.values["trainer"], read.places["trainer"]) == (1, "--set")
    assert read.leaves["trainer.steps"] == f"{file}:6"
    assert read_lines(file).values["trainer"] == {"nodes": 2, "name": "a: b", "steps": 10}
    tool = as_the_tool(tmp_path, "c.yaml")
    assert tool.entries == read_lines(file).entries
    assert tool.get("trainer.name") == "a: b" and tool.entry("trainer.nodes") is None


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ('a: "b\nc: 1\n', "is not YAML: found unexpected end of stream", 1),
        ("a: b: c\n", "is not YAML: mapping values are not allowed here", 1),
        ("a: *b\n", "is not YAML: found undefined alias 'b'", 1),
        ("- 1\n", "holds no `key: value` lines", None),
        ("", "holds no `key: value` lines", None),
        ("a: 2026-13-45\n", "cannot be read: month must be in 1..12", None),
        ("a: " + "[" * 5000, "cannot be read: maximum recursion", None),
        ("a: \0\n", "is not YAML", None),
    ],
)
def test_both_say_the_same_of_one_that_cannot_be_read(
    tmp_path: Path, text: str, said: str, line: int | None
) -> None:
    from rl_rollouts.config import read_config
    from rl_rollouts.errors import UserError
    from scaffolder.project import read_config as as_the_tool

    (tmp_path / "c.yaml").write_text(text)
    problem = as_the_tool(tmp_path, "c.yaml").problem
    assert problem and said in problem.problem and problem.line == line
    with pytest.raises(UserError, match="Cannot read") as caught:
        read_config(tmp_path / "c.yaml")
    assert said in caught.value.problem
    assert line is None or f"c.yaml:{line}: " in caught.value.problem

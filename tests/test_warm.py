"""The Python that has imported already runs scripts as the one that has not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import warm
from conftest import run, running

pytestmark = pytest.mark.long

WARM = ("json", "random")
SCRIPT = """
import os, random, sys
import beside
print(sys.argv[1:], __name__, __file__, sys.path[0] == os.path.dirname(os.path.abspath(__file__)))
print(os.getcwd(), os.environ["GIVEN"], sys.stdin.read(), file=sys.stderr)
sys.exit(beside.CODE)
"""
BESIDE = "CODE = 7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text(BESIDE)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("script.py", "a b", "--c"),
        ("-u", "script.py"),
        ("-m", "script", "x"),
        ("-c", "import script"),
        ("-c", "1 / 0"),
        ("-c", "raise SystemExit('words')"),
        ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        ("-S", "-c", "import sys; print('site' in sys.modules)"),
        ("none.py",),
    ],
)
def test_a_script_cannot_tell_the_difference(folder: Path, words: tuple[str, ...]) -> None:
    environment = {**os.environ, "GIVEN": "ä"}
    cold, done = (
        subprocess.run(
            [program, *words], cwd=folder, env=environment, input="typed", capture_output=True,
            text=True,
        )
        for program in (sys.executable, warm.python(*WARM))
    )  # fmt: skip
    assert done.returncode == cold.returncode or "none.py" in words
    assert done.stdout == cold.stdout
    if "Traceback" in cold.stderr:
        assert done.stderr.splitlines()[-1] == cold.stderr.splitlines()[-1]
    elif "none.py" in words:
        assert done.returncode and "none.py" in done.stderr
    else:
        assert done.stderr == cold.stderr


def test_it_has_imported_already_unless_the_libraries_would_read_other_variables() -> None:
    words = ("-c", "import sys; print('random' in sys.modules)")
    program = warm.python(*WARM)
    assert run([program, *words], Path.cwd()).stdout == "True\n"
    other = {**os.environ, "HF_HOME": "/elsewhere"}
    assert run([program, *words], Path.cwd(), env=other).stdout == "False\n"


WAITING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 9), (signal.SIGKILL, -9)])
def test_signals_reach_the_script_and_it_does_not_outlive_its_caller(sent: int, code: int) -> None:
    program = [warm.python(*WARM), "-c", WAITING]
    with running(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        script = int(process.stdout.readline())
        process.send_signal(sent)
        assert process.wait(20) == code
    deadline = time.monotonic() + 20
    while Path(f"/proc/{script}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_module_that_is_not_there_is_said() -> None:
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        warm.python("no_such_module")

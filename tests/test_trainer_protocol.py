"""Custom projects with a trainer of one's own, and with a training system that is not open."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Result
from projects import SAMPLE, curve, make, python, render, rows, until

pytestmark = pytest.mark.long

TINY_MODEL = ("-m", "rl_rollouts.smoke.tiny_model")
SYSTEM = '''
"""A training system that knows nothing of the project: it gets a job, and leaves a model."""
import json, pathlib, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

job = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
tokenizer = AutoTokenizer.from_pretrained(job["model_name_or_path"])
model = AutoModelForCausalLM.from_pretrained(job["model_name_or_path"])
lines = [line for file in job["data"] for line in open(file, encoding="utf-8")]
rows = [json.loads(line) for line in lines]
torch.manual_seed(job["seed"])
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
with open(job["log"], "w", encoding="utf-8") as log:
    for step in range(30):
        row = rows[step % len(rows)]
        chat = tokenizer.apply_chat_template(
            row["prompt"] + row["completion"], tools=row["tools"], return_tensors="pt",
            return_dict=True, truncation=True, max_length=256,
        )
        loss = model(chat["input_ids"], labels=chat["input_ids"]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        log.write(json.dumps({"step": step + 1, "loss": loss.item()}) + "\\n")
model.save_pretrained(job["checkpoint"])
tokenizer.save_pretrained(job["checkpoint"])
'''
NOTING = """
import pathlib, sys, json
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
pathlib.Path(job["checkpoint"]).mkdir()
print("started")
"""
OWN = '''
"""A trainer that is a file of the project."""
import shutil
from rl_rollouts.errors import UserError
from rl_rollouts.engine.write import files_of

class Copying:
    def train(self, data, config):
        if not config.trainer_config.get("allowed", True):
            raise UserError("It is not allowed.", "Allow it.", exit_code=7)
        print("rows", sum(len(file.read_bytes().splitlines()) for file in files_of(data)))
        print("resumes", config.resume)
        shutil.copytree(config.model_name_or_path, config.output_dir / "copied")
        return config.output_dir / "copied"

class Checking(Copying):
    def check(self, data, config):
        print("checks", data, config.trainer_config)

class Idle: pass

class Broken:
    def __init__(self):
        raise TypeError("broken inside")
    def train(self, data, config): ...

class Forgetful:
    def train(self, data, config):
        return config.output_dir / "nothing"
'''
Train = Callable[..., Result]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A custom project with prepared rows, and programs beside it."""
    folder = tmp_path_factory.mktemp("custom")
    made = render(folder, "--framework", "custom", "--algorithm", "sft")
    (made / "own_trainer.py").write_text(OWN)
    for name, text in (("system.py", SYSTEM), ("noting.py", NOTING)):
        (folder / name).write_text(text)
    model = python(
        made, "-m", "rl_rollouts.smoke.tiny_model", "--text", SAMPLE, "--output", "model"
    )
    assert model.returncode == 0, model.stderr
    words = ("--input", SAMPLE, "--output", "training_data.jsonl")
    assert python(made, "prepare_for_custom.py", *words).returncode == 0
    return made


@pytest.fixture
def train(project: Path, tmp_path: Path) -> Train:
    """train_custom.py on the prepared rows, with overrides; what it writes is in `tmp_path`."""

    def call(*words: str, data: str = "training_data.jsonl", **overrides: Any) -> Result:
        return python(project, *command_line(tmp_path, data, **overrides), *words)

    return call


def command_line(output: Path, data: str = "training_data.jsonl", **overrides: Any) -> list[str]:
    values = {"output_dir": str(output / "run"), "model_name_or_path": "model", **overrides}
    changes = [f"{key}={yaml.safe_dump(value, width=10_000)}" for key, value in values.items()]
    files = ["--data_path", data, "--config", "smoke_config.yaml"]
    return ["train_custom.py", *files, *[word for each in changes for word in ("--set", each)]]


def mine(*command: object) -> dict[str, Any]:
    """The overrides that hand the job to a command."""
    words = {"command": [str(word) for word in command]} if command else {}
    return {"trainer": "my_trainer:MyTrainer", "trainer_config": words}


# --- a system that is not open ---


@pytest.fixture(scope="module")
def smoked_with_system(project: Path) -> Result:
    """`make smoke` with the training handed to another program."""
    config = project / "smoke_config.yaml"
    before = config.read_text("utf-8")
    more = mine(sys.executable, project.parent / "system.py")
    config.write_text(before + yaml.safe_dump(more), "utf-8")
    done = make(project, "smoke")
    config.write_text(before, "utf-8")
    return done


def test_make_smoke_passes_with_a_system_of_ones_own(
    project: Path, smoked_with_system: Result
) -> None:
    done = smoked_with_system
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: smoke/run/final loads with transformers" in done.stdout
    losses = curve(project / "smoke" / "run" / "log.jsonl")
    assert list(losses) == list(range(1, 31))
    assert losses[30] < losses[1] - 1
    assert (project / "smoke" / "curve.html").is_file()
    assert (project / "smoke" / "exported" / "model.safetensors").is_file()
    assert {row["model"] for row in rows(project / "smoke" / "evaluation.jsonl")} == {
        "smoke/model",
        "smoke/run/final",
    }


def test_the_job_says_all_that_the_system_needs(project: Path, smoked_with_system: Result) -> None:
    job = json.loads((project / "smoke" / "run" / "job.json").read_text("utf-8"))
    assert job["data"] == [str(project / "smoke" / "training_data.jsonl")]
    assert job["checkpoint"] == str(project / "smoke" / "run" / "final")
    assert job["log"] == str(project / "smoke" / "run" / "log.jsonl")
    config = yaml.safe_load((project / "smoke_config.yaml").read_text("utf-8"))
    assert config.items() <= {**job, "tracker": config["tracker"]}.items()


def test_shards_are_handed_over_one_by_one(project: Path, train: Train, tmp_path: Path) -> None:
    lines = (project / "training_data.jsonl").read_bytes().splitlines(keepends=True)
    names = [f"rows-0000{n}-of-00002.jsonl" for n in (1, 2)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"".join(lines[number::2]))
    noting = mine(sys.executable, project.parent / "noting.py")
    done = train(data=str(tmp_path / "rows.jsonl"), **noting)
    assert done.returncode == 0, done.stderr
    job = json.loads((tmp_path / "run" / "job.json").read_text("utf-8"))
    assert job["data"] == [str(tmp_path / name) for name in names]
    assert f"{len(lines)} rows are as they should be" in done.stdout


def test_check_only_checks_the_rows_and_starts_nothing(
    project: Path, train: Train, tmp_path: Path
) -> None:
    done = train("--check_only", **mine(sys.executable, project.parent / "noting.py"))
    assert done.returncode == 0, done.stderr
    assert "rows are as they should be" in done.stdout and "started" not in done.stdout
    assert not (tmp_path / "run").exists()


def damaged(project: Path, folder: Path) -> str:
    """The rows with a bad one in line 2."""
    lines = (project / "training_data.jsonl").read_bytes().splitlines()
    bad = {**json.loads(lines[1]), "reward": "high"}
    (folder / "rows.jsonl").write_bytes(
        b"\n".join([lines[0], json.dumps(bad).encode(), *lines[2:]])
    )
    return str(folder / "rows.jsonl")


@pytest.mark.parametrize("words", [[], ["--check_only"]], ids=["train", "check"])
def test_bad_rows_are_named_before_the_command_runs(
    project: Path, train: Train, tmp_path: Path, words: list[str]
) -> None:
    noting = mine(sys.executable, project.parent / "noting.py")
    done = train(*words, data=damaged(project, tmp_path), **noting)
    assert done.returncode == 1 and "started" not in done.stdout
    assert "rows.jsonl:2: reward:" in done.stderr
    assert not (tmp_path / "run").exists()


def test_rows_of_another_algorithm_are_refused(project: Path, train: Train) -> None:
    noting = mine(sys.executable, project.parent / "noting.py")
    done = train(algorithm="dpo", **noting)
    assert done.returncode == 1 and '"chosen" is a required property' in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ([], 2, "trainer_config has no command"),
        (["no-such-trainer", "run"], 2, "there is no program no-such-trainer"),
        ([sys.executable, "-c", "raise SystemExit(5)"], 1, "ended with 5"),
        ([sys.executable, "-c", ""], 1, "my_trainer:MyTrainer left no"),
    ],
    ids=["no command", "not found", "fails", "leaves nothing"],
)
def test_what_goes_wrong_with_the_command_is_said(
    train: Train, command: list[str], code: int, said: str
) -> None:
    done = train(**mine(*command))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_is_not_executable(train: Train, tmp_path: Path) -> None:
    program = tmp_path / "trainer"
    program.write_text("not a program\n")
    program.chmod(0o755)
    done = train(**mine(program))
    assert done.returncode == 2 and "Cannot run" in done.stderr


def test_a_finished_run_is_never_overwritten(project: Path, train: Train, tmp_path: Path) -> None:
    noting = mine(sys.executable, project.parent / "noting.py")
    assert train(**noting).returncode == 0
    again = train(**noting)
    assert again.returncode == 2 and "of an earlier run" in again.stderr
    assert "started" not in again.stdout
    resumed = train("--resume", **noting)
    assert resumed.returncode == 0 and "nothing to do" in resumed.stdout


def test_sigterm_reaches_the_job(project: Path, tmp_path: Path) -> None:
    """A scheduler ends the run: no job may be left behind."""
    program = (
        "import pathlib, signal, sys, time\n"
        "here = pathlib.Path(sys.argv[1]).parent\n"
        "def ended(*_):\n    (here / 'ended').touch()\n    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, ended)\n"
        "(here / 'began').touch()\n"
        "time.sleep(120)\n"
    )
    words = command_line(tmp_path, **mine(sys.executable, "-c", program))
    process = subprocess.Popen([sys.executable, *words], cwd=project, stderr=subprocess.PIPE)
    until((tmp_path / "run" / "began").exists)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and b"ended with 3" in said
    assert (tmp_path / "run" / "ended").exists()


def test_several_processes_start_one_job(project: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(3)\n" + NOTING)
    words = command_line(tmp_path, **mine(sys.executable, tmp_path / "slow.py"))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    done = python(project, *torchrun, *words, env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1


# --- a trainer that is a file of the project ---


def test_a_trainer_of_ones_own_is_named_in_the_config(
    project: Path, train: Train, tmp_path: Path
) -> None:
    done = train("--resume", trainer="own_trainer:Copying")
    assert done.returncode == 0, done.stderr
    count = len((project / "training_data.jsonl").read_bytes().splitlines())
    copied = tmp_path / "run" / "copied"
    assert done.stdout.splitlines() == [
        f"rows {count}",
        "resumes True",
        f"model written to {copied}",
    ]
    assert (copied / "model.safetensors").is_file()


def test_its_own_errors_are_printed_as_ours(train: Train) -> None:
    done = train(trainer="own_trainer:Copying", trainer_config={"allowed": False})
    assert done.returncode == 7
    assert done.stderr.splitlines() == ["error: It is not allowed.", "Allow it."]


def test_its_own_check_is_called_and_without_one_the_rows_are_checked(
    project: Path, train: Train, tmp_path: Path
) -> None:
    own = train("--check_only", trainer="own_trainer:Checking", trainer_config={"queue": "large"})
    assert own.stdout == "checks training_data.jsonl {'queue': 'large'}\n"
    data = damaged(project, tmp_path)
    done = train("--check_only", data=data, trainer="own_trainer:Copying")
    assert done.returncode == 1 and "rows.jsonl:2: reward:" in done.stderr
    assert train("--check_only", trainer="own_trainer:Copying").returncode == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ("no_module:Trainer", "No module named 'no_module'"),
        ("own_trainer:Missing", "has no attribute 'Missing'"),
        ("own_trainer", "Give `module:Class`"),
        (":Copying", "Give `module:Class`"),
        ("own_trainer:Idle", "own_trainer:Idle has no method `train`"),
        ("json:dumps", "json:dumps has no method `train`"),
    ],
)
def test_a_trainer_that_is_none(train: Train, trainer: str, said: str) -> None:
    done = train(trainer=trainer)
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_breaks_inside_it_keeps_its_traceback(train: Train) -> None:
    done = train(trainer="own_trainer:Broken")
    assert done.returncode == 1
    assert "own_trainer.py" in done.stderr and "TypeError: broken inside" in done.stderr


def test_a_trainer_that_leaves_no_model(train: Train) -> None:
    done = train(trainer="own_trainer:Forgetful")
    assert done.returncode == 1 and "own_trainer:Forgetful left no" in done.stderr

"""`rl-scaffolder update` with other choices: what is automatic again, and what is nearest."""

import re
import shlex
from pathlib import Path

import pytest

from conftest import Command
from projects import render
from scaffolder import saved
from scaffolder.answers import gather
from scaffolder.spec import ProjectSpec, may_be_absent

WORDS = ("--framework", "trl", "--model", "org/m-1b", "--gpus-per-node", "4")


def test_an_answer_can_be_automatic_again(scaffold: Command, tmp_path: Path) -> None:
    project = render(tmp_path, *WORDS, "--algorithm", "sft", "--sharding", "zero3")
    done = scaffold("update", "--set", "sharding=null", cwd=project)
    assert done.returncode == 0, done.stderr
    now = saved.read(project)
    assert now.spec.sharding is None and now.plan.sharding == "ddp"
    back = scaffold("new", "../q", *WORDS, "--algorithm", "sft", "--sharding", "null", cwd=project)
    assert back.returncode == 0, back.stderr
    assert saved.read(tmp_path / "q").plan == now.plan


def test_only_what_follows_from_others_can_be() -> None:
    for name in ProjectSpec.model_fields:
        given = gather(None, [f"{name}=null"], {})
        assert given == {name: None if may_be_absent(name) else "null"}
    assert may_be_absent("sharding") and not may_be_absent("epochs")


@pytest.mark.parametrize(
    ("choices", "other"),
    [
        (("sft", "--sharding", "zero3"), "custom"),
        (("sft", "--tuning", "qlora", "--sharding", "ddp"), "custom"),
        (("grpo", "--generation", "transformers", "--sharding", "zero2"), "verl"),
        (("grpo", "--set", "rows_with_tools=environment"), "verl"),
    ],
)
def test_the_nearest_that_is_named_is_taken(
    scaffold: Command, tmp_path: Path, choices: tuple[str, ...], other: str
) -> None:
    project = render(tmp_path, *WORDS, "--algorithm", *choices)
    refused = scaffold("update", "--framework", other, cwd=project)
    assert refused.returncode == 2, refused.stderr
    (nearest,) = re.findall("The nearest that is: (.*)", refused.stderr)
    done = scaffold("update", *shlex.split(nearest), "--dry-run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert scaffold("new", "q", *shlex.split(nearest), "--dry-run", cwd=tmp_path).returncode == 0

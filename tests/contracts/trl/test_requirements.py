"""The pins agree with each other: those that are installed, and those that TRL itself declares."""

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from scaffolder.frameworks.trl import FRAMEWORK

EXTRAS = (FRAMEWORK.extra_requirements, FRAMEWORK.gpu_requirements)
PINS = sorted({pin for each in EXTRAS for pins in each.values() for pin in pins})


def declared(package: str) -> list[Requirement]:
    """What TRL says about a package, among its own needs or those of an extra."""
    found = (Requirement(each) for each in requires("trl") or [])
    return [each for each in found if each.name.lower() == package.lower()]


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("pin", [*FRAMEWORK.requirements, *PINS])
def test_a_pin_is_one_that_trl_declares_to_work(pin: str) -> None:
    package, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", pin).groups()  # type: ignore[union-attr]
    for requirement in declared(package):
        assert requirement.specifier.contains(version), f"{pin} against {requirement}"


@pytest.mark.parametrize("package", ["vllm", "peft", "deepspeed", "bitsandbytes", "transformers"])
def test_trl_declares_something_about_it(package: str) -> None:
    """Otherwise the test above would not be one."""
    assert declared(package)

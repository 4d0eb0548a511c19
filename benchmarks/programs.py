"""The commands that are measured: our scripts in a rendered project, and the baselines."""

import os
import subprocess
import sys
from pathlib import Path

from measure import Job

BASELINES = Path(__file__).with_name("baselines.py")
MIN_REWARD = "0.7"


class Scripts:
    """The scripts of a project rendered for TRL."""

    def __init__(self, project: Path, scratch: Path, outputs: Path) -> None:
        self._project = project.resolve()
        self._outputs = outputs
        self._configs = {}
        for algorithm in ("sft", "dpo"):
            self._configs[algorithm] = scratch / f"{algorithm}.yaml"
            # As the rendered config has it: a rollout is one row, not one for each turn.
            marked = "assistant_only_loss: true\n" if algorithm == "sft" else ""
            self._configs[algorithm].write_text(f"algorithm: {algorithm}\n{marked}")
        self._help = self._help_of("filter_rollouts"), self._help_of("prepare_for_trl")
        self.has_workers = all("--workers" in text for text in self._help)

    def filter(self, source: Path, workers: int = 1) -> Job:
        return Job("filter_rollouts.py --min_reward", [self._filter(source, workers)], workers)

    def prepare(self, algorithm: str, source: Path, workers: int = 1) -> Job:
        command = self._prepare(algorithm, source, workers)
        return Job(f"prepare_for_trl.py, {algorithm}", [command], workers)

    def all(self, source: Path, workers: int = 1) -> list[Job]:
        """Each of the steps, on the same file."""
        kinds = ("sft", "dpo")
        prepare = [self.prepare(algorithm, source, workers) for algorithm in kinds]
        return [self.filter(source, workers), *prepare]

    def both(self, source: Path) -> Job:
        """Rows for sft and dpo in one pass."""
        kinds = ("--kind", "sft", "preference")
        command = self._command("prepare_for_trl", source, "training_data.jsonl", 1, *kinds)
        return Job("prepare_for_trl.py, sft and dpo in one run", [command])

    def good_rows(self, source: Path) -> Job:
        """SFT rows of the good rollouts, in one pass where the scripts can, else in two."""
        if "--min_reward" in self._help[1]:
            command = [*self._prepare("sft", source, 1), "--min_reward", MIN_REWARD]
            return Job("prepare_for_trl.py --min_reward, sft", [command])
        kept = self._outputs / "filtered.jsonl"
        return Job(
            "filter_rollouts.py, then prepare_for_trl.py, sft",
            [self._filter(source, 1), self._prepare("sft", kept, 1)],
        )

    def _filter(self, source: Path, workers: int) -> list[str]:
        return self._command(
            "filter_rollouts", source, "filtered.jsonl", workers, "--min_reward", MIN_REWARD
        )

    def _prepare(self, algorithm: str, source: Path, workers: int) -> list[str]:
        config = str(self._configs[algorithm])
        return self._command(
            "prepare_for_trl", source, "training_data.jsonl", workers, "--config", config
        )

    def _command(
        self, script: str, source: Path, output: str, workers: int, *more: str
    ) -> list[str]:
        files = ["--input", str(source), "--output", str(self._outputs / output)]
        shared = ["--workers", str(workers)] if self.has_workers else []
        return [sys.executable, str(self._project / f"{script}.py"), *files, *more, *shared]

    def _help_of(self, script: str) -> str:
        command = [sys.executable, str(self._project / f"{script}.py"), "--help"]
        silent = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=silent)
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stderr}")
        return done.stdout


def orjson(source: Path) -> Job:
    return Job("orjson.loads on every line", [_baseline("orjson", source)])


def json_script(algorithm: str, source: Path, outputs: Path) -> Job:
    """The plain script on every rollout."""
    options = ["--output", str(outputs / "rows.jsonl"), "--algorithm", algorithm]
    what = "sft and dpo in one pass" if algorithm == "both" else algorithm
    return Job(f"json script, {what}", [_baseline("json_script", source, *options)])


def datasets(source: Path, outputs: Path) -> Job:
    options = ["--output", str(outputs / "rows.jsonl"), "--min_reward", MIN_REWARD]
    return Job("datasets, sft of good ones", [_baseline("datasets", source, *options)])


def _baseline(program: str, source: Path, *options: str) -> list[str]:
    return [sys.executable, str(BASELINES), program, "--input", str(source), *options]

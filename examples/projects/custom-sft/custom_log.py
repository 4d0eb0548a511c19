"""The progress of a run: a line on the screen, a line of log.jsonl and the tracker, if any."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from custom_settings import Settings

Record = Callable[[dict[str, float], int], object]


class RunLog(AbstractContextManager["RunLog"]):
    """Collects the steps and writes their mean every logging_steps and after the last step."""

    def __init__(self, settings: Settings, done: int, total: int) -> None:
        self.every, self.total = settings.logging_steps, total
        self.path = settings.output_dir / "log.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        keep_lines_to(self.path, done)
        self.record, self.close = open_tracker(settings, done)
        self.restart()

    def __exit__(self, *failure: object) -> None:
        self.close()

    def restart(self) -> None:
        self.losses: list[float] = []
        self.tokens, self.since = 0, time.perf_counter()

    def step(self, step: int, loss: float, rate: float, grad_norm: float, tokens: int) -> None:
        """After optimizer step number `step` (from 1), which saw so many tokens."""
        self.losses.append(loss)
        self.tokens += tokens
        if step % self.every and step != self.total:
            return
        seconds = time.perf_counter() - self.since
        values = {
            "loss": sum(self.losses) / len(self.losses),
            "learning_rate": rate,
            "grad_norm": grad_norm,
            "tokens_per_second": self.tokens / seconds,
            "step_seconds": seconds / len(self.losses),
        }
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        print(f"step {step}/{self.total}  {shown}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "total_steps": self.total, **values}) + "\n")
        self.record(values, step)
        self.restart()


def keep_lines_to(path: Path, step: int) -> None:
    """Drop what an interrupted run logged after its last checkpoint: it will be logged again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if line.endswith("}\n") and json.loads(line)["step"] <= step]
    path.write_text("".join(kept), encoding="utf-8")


def open_tracker(settings: Settings, done: int) -> tuple[Record, Callable[[], object]]:
    """(record values at a step, close) of the tracker, for a run that goes on after step done."""
    if settings.tracker == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(settings.output_dir / "tensorboard", purge_step=done + 1)

        def record(values: dict[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)

        return record, writer.close
    if settings.tracker == "wandb":
        import wandb

        run = wandb.init(name=settings.run_name, config=settings.model_dump(mode="json"))
        return lambda values, step: run.log(values, step=step), run.finish
    if settings.tracker == "mlflow":
        import mlflow

        mlflow.start_run(run_name=settings.run_name)
        return lambda values, step: mlflow.log_metrics(values, step=step), mlflow.end_run
    return lambda *_: None, lambda: None

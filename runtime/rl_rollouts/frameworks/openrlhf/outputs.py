"""Runs that are not overwritten, the log of a run, and the final model."""

import json
import shutil
from pathlib import Path
from typing import Any

from ...errors import UserError
from . import LOG_NAMES
from .settings import Settings

MARK = "latest"
"""DeepSpeed writes this file beside the checkpoints when one is whole, and goes on from that."""


def check_output(settings: Settings, resume: bool) -> None:
    """A finished or begun run is never overwritten.

    Raises:
        UserError: when there is one.
    """
    output = settings.output
    if resume:
        return
    if (output / "final").exists() or any((output / "checkpoints").glob(f"**/{MARK}")):
        raise UserError(
            f"{output} already holds a run.",
            "Go on with --resume, or choose another one: output_dir=outputs/another",
        )


def write_log(output: Path) -> None:
    """`log.jsonl` from what OpenRLHF gave TensorBoard, of all its runs in this folder."""
    steps: dict[int, dict[str, Any]] = {}
    for file in sorted(output.glob("tensorboard/**/*tfevents*"), key=lambda each: each.name):
        _read(file, steps)
    if steps:
        lines = (json.dumps({"step": step, **steps[step]}) + "\n" for step in sorted(steps))
        (output / "log.jsonl").write_text("".join(lines), "utf-8")


def _read(file: Path, steps: dict[int, dict[str, Any]]) -> None:
    """The numbers of one file of events; of several with one name of ours the last."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(file), size_guidance={"scalars": 0})
    events.Reload()
    for tag in sorted(events.Tags()["scalars"]):
        name = LOG_NAMES.get(tag, tag)
        if tag in {"train/loss", "train/gpt_loss"}:
            continue  # Of the last micro batch alone; loss_mean is that of the step.
        for event in events.Scalars(tag):
            steps.setdefault(int(event.step), {})[name] = float(event.value)


def save_final(settings: Settings, template: str) -> Path:
    """Give the trained model its name, when it is whole.

    Args:
        template: the chat template of the model.

    Raises:
        UserError: when nothing was written.
    """
    output = settings.output
    final, begun = output / "final", output / "final.partial"
    if not (begun / "config.json").is_file():
        raise UserError(
            "No model was written, so not one step was trained.",
            "See what OpenRLHF says above.",
            exit_code=1,
        )
    if settings.algorithm == "rm":
        _name_reward_model(begun)
    # That of training may ask for the tools in the first message.
    (begun / "chat_template.jinja").write_text(template, "utf-8")
    shutil.rmtree(final, ignore_errors=True)
    begun.rename(final)
    return final


def _name_reward_model(folder: Path) -> None:
    """Say what transformers calls it: the weights are named as there, the config is not."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    from transformers import AutoConfig, AutoModelForSequenceClassification

    kind = AutoModelForSequenceClassification._model_mapping[
        type(AutoConfig.from_pretrained(folder))
    ]
    config |= {"architectures": [kind.__name__], "num_labels": 1}
    config |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    path.write_text(json.dumps(config, indent=2), "utf-8")
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        described = json.loads(adapter.read_text("utf-8")) | {"task_type": "SEQ_CLS"}
        adapter.write_text(json.dumps(described, indent=2), "utf-8")

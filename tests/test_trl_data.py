"""What train_trl.py loads is what prepare_for_trl.py wrote."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from projects import python, render, rows, train
from rollouts import write
from trl_data import load, rows_of

COLUMNS = ["prompt", "completion", "tools"]


def row(number: float) -> dict[str, Any]:
    arguments = {"price": number, "large": 2**70, "small": 1e-9}
    call = {"type": "function", "function": {"name": "buy", "arguments": arguments}}
    return {
        "prompt": [{"role": "user", "content": f"for {number}"}],
        "completion": [{"role": "assistant", "content": "", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": {"name": "buy", "default": number}}],
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("cache")
def test_numbers_are_loaded_exactly(tmp_path: Path) -> None:
    wanted = [row(number / 100) for number in range(100)]
    data = load(str(write(tmp_path / "data.jsonl", *wanted)), COLUMNS)
    assert [data[at] for at in range(100)] == wanted
    counted = data.map(lambda each: {"text": json.dumps(each["completion"])})
    assert "0.7," in counted[70]["text"], "also where datasets writes them again"


@pytest.mark.usefixtures("cache")
def test_shards_are_loaded_in_place_of_the_file(tmp_path: Path) -> None:
    wanted = [row(number) for number in range(5)]
    write(tmp_path / "data-00001-of-00002.jsonl", *wanted[:3])
    write(tmp_path / "data-00002-of-00002.jsonl", *wanted[3:])
    path = tmp_path / "data.jsonl"
    assert list(load(str(path), COLUMNS)) == wanted
    assert [each for _, each in rows_of(path, COLUMNS)] == wanted


def test_a_folder_with_an_odd_name_is_no_pattern(trl: Path, tmp_path: Path) -> None:
    odd = tmp_path / "[red] it's *"
    odd.mkdir()
    project = render(odd, "--framework", "trl", "--algorithm", "sft")
    shutil.copy(trl / "training_data.jsonl", project)
    shutil.copytree(trl / "smoke", project / "smoke")
    result = train(project, "--max_steps", "1", "--output_dir", "outputs/one")
    assert result.returncode == 0, result.stderr[-2000:]
    assert (project / "outputs/one/final/model.safetensors").is_file()


def test_a_row_reaches_the_trainer_unchanged(trl: Path) -> None:
    """Tools and arguments differ from row to row; nothing is filled with null."""
    script = (
        "import json, trl_data\n"
        "columns = ['prompt', 'completion', 'tools']\n"
        "print(json.dumps(list(trl_data.load('training_data.jsonl', columns))))"
    )
    loaded = json.loads(python(trl, "-c", script).stdout.splitlines()[-1])
    assert loaded == rows(trl / "training_data.jsonl")
    assert {row["tools"] is None for row in loaded} == {True, False}


def test_the_loss_falls_on_the_words_of_the_model_alone(trl: Path) -> None:
    """Decode the labels that TRL computes: assistant turns of the completion, and no more."""
    script = (
        "import json, trl_data, trl_settings, trl\n"
        "from transformers import AutoTokenizer\n"
        "args = ['--config', 'smoke_config.yaml', '--output_dir', 'outputs/mask']\n"
        "run, training, model = trl_settings.parse(args)\n"
        "data = trl_data.load('training_data.jsonl', ['prompt', 'completion', 'tools'])\n"
        "name = model.model_name_or_path\n"
        "trainer = trl.SFTTrainer(model=name, args=training, train_dataset=data)\n"
        "tokenizer = AutoTokenizer.from_pretrained('smoke/model')\n"
        "for row in trainer.train_dataset:\n"
        "    kept = [label for label in row['labels'] if label != -100]\n"
        "    print('TRAINED', json.dumps(tokenizer.decode(kept)))\n"
    )
    printed = python(trl, "-c", script)
    shutil.rmtree(trl / "outputs", ignore_errors=True)
    trained = [
        json.loads(line[8:]) for line in printed.stdout.splitlines() if line[:7] == "TRAINED"
    ]
    assert trained == [spoken(row) for row in rows(trl / "training_data.jsonl")]


def spoken(row: dict[str, Any]) -> str:
    """What the model wrote in a row, as the tiny model's chat template writes it."""
    turns = [message for message in row["completion"] if message["role"] == "assistant"]
    return "".join(
        turn["content"]
        + "".join(
            f"<tool_call>{json.dumps(call['function'])}</tool_call>"
            for call in turn.get("tool_calls", [])
        )
        + "<|im_end|>"
        for turn in turns
    )


def test_types_that_change_late_in_the_data_do_not_matter(trl: Path, tmp_path: Path) -> None:
    def row(arguments: dict[str, Any], text: str) -> dict[str, Any]:
        call = {"type": "function", "function": {"name": "look", "arguments": arguments}}
        turn = {"role": "assistant", "content": "", "tool_calls": [call]}
        question = {"role": "user", "content": text}
        return {"prompt": [question], "completion": [turn], "tools": None}

    late = {**row({"deep": {"er": 1}}, "q"), "tools": [{"type": "function"}]}
    data = [*[row({"at": 1}, "y" * 1000)] * 20_000, late]
    path = tmp_path / "late.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in data))
    script = (
        "import json, trl_data\n"
        f"data = trl_data.load({str(path)!r}, ['prompt', 'completion', 'tools'])\n"
        "print(json.dumps([len(data), data[len(data) - 1]]))"
    )
    loaded = json.loads(python(trl, "-c", script).stdout.splitlines()[-1])
    assert loaded == [len(data), late]

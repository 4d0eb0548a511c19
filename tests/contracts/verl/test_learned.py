"""What the check says is learned of rows is what verl's dataset gives; and what it says of them."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

import verl_data
from contracts.rendering import variant
from contracts.verl.composing import settings_of
from families import FAMILIES, QWEN3, SAID, lost, rows, with_template
from rl_rollouts.errors import UserError
from rl_rollouts.models.learned import Learned, Limit
from verl_checks import check_data
from verl_settings import read


def written(folder: Path, *given: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_verl_trains_on_what_the_check_says(family: str, model: Path, tmp_path: Path) -> None:
    tokenizer = with_template(model, FAMILIES[family])
    config = settings_of(tmp_path, variant("verl", "sft").config()).config.data
    drawn = [rows(Random(f"{family} {number}")) for number in range(30)]
    whole = [{**each, "messages": each["prompt"] + each["completion"]} for each in drawn]
    data = verl_data.Conversations([str(written(tmp_path, *whole))], tokenizer, config)
    found = Learned(data.chat, tokenizer, Limit("data.max_length", None))
    for at in range(len(drawn)):
        prompt, sides, tools = data.parts(at)
        left = found.add(f"row {at + 1}", prompt, sides, tools)
        if left is None:
            with pytest.raises(UserError, match=f"Row {at + 1} cannot be trained"):
                data[at]
            continue
        batch = data[at]
        assert batch["input_ids"].tolist() == list(left[0].tokens)
        assert batch["loss_mask"].tolist() == list(left[0].trained)
        kept = batch["input_ids"][batch["loss_mask"] == 1]
        row = {"prompt": prompt, "completion": sides[0], "tools": tools}
        texts = tokenizer.decode(kept), tokenizer.decode(batch["input_ids"])
        missing, said = lost(row, "completion", *texts), found.left_out(prompt, sides, tools)
        for kind in ("said", "tools", "shown", "foreign"):
            assert missing[kind] == bool(SAID[kind] & said), (kind, said, row)
    assert found.kept > 3, "the template takes some"


def project(folder: Path, model: Path, algorithm: Any, *given: dict[str, Any]) -> Any:
    with_template(model, QWEN3).save_pretrained(folder / "model")
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_bytes((model / name).read_bytes())
    text = variant("verl", algorithm, model=str(folder / "model")).config()
    (folder / "c.yaml").write_text(text)
    words = ["data.train_batch_size=2", "data.max_length=64"]
    return read(folder / "c.yaml", written(folder, *given), words[: 1 + (algorithm == "sft")])


def test_rows_that_verl_would_cut_to_nothing_or_stop_at(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(asked: str) -> dict[str, Any]:
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": "b"}]
        return {"messages": turns, "tools": None}

    chosen = project(tmp_path, model, "sft", row("a"), row("a " * 100), row("c"))
    check_data(chosen, every=True)
    said = capsys.readouterr().out
    assert "nothing is learned after cutting at data.max_length = 64 (row 2)" in said
    chosen.config.data.truncation = "error"
    with pytest.raises(UserError, match="1 rows are longer than data"):
        check_data(chosen, every=True)


def test_prompts_without_a_ground_truth(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(truth: Any) -> dict[str, Any]:
        asked = [{"role": "user", "content": "how many?"}]
        facts = {"prompt": asked, "tools": None, "ground_truth": truth, "metadata": {"answer": 4}}
        extra = {key: json.dumps(each) for key, each in facts.items()}
        return {"prompt": asked, "extra_info": extra, "data_source": "d", "reward_model": {}}

    for every in (True, False):
        check_data(project(tmp_path, model, "grpo", row(None), row(None)), every=every)
        assert "2 of 2 rows have no ground truth" in capsys.readouterr().out
    check_data(project(tmp_path, model, "grpo", row("4"), row("5")), every=True)
    assert "warning" not in capsys.readouterr().out

"""verl's dataset classes give back our rows as they were written; the model's words are trained."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

import verl_data
from contracts.rendering import variant
from contracts.verl.composing import settings_of
from contracts.verl.conftest import prepared
from rl_rollouts.errors import UserError
from verl_checks import check_data, load_tokenizer
from verl_settings import read

CALLS = [
    {"a": "1"},
    {"b": 0.7, "c": {"deep": [1, None]}},
    {"a": {"not": "text"}},
]
"""Arguments of calls whose keys and types differ from row to row."""


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [
    [tool("add", a={"type": "integer"})],
    [tool("look", query={"type": "string", "enum": ["x"]}), tool("end")],
    [],
]


def conversation(number: int) -> dict[str, Any]:
    call = {"name": "add", "arguments": CALLS[number]}
    return {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": f"Question {number}"},
            {
                "role": "assistant",
                "content": f"I look {number}.",
                "tool_calls": [{"id": "1", "type": "function", "function": call}],
            },
            {"role": "tool", "content": f"result {number}", "tool_call_id": "1"},
            {"role": "assistant", "content": f"It is {number}."},
        ],
        "tools": TOOLS[number],
    }


@pytest.fixture
def tokenizer(model: Path, tmp_path: Path) -> Any:
    text = variant("verl", "sft", model=str(model)).config()
    return load_tokenizer(settings_of(tmp_path, text))


@pytest.fixture
def data_config(tmp_path: Path) -> Any:
    return settings_of(tmp_path, variant("verl", "sft").config()).config.data


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def test_tools_and_arguments_come_back_unharmed(
    tokenizer: Any, data_config: Any, tmp_path: Path
) -> None:
    rows = [conversation(number) for number in range(3)]
    dataset = verl_data.Conversations([str(written(tmp_path, rows))], tokenizer, data_config)
    assert isinstance(dataset, MultiTurnSFTDataset)
    assert [dataset.rows[index] for index in range(3)] == rows


@pytest.mark.parametrize("name", ["training_data.jsonl", "training_data.parquet"])
def test_both_forms_hold_the_same(
    name: str, tokenizer: Any, data_config: Any, tmp_path: Path
) -> None:
    plain = prepared(tmp_path, "sft")
    given = [json.loads(line) for line in plain.read_text("utf-8").splitlines()]
    path = prepared(tmp_path, "sft", name)
    dataset = verl_data.Conversations([str(path)], tokenizer, data_config)
    found = [dataset.rows[index] for index in range(len(dataset))]
    assert any(row["tools"] for row in given), "the sample has tools"
    assert found == given


def test_the_loss_is_on_the_assistants_text_alone(
    tokenizer: Any, data_config: Any, tmp_path: Path
) -> None:
    rows = [conversation(number) for number in range(3)]
    dataset = verl_data.Conversations([str(written(tmp_path, rows))], tokenizer, data_config)
    for number in range(3):
        row = dataset[number]
        assert {len(row[name]) for name in ("input_ids", "position_ids", "loss_mask")} == {
            len(row["input_ids"])
        }
        trained = tokenizer.decode(row["input_ids"][row["loss_mask"] == 1])
        call = json.dumps({"name": "add", "arguments": CALLS[number]}, separators=(", ", ": "))
        assert trained == (
            f"I look {number}.<tool_call>{call}</tool_call><|im_end|>It is {number}.<|im_end|>"
        )
        whole = tokenizer.apply_chat_template(rows[number]["messages"], tools=TOOLS[number] or None)
        assert row["input_ids"].tolist() == whole["input_ids"]


def test_a_template_that_takes_only_whole_conversations(
    tokenizer: Any, data_config: Any, tmp_path: Path
) -> None:
    """As Qwen3.5's, on which verl's own class fails for every row with a system message."""
    demand = (
        "{%- if not messages or messages[-1].role == 'system' or (messages[0].role != 'system' "
        "and messages[0].role != 'user') %}{{ raise_exception('No user query found') }}{% endif %}"
    )
    tokenizer.chat_template = demand + tokenizer.chat_template
    path = written(tmp_path, [conversation(0)])
    ours = verl_data.Conversations([str(path)], tokenizer, data_config)
    assert ours[0]["loss_mask"].sum() > 0


@pytest.mark.parametrize(("truncation", "first"), [("right", True), ("left", False)])
def test_long_rows_are_cut(
    truncation: str, first: bool, tokenizer: Any, data_config: Any, tmp_path: Path
) -> None:
    path = written(tmp_path, [conversation(0)])
    whole = verl_data.Conversations([str(path)], tokenizer, data_config)[0]["input_ids"]
    data_config.max_length, data_config.truncation = 8, truncation
    cut = verl_data.Conversations([str(path)], tokenizer, data_config)[0]["input_ids"]
    assert cut.tolist() == (whole[:8] if first else whole[-8:]).tolist()
    data_config.truncation = "error"
    with pytest.raises(UserError, match="Row 1 has"):
        verl_data.Conversations([str(path)], tokenizer, data_config)[0]


@pytest.mark.parametrize("name", ["training_data.jsonl", "training_data.parquet"])
def test_prompts_load_and_collate(name: str, model: Path, tmp_path: Path) -> None:
    rows = prepared(tmp_path, "prompts", name)
    text = variant("verl", "grpo", model=str(model)).config()
    (tmp_path / "verl_config.yaml").write_text(text.replace("tools: refuse", "tools: drop"))
    settings = read(tmp_path / "verl_config.yaml", rows)
    dataset = verl_data.Prompts(
        list(settings.config.data.train_files), load_tokenizer(settings), settings.config.data
    )
    assert isinstance(dataset, RLHFDataset) and len(dataset) > 4
    batch = collate_fn([dataset[index] for index in range(3)])
    assert batch["raw_prompt"][0][-1]["role"] == "user"
    assert batch["reward_model"][0]["ground_truth"]
    plain = RLHFDataset(
        [str(rows)],
        tokenizer=load_tokenizer(settings),
        config=OmegaConf.merge(settings.config.data, {"filter_overlong_prompts": False}),
    )
    theirs = {json.dumps(plain[index]["raw_prompt"]) for index in range(len(plain))}
    assert {json.dumps(dataset[index]["raw_prompt"]) for index in range(len(dataset))} <= theirs


def test_prompts_that_cannot_be_answered(model: Path, tmp_path: Path) -> None:
    """With tools that the model would not see; too long; refused by the template."""
    rows = prepared(tmp_path, "prompts")
    text = variant("verl", "grpo", model=str(model), global_batch_size=8).config()
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(
        UserError, match="11 of 16 rows have tools, and verl shows the model only those"
    ):
        check_data(read(tmp_path / "c.yaml", rows), every=False)
    drop = ["data.rows_with_tools=drop", "data.train_batch_size=4"]
    check_data(read(tmp_path / "c.yaml", rows, drop), every=False)
    with pytest.raises(UserError, match="There are 0 prompts of at most 3 tokens"):
        check_data(
            read(tmp_path / "c.yaml", rows, [*drop, "data.max_prompt_length=3"]), every=False
        )
    settings = read(tmp_path / "c.yaml", rows, drop)
    tokenizer = load_tokenizer(settings)
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(UserError, match=r"row \d+: .* refuses it: never"):
        verl_data.Prompts(list(settings.config.data.train_files), tokenizer, settings.config.data)


def test_too_few_rows_are_refused(model: Path, tmp_path: Path) -> None:
    """verl would train zero steps and say nothing."""
    rows = prepared(tmp_path, "sft")
    (tmp_path / "c.yaml").write_text(variant("verl", "sft", model=str(model)).config())
    with pytest.raises(UserError, match="and a step takes 100000"):
        check_data(read(tmp_path / "c.yaml", rows, ["data.train_batch_size=100000"]), every=True)

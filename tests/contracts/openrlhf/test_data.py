"""OpenRLHF's own dataset classes load what is written for them; the model's words are learned."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from openrlhf.datasets import PromptDataset, RewardDataset, SFTDataset
from openrlhf.datasets.utils import blending_datasets

import openrlhf_data
from contracts.rendering import variant
from families import FAMILIES, QWEN3, rows, with_template
from openrlhf_checks import check_data
from openrlhf_learned import Taken
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks.openrlhf.settings import Settings, read


def settings_of(folder: Path, algorithm: Any, model: Path, *words: str) -> Settings:
    path = folder / "openrlhf_config.yaml"
    made = variant("openrlhf", algorithm, model=str(model), global_batch_size=2, num_generations=2)
    path.write_text(made.config(), "utf-8")
    return read(path, folder, [f"output_dir={folder / 'run'}", *words])


def put(folder: Path, given: list[dict[str, Any]]) -> Path:
    path = folder / "training_data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
    return path


def loaded(settings: Settings, flags: Any, tokenizer: Any) -> Any:
    """As its commands load the rows."""
    data = settings.arguments.data
    data.apply_chat_template = not settings.online
    data.tokenizer_chat_template = flags.get("data.tokenizer_chat_template")
    strategy: Any = SimpleNamespace(
        args=SimpleNamespace(data=data, use_ms=False),
        print=lambda *_: None,
        is_rank_0=lambda: False,
    )
    key = "data.prompt_dataset" if settings.online else "data.dataset"
    found = blending_datasets(flags[key], None, strategy)
    if settings.online:
        return PromptDataset(found, tokenizer, strategy)
    given = (found, tokenizer, data.max_len, strategy)
    if settings.algorithm == "sft":
        return SFTDataset(*given, num_processors=1, multiturn=data.multiturn)
    return RewardDataset(*given, is_dpo=settings.algorithm == "dpo", num_processors=1)


def learned(item: Any, tokenizer: Any) -> str:
    """The tokens of a row of SFT that the loss falls on."""
    ids, _, mask = item
    return str(tokenizer.decode(ids[0][1:][mask[0].bool()[:-1]]))


def sft_row(row: dict[str, Any]) -> dict[str, Any]:
    messages = row["prompt"] + row["completion"]
    return {"messages": messages, "tools": json.dumps(row["tools"]), "given": len(row["prompt"])}


def per_turn(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As prepare_for_openrlhf.py makes rows of it."""
    messages = row["prompt"] + row["completion"]
    for at in range(len(row["prompt"]), len(messages)):
        if messages[at]["role"] == "assistant":
            tools = json.dumps(row["tools"])
            yield {"messages": messages[: at + 1], "tools": tools, "given": at}


@pytest.mark.parametrize("multiturn", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_openrlhf_trains_on_what_the_check_says(
    family: str, multiturn: bool, model: Path, tmp_path: Path
) -> None:
    tokenizer = with_template(model, FAMILIES[family])
    settings = settings_of(tmp_path, "sft", model, f"data.multiturn={str(multiturn).lower()}")
    drawn = [rows(Random(f"{family} {number}")) for number in range(12)]
    given = [each for row in drawn for each in ([sft_row(row)] if multiturn else per_turn(row))]
    taken = Taken(settings, tokenizer)
    kept = [row for at, row in enumerate(given) if taken.takes(f"row {at + 1}", row)]
    template = tokenizer.chat_template
    if not kept:
        assert family != "qwen3"
        return
    tokenizer.chat_template = FAMILIES[family]
    flags = openrlhf_data.stage(settings, put(tmp_path, kept), tokenizer, 0)
    data = loaded(settings, flags, tokenizer)
    assert len(data) == len(kept)
    tokenizer.chat_template = template
    for at, row in enumerate(kept):
        prompt, sides, tools = openrlhf_data.parts(settings, row)
        (said,) = taken.upstream(prompt, sides, tools)  # type: ignore[misc]
        ids, _, mask = data[at]
        assert ids[0].tolist() == list(said.tokens), "the tools stand in both"
        assert [0, *mask[0].int().tolist()[:-1]] == list(said.trained)
        text = learned(data[at], tokenizer)
        last = sides[0][-1]
        assert last["content"].split("x")[0] in text or last.get("tool_calls")
        asked = next(each for each in reversed(prompt) if each["role"] == "user")
        assert asked["content"].split("x")[0] + "x" not in text
        if tools and family == "qwen3":
            assert tools[0]["function"]["name"] in tokenizer.decode(ids[0])


def test_a_template_that_rewrites_earlier_turns_is_refused(model: Path, tmp_path: Path) -> None:
    """OpenRLHF's mask would slip: Qwen3 drops what was thought before the last question."""
    tokenizer = with_template(model, QWEN3)

    def said(word: str, thought: str) -> dict[str, str]:
        return {"role": "assistant", "content": word, "reasoning_content": thought}

    first, second = ({"role": "user", "content": each} for each in "ab")
    row = {"messages": [first, said("one", "x"), second, said("two", "y")], "tools": "null"}
    many = settings_of(tmp_path, "sft", model, "data.multiturn=true")
    with pytest.raises(UserError, match=r"set data\.multiturn: false, and prepare again"):
        check_data(many, put(tmp_path, [{**row, "given": 1}] * 3), tokenizer, every=True)
    single = settings_of(tmp_path, "sft", model)
    with pytest.raises(UserError, match="several turns of the model, and OpenRLHF trains the last"):
        check_data(single, put(tmp_path, [{**row, "given": 1}] * 3), tokenizer, every=True)
    check_data(single, put(tmp_path, [{**row, "given": 3}] * 3), tokenizer, every=True)


@pytest.mark.parametrize("key", ["prompt_messages", "null"])
def test_pairs_share_their_prompt(key: str, model: Path, tmp_path: Path) -> None:
    tokenizer = with_template(model, QWEN3)
    settings = settings_of(tmp_path, "dpo", model, f"data.prompt_key={key}")
    prompt = [{"role": "user", "content": "how many?"}]
    sides = [[{"role": "assistant", "content": each}] for each in ("four", "five")]
    whole = [prompt + side for side in sides]
    given = whole if key == "null" else sides
    names = ("chosen_messages", "rejected_messages")
    row = dict(zip(names, given, strict=True)) | {"margin": 1.0, "tools": "null"}
    path = put(tmp_path, [row | ({} if key == "null" else {key: prompt})] * 2)
    check_data(settings, path, tokenizer, every=True)
    tokenizer.chat_template = QWEN3
    data = loaded(settings, openrlhf_data.stage(settings, path, tokenizer, 0), tokenizer)
    chosen, _, rejected, _, asked = data[0]
    texts = [tokenizer.decode(each[0][asked:]) for each in (chosen, rejected)]
    assert [each.split("<")[0] for each in texts] == ["four", "five"]


SILENT = "<think>\n\n</think>\n\n"
THINKING = "{%- if add_generation_prompt and enable_thinking is false %}{{- silent }}{% endif %}"
"""What Qwen3's template says to a model that is not to think."""


def test_prompts_and_labels(model: Path, tmp_path: Path) -> None:
    tokenizer = with_template(model, QWEN3 + THINKING.replace("silent", repr(SILENT)))

    def row(question: str, tools: Any = None) -> dict[str, Any]:
        prompt = [{"role": "user", "content": question}]
        about = {"task": "t", "prompt": prompt, "tools": tools, "ground_truth": "4", "metadata": {}}
        return {"prompt": prompt, "label": json.dumps(about), "datasource": "maths"}

    given = [row("how many?"), row("a " * 5000), row("which?", [{"type": "function"}]), row("why?")]
    path = put(tmp_path, given)
    with pytest.raises(UserError, match=r"1 rows of .* have tools, and OpenRLHF shows tools"):
        check_data(settings_of(tmp_path, "grpo", model), path, tokenizer, every=True)
    words = ("rows_with_tools=drop", "rollout.batch_size=2", "train.batch_size=4")
    settings = settings_of(tmp_path, "grpo", model, *words)
    check_data(settings, path, tokenizer, every=True)
    takes = Taken(settings, tokenizer).takes
    data = loaded(settings, openrlhf_data.stage(settings, path, tokenizer, 0, takes), tokenizer)
    assert len(data) == 2, "one is too long, and one has tools"
    source, prompt, label, _ = data[0]
    assert source == "maths" and prompt.endswith(f"<|im_start|>assistant\n{SILENT}")
    assert json.loads(label)["ground_truth"] == "4"
    thinks = settings_of(tmp_path, "grpo", model, *words, "thinking=true")
    data = loaded(thinks, openrlhf_data.stage(thinks, path, tokenizer, 0, takes), tokenizer)
    assert data[0][1].endswith("<|im_start|>assistant\n")

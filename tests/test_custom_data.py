"""What the custom trainer learns of a chat, and in which order it sees the rows."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

import custom_data
from custom_runs import MARKED, Custom, Json, assistant, sft_row, user, write_rows
from custom_settings import Settings
from rl_rollouts.models.chat_masks import ChatTokenizer, RowError

PLAIN = re.sub(r"\{% (end)?generation %\}", "", MARKED)
STOPS_SHORT = MARKED.replace(
    "{{- '<|im_end|>' }}{% endgeneration %}", "{% endgeneration %}{{- '<|im_end|>' }}"
)
FORGETS = PLAIN.replace(
    "if message.reasoning_content", "if message.reasoning_content and loop.last"
)
THINKS_LAST = PLAIN.replace(
    "{{- message.content }}",
    "{%- if loop.last and not message.reasoning_content %}{{- '<think></think>' }}{% endif %}"
    "{{- message.content }}",
)
OPENS_THINK = PLAIN.replace(
    "{{- '<|im_start|>assistant\\n' }}", "{{- '<|im_start|>assistant\\n<think>' }}"
)
NO_STOP = PLAIN.replace("<|im_end|>", "")


CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": {"a": 1, "b": None}},
}
TOOL_ROW = sft_row(
    [
        {"role": "system", "content": "be brief"},
        user("hello"),
        assistant("not to be learnt"),
        user("1 plus 2?"),
    ],
    [
        assistant("", reasoning_content="use the tool", tool_calls=[CALL]),
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        assistant("it is 3"),
        user("sure?"),
        assistant("yes"),
    ],
    tools=[{"type": "function", "function": {"name": "add", "parameters": {}}}],
)
WRITTEN = [
    "<think>use the tool</think>"
    '<call>{"name": "add", "arguments": {"a": 1, "b": null}}</call><|im_end|>',
    "it is 3<|im_end|>",
    "yes<|im_end|>",
]


# What is learnt


def tokenizer_with(tiny_qwen: Path, template: str) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_qwen)
    tokenizer.chat_template = template
    return tokenizer


def learnt(tokenizer: Any, row: Json) -> list[str]:
    """The runs of trained tokens of a row, decoded."""
    chat = ChatTokenizer(tokenizer)
    example = chat.example(row["prompt"], row["completion"], row["tools"])
    runs = re.finditer(b"\x01+", example.trained)
    return [tokenizer.decode(example.tokens[slice(*match.span())]) for match in runs]


@pytest.mark.parametrize("template", [MARKED, PLAIN, STOPS_SHORT])
def test_exactly_what_the_assistant_wrote_is_learnt(tiny_qwen: Path, template: str) -> None:
    assert learnt(tokenizer_with(tiny_qwen, template), TOOL_ROW) == WRITTEN


def test_a_think_block_only_in_the_newest_turn_is_no_obstacle(tiny_qwen: Path) -> None:
    expected = [*WRITTEN[:2], "<think></think>" + WRITTEN[2]]
    assert learnt(tokenizer_with(tiny_qwen, THINKS_LAST), TOOL_ROW) == expected


def test_a_header_that_opens_a_think_block_is_not_learnt(tiny_qwen: Path) -> None:
    expected = [WRITTEN[0].removeprefix("<think>"), *WRITTEN[1:]]
    assert learnt(tokenizer_with(tiny_qwen, OPENS_THINK), TOOL_ROW) == expected


def test_a_template_after_which_the_model_never_stops_is_refused(tiny_qwen: Path) -> None:
    with pytest.raises(RowError, match="never learn to stop"):
        learnt(tokenizer_with(tiny_qwen, NO_STOP), TOOL_ROW)


def test_rows_whose_tool_calls_the_template_leaves_out_are_counted(
    custom: Custom, tiny_qwen: Path
) -> None:
    shutil.copytree(tiny_qwen, "no_tools")
    template = re.sub(r"(?s)\{%- for call.*?endfor %\}", "", MARKED)
    Path("no_tools/chat_template.jinja").write_text(template)
    write_rows([TOOL_ROW, sft_row([user("a")], [assistant("b")])])
    _, out, _ = custom("--check_only", model_name_or_path="./no_tools")
    assert "in 1 of 2 rows calls of tools are not learned (training_data.jsonl:1)" in out


def test_text_that_merges_with_the_header_is_learnt_whole(tiny_qwen: Path) -> None:
    row = sft_row([user("hi")], [assistant("\n\nthe number")])
    assert "".join(learnt(tokenizer_with(tiny_qwen, PLAIN), row)).endswith("the number<|im_end|>")


def test_a_template_that_forgets_reasoning_is_refused_with_the_row(
    custom: Custom, tiny_qwen: Path
) -> None:
    shutil.copytree(tiny_qwen, "forgetful")
    Path("forgetful/chat_template.jinja").write_text(FORGETS)
    write_rows([TOOL_ROW])
    code, _, err = custom(model_name_or_path="./forgetful")
    assert code == 2
    assert "training_data.jsonl:1: " in err
    assert "rewrites earlier turns" in err


# Order of the rows


def test_each_epoch_sees_each_row_once_in_an_order_of_its_own() -> None:
    settings = Settings(model_name_or_path="m", output_dir=Path(), global_batch_size=4)
    seen = [row for step in range(6) for row in custom_data.step_rows(12, settings, step)]
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(range(12))
    assert seen[:12] != seen[12:]
    assert settings.total_steps(12) == 3
    assert settings.total_steps(13) == 4

"""What `make check` says of rows that a chat template spoils, refuses or leaves empty."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import custom_data
import tiny
import train_trl
from custom_settings import Settings
from families import DEEPSEEK, FAMILIES, GEMMA, LLAMA3, QWEN3, shipped, with_template
from rl_rollouts.errors import UserError
from rl_rollouts.evaluation.prompts import encode
from rl_rollouts.models.after_prompt import AfterPrompt
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.report.lengths import measure
from rl_rollouts.report.trainer import Trainer
from rollouts import write

Json = dict[str, Any]
Trl = Callable[..., str]
ADD: Json = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>\n{% endfor %}"
"""A template without tools, calls and reasoning."""

AS_PYTHON = "call.function.name ~ call.function.arguments"


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def says(text: str, **more: Any) -> Json:
    return {"role": "assistant", "content": text, **more}


def call(name: str = "add", **arguments: Any) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"id": "id0000001", "type": "function", "function": function}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("rows"))


@pytest.fixture
def trl(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Trl:
    """train_trl.py on rows, for a model with a certain chat template; what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def call(template: str, algorithm: str, rows: list[Json], *words: str) -> str:
        with_template(model, template).save_pretrained("model")
        for name in ("config.json", "model.safetensors"):
            Path("model", name).write_bytes((model / name).read_bytes())
        write(Path("rows.jsonl"), *rows)
        Path("c.yaml").write_text(f"algorithm: {algorithm}\nmodel_name_or_path: model\n")
        capsys.readouterr()
        given = ["--config", "c.yaml", "--data_path", "rows.jsonl", "--output_dir", "out"]
        train_trl.train([*given, "--use_cpu", "true", "--bf16", "false", *words])
        return capsys.readouterr().out

    return call


CHECK = ("--check_only", "true")
START = ()


def pair(prompt: list[Json], chosen: str, rejected: str) -> Json:
    return {"prompt": prompt, "chosen": [says(chosen)], "rejected": [says(rejected)], "tools": None}


def answered(prompt: list[Json], *completion: Json, tools: Any = None) -> Json:
    return {"prompt": prompt, "completion": list(completion), "tools": tools}


def test_pairs_that_differ_behind_the_cut(trl: Trl) -> None:
    long = "step and step " * 60
    late = pair([user("a")], f"{long} yes", f"{long} no")
    near = pair([user("a")], "yes", "no")
    said = trl(QWEN3, "dpo", [near, late, late], *CHECK, "--max_length", "64")
    assert "in 2 of 3 rows both sides are the same after cutting at max_length = 64" in said
    assert "(rows.jsonl:2, rows.jsonl:3). Raise max_length" in said
    with pytest.raises(UserError, match="In all 1 pairs both sides are the same after cutting"):
        trl(QWEN3, "dpo", [late], *CHECK, "--max_length", "64")
    assert "warning" not in trl(QWEN3, "dpo", [near, late], *CHECK, "--max_length", "2048")
    assert "warning" not in trl(QWEN3, "rm", [near], *CHECK)


def test_pairs_that_differ_in_what_the_template_leaves_out(trl: Trl) -> None:
    one = pair([user("a")], "yes", "yes")
    one["chosen"][0]["reasoning_content"] = "because"
    said = trl(PLAIN, "rm", [one, pair([user("a")], "yes", "no")], *CHECK)
    assert "in 1 of 2 rows both sides are the same, as the chat template writes them" in said


def reasoned() -> Json:
    turns = [
        each
        for number in range(3)
        for each in (says("so", reasoning_content="hm " * 60), user(f"and {number}?"))
    ]
    return answered([user("why?")], *turns[:-1])


def test_rows_are_as_long_as_what_is_trained(trl: Trl, model: Path) -> None:
    """TRL marks Qwen3's turns with a template of its own, which keeps reasoning of all of them."""
    template = shipped("qwen3")
    assert template is not None
    from trl.chat_template_utils import qwen3_training_chat_template

    row, tokenizer = reasoned(), with_template(model, template)
    messages = row["prompt"] + row["completion"]
    short = len(tokenizer.apply_chat_template(messages)["input_ids"])
    tokenizer.chat_template = qwen3_training_chat_template
    long = len(tokenizer.apply_chat_template(messages)["input_ids"])
    assert long > short * 2
    words = ("--assistant_only_loss", "true", "--max_length", str(long - 1))
    said = trl(template, "sft", [row], *CHECK, *words)
    assert f"lengths  {long} to {long} tokens" in said
    assert f"1 longer than max_length = {long - 1} tokens cut" in said
    assert "cutting takes 1 of " in said and "Raise max_length, or prepare with --per_turn" in said


def custom(model: Path, folder: Path, template: str, *given: Json, **keys: Any) -> str:
    """What the custom trainer says of rows."""
    rest: Json = {"task": "t", "reward": 1.0, "tokens": None, "metadata": {}}
    path = write(folder / "rows.jsonl", *({**rest, **row} for row in given))
    config = Settings.model_validate({"model_name_or_path": "m", "output_dir": "o", **keys})
    data = custom_data.load_dataset(path, with_template(model, template), config)
    return custom_data.summary(config, data)


def test_reasoning_of_earlier_turns_is_learned_turn_by_turn(model: Path, tmp_path: Path) -> None:
    template = shipped("qwen3")
    assert template is not None
    with pytest.raises(UserError, match=r"rows\.jsonl:1: .* rewrites earlier turns .*--per_turn"):
        custom(model, tmp_path, template, reasoned())


@pytest.mark.parametrize("when", [CHECK, START], ids=["check", "start"])
def test_a_row_that_the_template_refuses_is_named(
    trl: Trl, when: tuple[str, ...], model: Path, tmp_path: Path
) -> None:
    """Also where it is not the first, and TRL finds it while it begins."""
    good = answered([user("a")], says("b"))
    bad = answered([{"role": "system", "content": "be brief"}, user("a")], says("b"))
    with pytest.raises(UserError) as error:
        trl(GEMMA, "sft", [good, bad], *when)
    assert "rows.jsonl:2: " in str(error.value) and "System role not supported" in str(error.value)
    assert "leave system turns out (`change` in prepare_for_*.py)" in str(error.value)
    with pytest.raises(UserError, match=r"rows\.jsonl:2: .*System role not supported; leave sys"):
        custom(model, tmp_path, GEMMA, good, bad)


def test_the_option_that_helps_is_tried(trl: Trl) -> None:
    row = answered([user("a")], says("", tool_calls=[call(a=1)]), tools=[ADD])
    with pytest.raises(UserError, match="--arguments text"):
        trl(DEEPSEEK, "sft", [row], *CHECK)
    with pytest.raises(UserError, match="leave the row out, or take a model"):
        trl(GEMMA, "sft", [answered([user("a"), user("b")], says("c"))], *CHECK)


def test_prompts_that_the_template_refuses(trl: Trl) -> None:
    rest: Json = {"task": "t", "tools": None, "ground_truth": "4", "metadata": {}}
    good = {**rest, "prompt": [user("a")]}
    bad = {**rest, "prompt": [{"role": "system", "content": "be brief"}, user("a")]}
    words = ("--per_device_train_batch_size", "8", "--rewards", "rl_rollouts.smoke.toy:score")
    for when in (CHECK, START):
        with pytest.raises(UserError, match=r"rows\.jsonl:9: .*System role not supported"):
            trl(GEMMA, "grpo", [*[good] * 8, bad], *when, *words)


def counted(model: Path, template: str, *given: Json, marked: bool = False) -> str:
    """What the check says of rows of which all after the prompt is learned."""
    tokenizer = with_template(model, template)
    learn = AfterPrompt(tokenizer, marked=marked)
    found = Learned(learn, tokenizer, Limit("max_length", None))
    for at, row in enumerate(given, 1):
        found.add(f"f:{at}", row["prompt"], [row["completion"]], row["tools"])
    found.demand()
    return "\n".join(found.lines())


CALLED = answered(
    [user("add the two: what does add do with a: 1?")],
    says("I add a and 1", tool_calls=[call(a=1)]),
    tools=[ADD],
)
"""Names and values that stand in the texts, too."""


@pytest.mark.parametrize(
    ("template", "row", "said"),
    [
        (PLAIN, CALLED, "the model is not shown the tools"),
        (PLAIN, CALLED, "calls of tools are not learned"),
        (LLAMA3, CALLED, "text of the model beside its calls is not learned"),
        (
            PLAIN.replace("<|im_end|>", "{% for c in m.tool_calls or [] %}{{ c.function.name }}"
            "{% endfor %}<|im_end|>"),
            CALLED,
            "the arguments of calls are not learned",
        ),
        (
            QWEN3.replace("(call.function | tojson)", AS_PYTHON),
            CALLED,
            "as Python writes them, in single quotes (f:2). Prepare with --arguments text",
        ),
        (
            PLAIN,
            answered([user("a")], says("b", reasoning_content="b")),
            "the model's reasoning is not learned",
        ),
        (
            QWEN3,
            answered([user("a")], says("b", reasoning_content="hm"), user("c"), says("d")),
            "reasoning is not learned but in the last turn (f:2). Prepare with --per_turn",
        ),
        (
            DEEPSEEK,
            answered([user("a")], says("<think>hm</think>b")),
            "reasoning between think tags is not learned",
        ),
        (
            QWEN3,
            answered([user("a")], says("b"), user("b"), says("b")),
            "learns what it did not write",
        ),
        (
            "{% for m in messages if m.role != 'system' %}{{ m.content }}<|im_end|>{% endfor %}",
            answered([{"role": "system", "content": "a"}, user("a")], says("a")),
            "a turn before what is learned (system, user",
        ),
        (
            "{% for m in messages %}{% if not loop.last or m.role == 'user' %}{{ m.content }}"
            "{% endif %}<|im_end|>{% endfor %}",
            answered([user("a")], says("b")),
            "a whole turn of the model is not learned",
        ),
        (
            "{% for m in messages %}{{ m.content }}\n{% endfor %}",
            answered([user("a")], says("b")),
            "no end of the turn is learned",
        ),
    ],
)  # fmt: skip
def test_what_is_lost_is_said_with_the_rows(
    model: Path, template: str, row: Json, said: str
) -> None:
    plain = answered([user("a")], says("b"))
    report = counted(model, template, plain, row, plain)
    assert said in report
    rows = 3 if said.startswith(("a whole", "no end")) else 1
    assert f"warning: in {rows} of 3 rows " in report


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_said_of_plain_rows(model: Path, family: str) -> None:
    rows = [
        answered([user("a")], says("b")),
        answered([user("a"), says("b"), user("c")], says("d")),
    ]
    assert "warning" not in counted(model, FAMILIES[family], *rows)


def test_rows_that_are_empty_are_named(trl: Trl) -> None:
    long, short = answered([user("a " * 100)], says("b")), answered([user("a")], says("b"))
    said = trl(QWEN3, "sft", [short, long, short], *CHECK, "--max_length", "32")
    assert "1 with nothing to learn, 2 to train on" in said
    assert "nothing is learned after cutting at max_length = 32 (rows.jsonl:2)" in said


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "completion": "b", "tools": None},
        answered([{"content": "a"}], says("b")),
        answered([user("a")], says("b", tool_calls=["add"])),
    ],
)
def test_rows_that_are_no_chats_are_named(model: Path, row: Json) -> None:
    with pytest.raises(UserError, match=r"f:2: .*see the prepare script"):
        counted(model, QWEN3, answered([user("a")], says("b")), row)


def test_text_of_calls_that_becomes_a_quoted_string(model: Path) -> None:
    texts = {**call(a=1), "function": {"name": "add", "arguments": '{"a": 1}'}}
    row = answered([user("a")], says("", tool_calls=[texts]), tools=[ADD])
    assert "Prepare with --arguments object" in counted(model, QWEN3, row)


def test_evaluation_and_report_name_what_a_template_refuses(model: Path, tmp_path: Path) -> None:
    tokenizer = with_template(model, DEEPSEEK)
    messages = [user("a"), says("", tool_calls=[call(a=1)])]
    with pytest.raises(UserError, match="refuses the prompt that ends with"):
        encode(tokenizer, messages, None, ask=True)
    tokenizer.save_pretrained(tmp_path / "model")
    rows = write(tmp_path / "rows.jsonl", answered(messages[:1], messages[1]))
    trainer = Trainer("c.yaml", 64, "max_length", "cut", str(tmp_path / "model"))
    assert "refuses 1 rows" in measure([rows], trainer).why


def test_the_report_measures_with_the_template_that_the_trainer_takes(
    model: Path, tmp_path: Path
) -> None:
    """TRL marks Qwen3's turns with a template of its own, which keeps reasoning of all of them."""
    template = shipped("qwen3")
    assert template is not None
    with_template(model, template).save_pretrained(tmp_path / "model")
    rows = write(tmp_path / "rows.jsonl", reasoned())
    lengths = []
    for marked in (False, True):
        settings = {"assistant_only_loss": marked}
        named = ("c.yaml", 64, "max_length", "cut", str(tmp_path / "model"))
        found = measure([rows], Trainer(*named, framework="trl", settings=settings))
        assert found.tokens and found.exact
        lengths.append(found.tokens.high)
    assert lengths[1] > lengths[0] * 2

"""The plain PyTorch trainer of generated projects, run as its user runs it, on a tiny model."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

import custom_data
import custom_loop
import custom_loss
import train_custom
from conftest import TEMPLATES
from custom_settings import Settings

SOURCE = TEMPLATES / "{{custom}}"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TEMPLATES / "{{base}}")}
"""In a project, the data preparation lies beside the trainer."""

torch.set_num_threads(1)

MARKED = """
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}{% generation %}
{%- if message.reasoning_content %}
{{- '<think>' + message.reasoning_content + '</think>' }}
{%- endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<call>' + (call.function | tojson) + '</call>' }}
{%- endfor %}
{{- '<|im_end|>' }}{% endgeneration %}
{%- else %}{{- message.content + '<|im_end|>' }}{% endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""
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

Run = Callable[..., tuple[int, str, str]]


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": {"a": 1, "b": None}},
}
TOOL_ROW = {
    "prompt": [
        {"role": "system", "content": "be brief"},
        user("hello"),
        assistant("not to be learnt"),
        user("1 plus 2?"),
    ],
    "completion": [
        assistant(None, reasoning_content="use the tool", tool_calls=[CALL]),
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        assistant("it is 3"),
        user("sure?"),
        assistant("yes"),
    ],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
}
WRITTEN = [
    "<think>use the tool</think>"
    '<call>{"name": "add", "arguments": {"a": 1, "b": null}}</call><|im_end|>',
    "it is 3<|im_end|>",
    "yes<|im_end|>",
]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two layers with tied embeddings and a byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("tiny")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(["assistant user system tool the number is what plus"] * 20, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>", chat_template=MARKED
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        attention_dropout=0.0,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def project(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rows and a config, in which the commands are run."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "prompt": [user(f"what is {n} plus {n}?")],
            "completion": [assistant(f"the number {n + n}")],
        }
        for n in range(11)
    ]
    write_rows(rows)
    config = {
        "model_name_or_path": str(model),
        "output_dir": "out",
        "global_batch_size": 4,
        "learning_rate": 0.01,
        "max_steps": 4,
        "logging_steps": 1,
    }
    Path("custom_config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run train_custom.py with more arguments and `key=value` overrides: (exit code, out, err)."""

    def command(*arguments: str, **overrides: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", command_line(*arguments, **overrides))
        code = train_custom.main()
        return code, *capsys.readouterr()

    return command


def command_line(*arguments: str, **overrides: object) -> list[str]:
    files = ["--data_path", "training_data.jsonl", "--config", "custom_config.yaml"]
    changes = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    return [str(SOURCE / "train_custom.py"), *files, *changes, *arguments]


def write_rows(rows: list[dict[str, Any]]) -> None:
    Path("training_data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def log(output: str = "out") -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(output, "log.jsonl").read_text().splitlines()]


def losses(output: str = "out") -> list[float]:
    return [line["loss"] for line in log(output)]


def weights(folder: str | Path) -> dict[str, Any]:
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    return dict(loaded.state_dict())


# What is learnt


def tokenizer_with(model: Path, template: str) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = template
    return tokenizer


def learnt(tokenizer: Any, row: dict[str, Any]) -> list[str]:
    """The runs of trained tokens of a row, decoded."""
    example = custom_data.ChatTokenizer(tokenizer).example(custom_data.Row.model_validate(row))
    runs = re.finditer(b"\x01+", example.trained)
    return [tokenizer.decode(example.tokens[slice(*match.span())]) for match in runs]


@pytest.mark.parametrize("template", [MARKED, PLAIN, STOPS_SHORT])
def test_exactly_what_the_assistant_wrote_is_learnt(model: Path, template: str) -> None:
    assert learnt(tokenizer_with(model, template), TOOL_ROW) == WRITTEN


def test_a_think_block_only_in_the_newest_turn_is_no_obstacle(model: Path) -> None:
    expected = [*WRITTEN[:2], "<think></think>" + WRITTEN[2]]
    assert learnt(tokenizer_with(model, THINKS_LAST), TOOL_ROW) == expected


def test_a_header_that_opens_a_think_block_is_not_learnt(model: Path) -> None:
    expected = [WRITTEN[0].removeprefix("<think>"), *WRITTEN[1:]]
    assert learnt(tokenizer_with(model, OPENS_THINK), TOOL_ROW) == expected


def test_a_template_after_which_the_model_never_stops_is_refused(model: Path) -> None:
    with pytest.raises(custom_data.RowError, match="never learn to stop"):
        learnt(tokenizer_with(model, NO_STOP), TOOL_ROW)


def test_rows_whose_tool_calls_the_template_leaves_out_are_counted(run: Run, model: Path) -> None:
    shutil.copytree(model, "no_tools")
    template = re.sub(r"(?s)\{%- for call.*?endfor %\}", "", MARKED)
    Path("no_tools/chat_template.jinja").write_text(template)
    write_rows([TOOL_ROW, {"prompt": [user("a")], "completion": [assistant("b")]}])
    _, out, _ = run("--check_only", model_name_or_path="./no_tools")
    assert "leaves out reasoning or tool calls of 1\n" in out


def test_text_that_merges_with_the_header_is_learnt_whole(model: Path) -> None:
    row = {"prompt": [user("hi")], "completion": [assistant("\n\nthe number")]}
    assert "".join(learnt(tokenizer_with(model, PLAIN), row)).endswith("the number<|im_end|>")


def test_a_template_that_forgets_reasoning_is_refused_with_the_row(run: Run, model: Path) -> None:
    shutil.copytree(model, "forgetful")
    Path("forgetful/chat_template.jinja").write_text(FORGETS)
    write_rows([TOOL_ROW])
    code, _, err = run(model_name_or_path="./forgetful")
    assert code == 2
    assert err.startswith("error: training_data.jsonl:1: ")
    assert "rewrites earlier turns" in err


# Training


def test_training_lowers_the_loss_and_the_model_reloads(run: Run, model: Path) -> None:
    code, out, _ = run(max_steps=30, weight_decay=0.1, tracker="tensorboard", logging_steps=2)
    assert code == 0
    assert losses()[-1] < losses()[0] / 2
    assert [line["step"] for line in log()] == list(range(2, 31, 2))
    assert "step 30/30  loss " in out
    assert any(Path("out/tensorboard").iterdir())
    before, after = weights(model), weights("out/final")
    assert before.keys() == after.keys()
    assert not torch.equal(before["model.norm.weight"], after["model.norm.weight"])
    reloaded = transformers.AutoTokenizer.from_pretrained("out/final")
    assert reloaded.chat_template == MARKED
    assert Path("out/final/generation_config.json").exists()


def test_the_shared_embedding_is_stored_once(run: Run) -> None:
    from safetensors import safe_open

    assert run()[0] == 0
    with safe_open("out/final/model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names


def test_the_loss_is_the_one_of_transformers(run: Run, model: Path) -> None:
    run(global_batch_size=11, max_steps=1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    chat = custom_data.ChatTokenizer(tokenizer)
    lines = Path("training_data.jsonl").read_bytes().splitlines()
    examples = [chat.example(custom_data.Row.model_validate_json(line)) for line in lines]
    batch = custom_loss.ALGORITHMS["sft"].batch(examples, tokenizer.pad_token_id)
    labels = batch["tokens"].masked_fill(~batch["trained"], -100)
    network = transformers.AutoModelForCausalLM.from_pretrained(model)
    theirs = network(batch["tokens"], attention_mask=batch["attended"], labels=labels).loss
    assert losses() == pytest.approx([theirs.item()], abs=1e-5)


def test_accumulation_does_not_change_the_mathematics(run: Run) -> None:
    run(global_batch_size=8, micro_batch_size=1, output_dir="one")
    run(global_batch_size=8, micro_batch_size=4, output_dir="four", gradient_checkpointing=True)
    assert losses("one") == pytest.approx(losses("four"), abs=1e-4)
    assert len(losses("one")) == 4


def test_a_resumed_run_is_the_unbroken_run(run: Run, model: Path) -> None:
    shutil.copytree(model, "dropout")
    config = json.loads(Path("dropout/config.json").read_text())
    Path("dropout/config.json").write_text(json.dumps(config | {"attention_dropout": 0.2}))
    options = {"max_steps": 6, "save_steps": 2, "model_name_or_path": "./dropout"}
    run(**options, output_dir="whole", keep_checkpoints=9)
    shutil.copytree("whole/checkpoint-4", "broken/checkpoint-4")
    Path("broken/.checkpoint-6.partial").mkdir()
    lines = Path("whole/log.jsonl").read_text().splitlines(keepends=True)
    Path("broken/log.jsonl").write_text("".join(lines[:5]) + '{"step": 6, "lo')

    assert run("--resume", **options, output_dir="broken", keep_checkpoints=1)[0] == 0

    assert losses("broken") == losses("whole")
    unbroken, resumed = weights("whole/final"), weights("broken/final")
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    assert [p.name for p in Path("broken").glob("checkpoint-*")] == ["checkpoint-6"]


def test_resume_starts_fresh_without_checkpoint_and_is_done_when_done(run: Run) -> None:
    assert run("--resume")[0] == 0
    written = Path("out/final/model.safetensors").stat().st_mtime_ns
    code, out, _ = run("--resume")
    assert code == 0
    assert "nothing to do" in out
    assert Path("out/final/model.safetensors").stat().st_mtime_ns == written


def test_resume_with_other_data_is_refused(run: Run) -> None:
    run(save_steps=2)
    shutil.rmtree("out/final")
    write_rows([{"prompt": [user("other")], "completion": [assistant("data")]}])
    code, _, err = run("--resume", seed=1)
    assert code == 2
    assert "seed was 0 and is now 1" in err
    assert "data_checksum" in err


def test_two_processes_train_as_one(run: Run, project: Path) -> None:
    options = {"max_steps": 6, "save_steps": 3, "keep_checkpoints": 2}
    run(**options, output_dir="one")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def torchrun(*arguments: str) -> None:
        command = [*launcher, *command_line(*arguments, **options, output_dir="two")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    torchrun("--set", "micro_batch_size=2")
    assert losses("two") == pytest.approx(losses("one"), abs=1e-4)
    one, two = weights("one/final"), weights("two/final")
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    shutil.rmtree("two/final")
    shutil.rmtree("two/checkpoint-6")
    run("--resume", **options, output_dir="two")  # with another number of processes
    assert losses("two") == pytest.approx(losses("one"), abs=1e-4)


def test_bfloat16_trains_and_is_the_type_of_the_model(run: Run) -> None:
    assert run(dtype="bfloat16", max_steps=12)[0] == 0
    assert losses()[-1] < losses()[0]
    assert weights("out/final")["model.norm.weight"].dtype == torch.bfloat16


def test_a_loss_that_is_not_finite_stops_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = custom_loss.ALGORITHMS["sft"]._replace(
        loss=lambda model, batch: model.get_parameter("model.norm.weight").sum() * torch.inf
    )
    monkeypatch.setitem(custom_loss.ALGORITHMS, "sft", broken)
    code, _, err = run()
    assert code == 1
    assert "error: step 1: loss inf" in err
    assert not Path("out/final").exists()


@pytest.mark.parametrize("scheduler", ["constant", "linear", "cosine"])
def test_the_rate_rises_over_the_warm_up_and_then_falls(scheduler: str, model: Path) -> None:
    settings = Settings(
        model_name_or_path="m",
        output_dir=Path(),
        lr_scheduler=scheduler,
        learning_rate=1.0,
        warmup_ratio=0.2,
    )
    rates = [custom_loop.learning_rate(settings, step, 10) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert (rates[-1] == 1.0) == (scheduler == "constant")
    assert rates[-1] > 0


# Order of the rows


def test_each_epoch_sees_each_row_once_in_an_order_of_its_own() -> None:
    settings = Settings(model_name_or_path="m", output_dir=Path(), global_batch_size=4)
    seen = [row for step in range(6) for row in custom_data.step_rows(12, settings, step)]
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(range(12))
    assert seen[:12] != seen[12:]
    assert settings.total_steps(12) == 3
    assert settings.total_steps(13) == 4


# What is refused, and what is said


def test_all_wrong_keys_are_named_with_line_and_remedy(run: Run) -> None:
    with Path("custom_config.yaml").open("a") as file:
        file.write("learning_rat: 1\nzzz: 2\nepochs: -1\n")
    code, _, err = run(save_steps="soon")
    assert code == 2
    lines = err.splitlines()
    assert (
        "error: custom_config.yaml:7: unknown key learning_rat; did you mean learning_rate?"
        in lines
    )
    assert any(line.startswith("error: custom_config.yaml:8: unknown key zzz") for line in lines)
    assert any(line.startswith("error: custom_config.yaml:9: epochs is -1") for line in lines)
    assert any(line.startswith("error: --set: save_steps is 'soon'") for line in lines)
    assert len(lines) == 4


def test_a_batch_that_does_not_divide_names_the_nearest_that_do(run: Run) -> None:
    code, _, err = run(global_batch_size=10, micro_batch_size=4)
    assert code == 2
    assert "global_batch_size 10 is not a multiple of 4" in err
    assert "set global_batch_size to 8 or 12, or micro_batch_size to 2" in err


@pytest.mark.parametrize("config", [None, "a: [", "- a list", "output_dir: x"])
def test_a_config_that_is_none_is_refused(run: Run, config: str | None) -> None:
    Path("custom_config.yaml").unlink()
    if config:
        Path("custom_config.yaml").write_text(config)
    code, _, err = run()
    assert code == 2
    assert err.startswith("error: ")
    assert "custom_config.yaml" in err


def test_bad_rows_are_named_by_line_with_every_reason(run: Run) -> None:
    good = json.dumps({"prompt": [user("a")], "completion": [assistant("b")]})
    call = {"function": {"name": "f", "arguments": "{}"}}
    bad = {"prompt": [], "completion": [assistant("x", tool_calls=[call])]}
    Path("training_data.jsonl").write_text(f"{good}\n{{oops\n\n{json.dumps(bad)}\n")
    code, _, err = run()
    assert code == 2
    first, second = err.splitlines()
    assert first.startswith("error: training_data.jsonl:2: Invalid JSON")
    assert second.startswith("error: training_data.jsonl:4: prompt ")
    assert "completion.0.tool_calls.0.function.arguments" in second


def test_long_and_empty_rows_are_dropped_or_cut_and_counted(run: Run) -> None:
    long = {"prompt": [user("a")], "completion": [assistant("word " * 50)]}
    short = {"prompt": [user("a")], "completion": [assistant("b")]}
    empty = {"prompt": [user("a")], "completion": [user("b")]}
    write_rows([long, short, empty])
    _, out, _ = run("--check_only", max_length=64)
    assert "3 read, 1 longer than 64 tokens dropped, 1 with nothing to learn dropped, 1 to" in out
    code, out, _ = run(max_length=64, overlong="cut")
    assert code == 0
    assert "3 read, 1 longer than 64 tokens cut, 1 with nothing to learn dropped, 2 to" in out
    assert "to 64 tokens" in out
    code, _, err = run("--check_only", max_length=3, output_dir="new")
    assert code == 2
    assert "no row to train on" in err


def test_check_only_says_what_will_be_run_and_writes_nothing(run: Run) -> None:
    code, out, _ = run("--check_only", max_steps="null", epochs=2, micro_batch_size=2)
    assert code == 0
    assert "steps    6 of 4 sequences = 2 sequences x 2 forward passes x 1 processes" in out
    assert "'<|im_end|>'" in out
    assert not Path("out").exists()


def test_everything_wrong_with_paths_is_said_at_once(run: Run) -> None:
    Path("training_data.jsonl").unlink()
    Path("out/final").mkdir(parents=True)
    code, _, err = run("--check_only", model_name_or_path="./nowhere", global_batch_size=3)
    assert code == 2
    assert all(word in err for word in ("./nowhere", "training_data.jsonl", "out holds final"))


@pytest.mark.parametrize("name", ["no/such", "nosuch"])
def test_a_model_that_is_nowhere_is_refused(run: Run, name: str) -> None:
    code, _, err = run(model_name_or_path=name)
    assert code == 2
    assert err.startswith(f"error: model_name_or_path {name} does not load")
    assert len(err.splitlines()) == 1


def test_an_earlier_run_is_never_overwritten(run: Run) -> None:
    assert run(save_steps=2)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")}
    code, _, err = run()
    assert code == 2
    assert "--resume" in err
    assert before == {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")}


def test_a_tracker_that_is_not_installed_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, _, err = run(tracker="wandb")
    assert code == 2
    assert "pip install wandb" in err


def test_help_and_config_errors_do_not_wait_for_torch() -> None:
    script = "import sys, train_custom; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=SOURCE, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr

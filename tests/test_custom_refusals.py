"""What the custom trainer refuses, and what it says before it trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from custom_runs import ENVIRONMENT, SOURCE, Custom, assistant, sft_row, user, write_rows


def test_all_wrong_keys_are_named_with_line_and_remedy(custom: Custom) -> None:
    with Path("custom_config.yaml").open("a") as file:
        file.write("learning_rat: 1\nzzz: 2\nepochs: -1\n")
    code, _, err = custom(save_steps="soon")
    assert code == 2
    lines = err.splitlines()
    assert lines[0] == "error: 4 problem(s):" and len(lines) == 6
    near = "  custom_config.yaml:7: unknown key learning_rat; did you mean learning_rate?"
    assert near in lines
    for said in (
        "custom_config.yaml:8: unknown key zzz",
        "custom_config.yaml:9: epochs is -1",
        "--set: save_steps is 'soon'",
    ):
        assert any(line.startswith(f"  {said}") for line in lines)


def test_a_batch_that_does_not_divide_names_the_nearest_that_do(custom: Custom) -> None:
    code, _, err = custom(global_batch_size=10, micro_batch_size=4)
    assert code == 2
    assert "global_batch_size 10 is not a multiple of 4" in err
    assert "set global_batch_size to 8 or 12, or micro_batch_size to 2" in err


@pytest.mark.parametrize(
    "config", [None, "", "a: [", "- a list", "output_dir: x", "seed: 1\nseed: 2"]
)
def test_a_config_that_is_none_is_refused(custom: Custom, config: str | None) -> None:
    Path("custom_config.yaml").unlink()
    if config is not None:
        Path("custom_config.yaml").write_text(config)
    code, _, err = custom()
    assert code == 2
    assert err.startswith("error: ")
    assert "custom_config.yaml" in err


def test_bad_rows_are_named_by_line_with_every_reason(custom: Custom) -> None:
    good = json.dumps(sft_row([user("a")], [assistant("b")]))
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    bad = sft_row([], [assistant("x", tool_calls=[call])])
    Path("training_data.jsonl").write_text(f"{good}\n{{oops\n\n{json.dumps(bad)}\n")
    code, _, err = custom()
    assert code == 2
    first, second = (line for line in err.splitlines() if "training_data.jsonl:" in line)
    assert first.startswith("  training_data.jsonl:2: no JSON")
    assert second.startswith("  training_data.jsonl:4: ") and "prompt: [] " in second
    assert "completion.0.tool_calls.0.function.arguments" in second


def test_long_and_empty_rows_are_dropped_or_cut_and_counted(custom: Custom) -> None:
    long = sft_row([user("a")], [assistant("word " * 50)])
    short = sft_row([user("a")], [assistant("b")])
    asked = sft_row([user("word " * 25)], [assistant("b")])
    write_rows([long, short, asked])
    _, out, _ = custom("--check_only", max_length=64)
    assert "3 rows read, 2 longer than max_length = 64 tokens dropped, 1 to train on" in out
    code, out, _ = custom(max_length=64, overlong="cut")
    assert code == 0
    assert "2 longer than max_length = 64 tokens cut, 1 with nothing to learn, 2 to train" in out
    assert "to 64 tokens" not in out, "how long they are, not what is left"
    code, _, err = custom("--check_only", max_length=3, output_dir="new")
    assert code == 2
    assert "All rows are longer than max_length = 3: nothing would be trained" in err


def test_check_only_says_what_will_be_run_and_writes_nothing(custom: Custom) -> None:
    code, out, _ = custom("--check_only", max_steps="null", epochs=2, micro_batch_size=2)
    assert code == 0
    assert "steps    6 of 4 rows, 2 epoch(s)\n" in out
    assert "step     2 sequences x 2 forward passes x 1 processes" in out
    assert "'<|im_end|>'" in out
    assert not Path("out").exists()


def test_everything_wrong_with_paths_is_said_at_once(custom: Custom) -> None:
    Path("training_data.jsonl").unlink()
    Path("out/final").mkdir(parents=True)
    code, _, err = custom("--check_only", model_name_or_path="./nowhere", global_batch_size=3)
    assert code == 2
    assert all(word in err for word in ("./nowhere", "training_data.jsonl", "out holds final"))


@pytest.mark.parametrize("name", ["no/such", "nosuch"])
def test_a_model_that_is_nowhere_is_refused(custom: Custom, name: str) -> None:
    code, _, err = custom(model_name_or_path=name)
    assert code == 2
    assert err.startswith(f"error: {name} is not on this machine ")
    assert len(err.splitlines()) == 2


def test_an_earlier_run_is_never_overwritten(custom: Custom) -> None:
    assert custom(save_steps=2)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")}
    code, _, err = custom()
    assert code == 2
    assert "--resume" in err
    assert before == {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")}


def test_a_tracker_that_is_not_installed_is_named(
    custom: Custom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, _, err = custom(tracker="wandb")
    assert code == 2
    assert "pip install wandb" in err


def test_help_and_config_errors_do_not_wait_for_torch() -> None:
    script = "import sys, train_custom; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=SOURCE, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr

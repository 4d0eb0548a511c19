"""A reward that cannot tell responses to the rows of a run apart is said before the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import custom_loop
import rewards
from custom_settings import Settings
from rl_rollouts.errors import UserError
from rl_rollouts.rewards import ready
from rl_rollouts.rewards.trial import SAMPLE, try_out
from rl_rollouts.smoke import toy
from rollouts import write

Json = dict[str, Any]


def row(truth: Any, **metadata: Any) -> Json:
    return {
        "task": "t",
        "prompt": [{"role": "user", "content": "what?"}],
        "tools": None,
        "ground_truth": truth,
        "metadata": metadata,
    }


def test_rows_without_a_ground_truth_where_one_is_needed() -> None:
    said = try_out([row(None, answer="4", id=n) for n in range(40)], rewards.score)
    assert "40 of 40 rows have no ground truth" in said and "is worth 0:" in said
    assert "read from expected_answer, ground_truth, verifier_metadata" in said
    assert "Their metadata has answer, id." in said
    assert "`change` of prepare_for_*.py" in said and "rewards.py" in said


def test_only_some_rows_have_one() -> None:
    said = try_out([row("4"), row(None), row("5"), row(None), row(None)], rewards.score)
    assert "3 of 5 rows have no ground truth" in said and said.count("warning") == 1


def boxed(prompt: Any, response: str, ground_truth: Any, metadata: Any) -> float:
    return float(response == f"\\boxed{{{ground_truth}}}")


def from_metadata(prompt: Any, response: str, ground_truth: Any, metadata: Any) -> float:
    return float(metadata["answer"] in response)


@pytest.mark.parametrize(
    ("score", "rows"),
    [
        (rewards.score, [row("4"), row("Paris")]),
        (rewards.score, [row(12.5), row(["a", "b"])]),
        (ready.json_match, [row({"a": [1, None]})]),
        (ready.exact_match, [row("a long text\nof two lines")]),
        (boxed, [row("7")]),
        (toy.score, [row(None)] * 3),
        (from_metadata, [row(None, answer="42")]),
        (rewards.score, [*[row({})] * (SAMPLE // 2), row("4")]),
    ],
)
def test_rewards_that_tell_responses_apart(score: Any, rows: list[Json]) -> None:
    assert try_out(rows, score) == ""


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_reward(value: float) -> None:
    said = try_out([row("4")] * 5, lambda *_: value)
    assert "5 of 5 rows have a ground truth, and every response" in said
    assert f"worth {value:g}:" in said and "make rewards" in said


def test_a_reward_that_depends_on_the_prompt_alone_is_constant() -> None:
    given = [row(str(number), level=number) for number in range(4)]
    assert "warning" in try_out(given, lambda p, r, t, facts: facts["level"])


def test_little_is_asked_of_a_reward_that_works() -> None:
    calls: list[str] = []

    def score(prompt: Any, response: str, truth: Any, metadata: Any) -> float:
        calls.append(response)
        return rewards.score(prompt, response, truth, metadata)

    assert try_out([row("4")] * 1000, score) == ""
    assert len(calls) < 5


def test_a_reward_that_fails_on_a_sample_stops() -> None:
    with pytest.raises(UserError, match="returned nan"):
        try_out([row("4")], lambda *_: float("nan"))


def test_the_custom_trainer_says_it(
    tiny_qwen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "rows.jsonl", *[row(None)] * 4)
    keys = {"algorithm": "grpo", "model_name_or_path": str(tiny_qwen), "num_generations": 2}
    config = Settings.model_validate({**keys, "output_dir": str(tmp_path / "out"), "epochs": 1})
    custom_loop.TorchTrainer().check(data, config)
    assert "4 of 4 rows have no ground truth" in capsys.readouterr().out


Inside = Callable[..., None]


def test_trl_says_it_at_the_check_and_at_the_start(
    tiny_qwen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import train_trl

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train_trl, "build", lambda *_: (_ for _ in ()).throw(UserError("x", "y")))
    write(tmp_path / "rows.jsonl", *[row(None)] * 8)
    Path("c.yaml").write_text(f"algorithm: grpo\nmodel_name_or_path: {tiny_qwen}\n")
    words = ["--config", "c.yaml", "--data_path", "rows.jsonl", "--output_dir", "out"]
    train_trl.train([*words, "--use_cpu", "true", "--bf16", "false", "--check_only", "true"])
    assert "8 of 8 rows have no ground truth" in capsys.readouterr().out
    with pytest.raises(UserError):
        train_trl.train([*words, "--use_cpu", "true", "--bf16", "false"])
    assert "8 of 8 rows have no ground truth" in capsys.readouterr().out

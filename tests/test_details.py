"""Learning rate, KL and the like: chosen by one name, and written under each framework's own."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from checked import heavy
from conftest import Command
from contracts.rendering import Variant, variant, write
from projects import render
from scaffolder.cli.options import FLAGS
from scaffolder.explained import ANSWERS
from scaffolder.frameworks import discover, names
from scaffolder.project import Config, read_config
from scaffolder.spec import DETAILS, ProjectSpec
from scaffolder.vocabulary import (
    ALGORITHMS,
    GENERATIONS,
    LOSSES,
    OFFLINE,
    PATTERNS,
    SCHEDULERS,
    TOPOLOGIES,
    TUNINGS,
    WORDS,
)
from test_plan import plan_of

CHOSEN: dict[str, Any] = {
    "learning_rate": 1.25e-5,
    "scheduler": "constant",
    "warmup": 0.125,
    "kl_coefficient": 0.07,
    "loss": "response_mean",
    "temperature": 0.75,
    "lora_rank": 24,
    "save_steps": 17,
    "eval_steps": 34,
    "seed": 7,
}
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "trl": {
        "learning_rate": ("learning_rate",),
        "scheduler": ("lr_scheduler_type",),
        "warmup": ("warmup_steps",),
        "kl_coefficient": ("beta",),
        "loss": ("loss_type",),
        "temperature": ("temperature",),
        "lora_rank": ("lora_r",),
        "save_steps": ("save_steps",),
        "eval_steps": ("eval_steps",),
        "seed": ("seed",),
    },
    "custom": {
        "learning_rate": ("learning_rate",),
        "scheduler": ("lr_scheduler",),
        "warmup": ("warmup_ratio",),
        "kl_coefficient": ("beta",),
        "loss": ("loss",),
        "temperature": ("temperature",),
        "save_steps": ("save_steps",),
        "seed": ("seed",),
    },
    "openrlhf": {
        "learning_rate": ("actor.adam.lr", "adam.lr"),
        "scheduler": ("actor.lr_scheduler", "lr_scheduler"),
        "warmup": ("actor.lr_warmup_ratio", "lr_warmup_ratio"),
        "kl_coefficient": ("algo.kl.init_coef", "model.beta"),
        "loss": ("actor.loss_agg_mode",),
        "temperature": ("rollout.temperature",),
        "lora_rank": ("ds.lora.rank",),
        "save_steps": ("ckpt.save_steps",),
        "eval_steps": ("eval.steps",),
        "seed": ("train.seed",),
    },
    "verl": {
        "learning_rate": (f"{ACTOR}.optim.lr", "optim.lr"),
        "scheduler": (f"{ACTOR}.optim.lr_scheduler_type", "optim.lr_scheduler_type"),
        "warmup": (f"{ACTOR}.optim.lr_warmup_steps_ratio", "optim.lr_warmup_steps_ratio"),
        "kl_coefficient": ("algorithm.kl_ctrl.kl_coef", f"{ACTOR}.kl_loss_coef"),
        "loss": (f"{ACTOR}.loss_agg_mode",),
        "temperature": (f"{ROLLOUT}.temperature",),
        "lora_rank": ("actor_rollout_ref.model.lora_rank", "model.lora_rank"),
        "save_steps": ("trainer.save_freq",),
        "eval_steps": ("trainer.test_freq",),
        "seed": ("data.seed",),
    },
}
"""Keys of a config, of which an algorithm has one."""
OWN_WORDS = {
    "constant_with_warmup": "constant",
    "dapo": "token_mean",
    "token-mean": "token_mean",
    "grpo": "response_mean",
    "seq-mean-token-mean": "response_mean",
}
"""What a framework calls what was chosen."""


def made(framework: str, algorithm: str, **answers: Any) -> Variant:
    tuning = "lora" if "lora" in discover()[framework].offered(algorithm)["tuning"] else "full"
    return variant(framework, algorithm, **{"model": "org/m-0.6b", "tuning": tuning, **answers})


def config_of(made: Variant, folder: Path) -> Config:
    name = f"{made.spec.framework}_config.yaml"
    (folder / name).write_text(made.config(), "utf-8")
    return read_config(folder, name)


@pytest.mark.parametrize("framework", names())
def test_what_is_chosen_stands_in_the_config_or_is_refused(framework: str, tmp_path: Path) -> None:
    for algorithm in discover()[framework].algorithms:
        asked = made(framework, algorithm, **CHOSEN)
        refused = {reason.partition(" = ")[0] for reason in asked.reasons}
        left = {name: value for name, value in CHOSEN.items() if name not in refused}
        assert {"learning_rate", "save_steps"} <= set(left)
        assert ("temperature" in refused) == (algorithm in OFFLINE)
        assert ("loss" in refused) == (algorithm != "grpo")
        chosen = made(framework, algorithm, **left)
        config = config_of(chosen, tmp_path)
        for name, value in left.items():
            found = [config.get(key) for key in KEYS[framework][name] if config.entry(key)]
            said = [OWN_WORDS.get(str(each), each) for each in found]
            assert said == [value], f"{chosen} {name}"
        assert not {name for name in DETAILS if name not in left} - refused


@pytest.mark.parametrize("framework", names())
def test_what_is_not_chosen_is_as_it_was_planned(framework: str, tmp_path: Path) -> None:
    for algorithm in discover()[framework].algorithms:
        usual = made(framework, algorithm)
        assert usual.plan and usual.plan.training, usual.reasons
        config = config_of(usual, tmp_path)
        for name, keys in KEYS[framework].items():
            planned = getattr(usual.plan.training, name)
            if planned:
                found = [config.get(key) for key in keys if config.entry(key)]
                assert [OWN_WORDS.get(str(each), each) for each in found] == [planned], usual


def test_all_that_cannot_be_had_is_said_at_once(scaffold: Command, tmp_path: Path) -> None:
    words = ("temperature=0.5", "lora_rank=8", "kl_coefficient=0.1", "seed=1", "epochs=1.5")
    options = [word for each in words for word in ("--set", each)]
    result = scaffold("new", "p", "--framework", "verl", "--algorithm", "sft", *options)
    assert result.returncode == 2
    for said in (
        "sft generates nothing; leave it out (--set temperature=null)",
        "--tuning lora has one",
        "has no KL term",
        "shuffles the rows of sft in the same way",
        "counts whole epochs",
    ):
        assert said in " ".join(result.stderr.split()), said
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_held_to_what_it_was_is_kept_twice() -> None:
    for framework in ("trl", "custom"):
        free = plan_of(framework=framework, algorithm="grpo", generation="transformers").memory
        words = {"generation": "transformers", "kl_coefficient": 0.01}
        held = plan_of(framework=framework, algorithm="grpo", **words).memory
        assert free and held
        assert held.states / free.states == pytest.approx(20 / 16, abs=0.01)


@pytest.mark.parametrize("framework", ["trl", "verl", "openrlhf"])
def test_online_training_follows_held_out_prompts_and_says_what_that_costs(
    framework: str, tmp_path: Path
) -> None:
    limits: dict[str, dict[str, Any]] = {
        "trl": {"num_generations_eval": 1, "eval_data_path": "training_data.eval.jsonl"},
        "verl": {"data.val_max_samples": 256, "trainer.val_before_train": False},
        "openrlhf": {"eval.n_samples_per_prompt": 1},
    }
    usual = variant(framework, "grpo", model="org/m-0.6b")
    config = config_of(usual, tmp_path)
    assert usual.plan and config.get(KEYS[framework]["eval_steps"][0]) == 20
    assert {key: config.get(key) for key in limits[framework]} == limits[framework]
    assert any("up to 5 % more responses" in note for note in usual.plan.notes)
    without = variant(framework, "grpo", model="org/m-0.6b", eval_steps=0).plan
    assert without and not any("held-out" in note for note in without.notes)


def test_what_has_no_effect_is_said() -> None:
    assert any("num_generations has no effect" in note for note in plan_of(num_generations=4).notes)
    words = {"framework": "verl", "algorithm": "ppo"}
    assert any("takes 1 response" in each for each in plan_of(num_generations=4, **words).notes)
    assert not any("no effect" in note for note in plan_of(**words).notes)


@pytest.mark.parametrize("framework", names())
def test_nothing_is_wrong_with_what_was_chosen(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for algorithm in discover()[framework].algorithms:
        refused = {
            reason.partition(" = ")[0] for reason in made(framework, algorithm, **CHOSEN).reasons
        }
        left = {name: value for name, value in CHOSEN.items() if name not in refused}
        project = tmp_path / algorithm
        project.mkdir()
        write(made(framework, algorithm, **left), project)
        for data in ("training_data.jsonl", "training_data.eval.jsonl"):
            (project / data).write_text("{}\n" * 2000)
        assert heavy(project) == []


def test_an_update_changes_them_and_takes_them_back(
    new: Callable[..., Path], scaffold: Command
) -> None:
    project = new("p", "--framework", "trl", "--algorithm", "grpo", "--set", "kl_coefficient=0.04")
    config = project / "trl_config.yaml"
    assert "\nbeta: 0.04\n" in config.read_text("utf-8")
    words = ("--set", "kl_coefficient=null", "--set", "learning_rate=3e-6")
    result = scaffold("update", "p", *words)
    assert result.returncode == 0, result.stderr
    assert "\nbeta: 0.0\n" in config.read_text("utf-8")
    assert "\nlearning_rate: 3.0e-06\n" in config.read_text("utf-8")


@pytest.mark.parametrize("command", ["new", "update", "compare"])
def test_help_says_what_can_be_set(scaffold: Command, command: str) -> None:
    text = scaffold(command, "--help").stdout
    flat = " ".join(text.replace("\u2502", " ").split())
    for name in set(ProjectSpec.model_fields) - ({"framework"} if command == "compare" else set()):
        option = f"--{name.replace('_', '-')}" if name in FLAGS else f" {name} "
        assert option in text, name
    for said in (
        "sft, dpo, kto, rm, grpo, rloo, ppo, reinforce_pp, dapo, gspo",
        *([] if command == "compare" else [", ".join(names())]),
        "scheduler How the rate falls after the warm-up. cosine, linear, constant. [as usual]",
        "num_generations Responses to one prompt. 2 to 1024. [8]",
    ):
        assert said in flat, said
    assert max(len(line) for line in text.splitlines()) <= 80
    assert ("Examples:" in text) == (command == "new")


def test_everything_that_is_asked_or_set_is_explained_once() -> None:
    asked = {"directory", "details", "write", "wishes"}
    assert set(ANSWERS) == set(ProjectSpec.model_fields) | asked
    ways = {*PATTERNS, *TUNINGS, *GENERATIONS, *SCHEDULERS, *LOSSES}
    assert set(WORDS) >= {*ALGORITHMS, *TOPOLOGIES, *ways}
    also = [name for each in ANSWERS.values() for name in each.also]
    assert len(also) == len(set(also)) and not set(also) & set(ProjectSpec.model_fields)


def test_the_examples_of_the_help_run(scaffold: Command) -> None:
    shown = scaffold("new", "--help").stdout.partition("Examples:")[2].replace("\\\n", " ")
    commands = [shlex.split(line, comments=True)[1:] for line in shown.splitlines() if line.strip()]
    assert len(commands) == 4
    for words in commands[1:3]:
        result = scaffold(*words, "--dry-run")
        assert result.returncode == 0, result.stderr


THINKS = {
    "custom": ("thinking",),
    "openrlhf": ("thinking",),
    "trl": ("chat_template_kwargs", "enable_thinking"),
    "verl": ("data", "apply_chat_template_kwargs", "enable_thinking"),
}


@pytest.mark.parametrize("framework", names())
def test_thinking_is_decided(tmp_path: Path, framework: str) -> None:
    """By default Qwen3 thinks, and what is cut while it thinks is an empty answer."""
    words = ("--framework", framework, "--algorithm", "grpo")
    roomy = ("--set", "completion_length=8192", "--set", "sequence_length=10240")
    for choice, more in (("off", ()), ("on", roomy)):
        (tmp_path / choice).mkdir()
        project = render(tmp_path / choice, *words, "--set", f"thinking={choice}", *more)
        value = yaml.safe_load((project / f"{framework}_config.yaml").read_text("utf-8"))
        for key in THINKS[framework]:
            value = value[key]
        assert value is (choice == "on")
        evaluate = (project / "Makefile").read_text("utf-8")
        assert (" --thinking" in evaluate) == (choice == "on")
        assert f"--max_new_tokens {8192 if more else 1024}" in evaluate


def test_thinking_needs_room(scaffold: Command) -> None:
    words = ("--framework", "trl", "--algorithm", "grpo", "--yes", "--set", "thinking=on")
    result = scaffold("new", "p", *words)
    assert result.returncode == 2 and "--set completion_length=8192" in result.stderr

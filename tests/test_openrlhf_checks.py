"""`rl-scaffolder check` on OpenRLHF: each rule has a config that breaks it and nothing else.

`fix` is what the remedy says: with it nothing is found any more.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from checked import Copy, heavy, only, projects
from contracts.rendering import variant
from scaffolder.check import check
from scaffolder.frameworks import discover
from scaffolder.vocabulary import OFFLINE

CONFIG = "openrlhf_config.yaml"
REMOVED = "removed"
Changes = dict[str, Any]


class Rule(NamedTuple):
    """A config that breaks one rule."""

    algorithm: str
    broken: Changes
    """Keys with dots between, and their new values."""
    problem: str
    fix: Changes
    generation: str | None = None


MUON = {"optim": "muon", "max_norm": 1.0}
IMAGES = "data.max_images_per_prompt"
RULES = [
    Rule("sft", {"launch.gpus_per_node": 16}, "16, and 8 was planned", {"launch.gpus_per_node": 8}),
    Rule("dpo", {"train.micro_batch_size": 3}, "micro batches of 3", {"train.micro_batch_size": 4}),
    Rule("sft", {"ds.tensor_parallel_size": 3}, "share each row", {"ds.tensor_parallel_size": 2}),
    Rule(
        "sft",
        {"ds.ring_attn_size": 2, "ds.packing_samples": False},
        "ring attention divides packed rows",
        {"ds.packing_samples": True},
    ),
    Rule(
        "rm",
        {"ds.attn_implementation": "sdpa"},
        "packed rows need flash-attention",
        {"ds.packing_samples": False},
    ),
    Rule(
        "sft",
        {"ds.tensor_parallel_size": 2, "ds.param_dtype": "fp16"},
        "AutoTP needs bf16",
        {"ds.param_dtype": "bf16"},
    ),
    Rule(
        "sft",
        {"ds.load_in_4bit": True, "ds.param_dtype": "fp16"},
        "4 bits needs bf16",
        {"ds.param_dtype": "bf16"},
    ),
    Rule("sft", MUON, "Muon's steps", {"max_norm": 0}),
    Rule(
        "sft",
        {"ds.lora.target_modules": "all-linear"},
        "name of one module",
        {"ds.lora.target_modules": REMOVED},
    ),
    Rule("sft", {"adam.betas": [0.9]}, "takes 2 numbers", {"adam.betas": [0.9, 0.95]}),
    Rule("sft", {"ckpt.max_num": 2}, "would leave no checkpoint", {"ckpt.max_num": 4}),
    Rule("sft", {"ckpt.save_steps": 0}, "divides by it", {"ckpt.save_steps": REMOVED}),
    Rule("sft", {"eval.steps": 0}, "divides by it", {"eval.steps": REMOVED}),
    Rule(
        "dpo",
        {"data.prompt_key": None},
        "all but the last message",
        {"data.prompt_key": "prompt_messages"},
    ),
    Rule(
        "dpo",
        {"model.ipo_enable": True, "model.label_smoothing": 0.1},
        "no label smoothing",
        {"model.ipo_enable": REMOVED},
    ),
    Rule(
        "sft",
        {"model.pretrain_mode_enable": True},
        "take them for one text",
        {"model.pretrain_mode_enable": REMOVED},
    ),
    Rule("grpo", {"vllm.num_engines": REMOVED}, "vLLM alone", {"vllm.num_engines": 8}),
    Rule("grpo", {"vllm.num_engines": 4}, "share the 8 of the actor", {"vllm.num_engines": 8}),
    Rule("grpo", {"ds.lora.rank": 8}, "adapters reach vLLM", {"ds.lora.rank": 0}),
    Rule("rloo", {"ref.num_gpus_per_node": 4}, "of the actor, whose", {"ref.num_gpus_per_node": 8}),
    Rule("ppo", {"critic.num_gpus_per_node": 4}, "whose GPUs", {"critic.num_gpus_per_node": 8}),
    Rule(
        "rloo",
        {"vllm.gpu_memory_utilization": 0.95},
        "vLLM takes 0.95",
        {"vllm.gpu_memory_utilization": 0.5},
    ),
    Rule("rloo", {"vllm.enable_sleep": False}, "keeps its memory", {"vllm.enable_sleep": True}),
    Rule(
        "grpo",
        {"vllm.num_engines": 5},
        "asked for 9 GPUs, and 8 were planned: it waits for ever",
        {"vllm.num_engines": 4},
        "vllm_server",
    ),
    Rule(
        "grpo",
        {"vllm.num_engines": 3},
        "asked for 7 GPUs, and 8 were planned",
        {"vllm.num_engines": 4},
        "vllm_server",
    ),
    Rule(
        "rloo",
        {"train.colocate_actor_ref": False},
        "asked for 12 GPUs",
        {"train.colocate_actor_ref": True},
        "vllm_server",
    ),
    Rule(
        "ppo",
        {"critic.num_gpus_per_node": 4},
        "asked for 10 GPUs",
        {"critic.num_gpus_per_node": 2},
        "vllm_server",
    ),
    Rule(
        "grpo",
        {"ds.enable_sleep": True},
        "rest only where all models share",
        {"ds.enable_sleep": REMOVED},
        "vllm_server",
    ),
    Rule(
        "dapo",
        {"vllm.enable_sleep": True},
        "vLLM cannot sleep",
        {"vllm.enable_sleep": REMOVED},
        "vllm_async",
    ),
    Rule(
        "rloo",
        {"train.partial_rollout_enable": True},
        "only where generation is asynchronous",
        {"train.partial_rollout_enable": REMOVED},
    ),
    Rule(
        "rloo",
        {"rollout.vllm_generate_batch_size": 1024},
        "answered ahead",
        {"rollout.vllm_generate_batch_size": REMOVED},
    ),
    Rule("grpo", {"rollout.batch_size": 31}, "no whole number", {"rollout.batch_size": 32}),
    Rule(
        "reinforce_pp",
        {"rollout.micro_batch_size": 512},
        "leave some of 8 GPUs",
        {"rollout.micro_batch_size": 8},
    ),
    Rule(
        "grpo",
        {"rollout.max_new_tokens": 4096},
        "no room for a prompt",
        {"rollout.max_new_tokens": 1024},
    ),
    Rule(
        "dapo",
        {"reward.overlong_buffer_len": 2000},
        "lose worth",
        {"reward.overlong_buffer_len": 200},
    ),
    Rule(
        "rloo",
        {"rollout.n_samples_per_prompt": 1},
        "compares the responses",
        {"rollout.n_samples_per_prompt": 8},
    ),
    Rule(
        "dapo",
        {"algo.dynamic_filtering_range": [1.0, 0.0]},
        "holds nothing",
        {"algo.dynamic_filtering_range": [0.0, 1.0]},
    ),
    Rule("grpo", {"algo.kl.estimator": "k1"}, "another gradient", {"algo.kl.estimator": "k3"}),
    Rule(
        "grpo",
        {"algo.advantage.is_correction_threshold": [1, 2, 3]},
        "HIGH, or LOW",
        {"algo.advantage.is_correction_threshold": [0.5, 5.0]},
    ),
    Rule(
        "rloo",
        {"reward.stop_properly_penalty_coef": 2.0},
        "stop_properly_penalty_coef",
        {"reward.stop_properly_penalty_coef": 0.5},
    ),
    Rule("grpo", {IMAGES: 1}, "without packing", {"ds.packing_samples": False}),
    Rule("grpo", {"rewards": "rewards:scor"}, "has no scor", {"rewards": "rewards:score"}),
    Rule(
        "grpo",
        {"environment": "environment:Shp"},
        "did you mean Shop",
        {"environment": "environment:Shop"},
    ),
    Rule("grpo", {"reward.remote_url": "r.py"}, "is not there", {"reward.remote_url": REMOVED}),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


def change(file: Path, changes: Changes) -> None:
    """Set keys, or remove them."""
    config = yaml.safe_load(file.read_text("utf-8"))
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = config
        for each in sections:
            section = section.setdefault(each, {})
        section.pop(name, None) if value == REMOVED else section.update({name: value})
    file.write_text(yaml.safe_dump(config), "utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: next(iter(rule.broken)))
def test_a_rule_finds_what_breaks_it_and_its_remedy_helps(rule: Rule, project: Copy) -> None:
    folder = project("openrlhf", rule.algorithm, rule.generation)
    change(folder / CONFIG, rule.broken)
    found = heavy(folder)
    assert any(rule.problem in each.problem for each in found), found
    assert all(each.remedy for each in found)
    change(folder / CONFIG, rule.fix)
    assert not heavy(folder)


@pytest.mark.parametrize("algorithm", discover()["openrlhf"].algorithms)
def test_no_default_is_a_trap(algorithm: str, project: Copy) -> None:
    """OpenRLHF's own: 8 GPUs a role, no engine, 0.95 of a GPU, no checkpoints."""
    for generation in (None,) if algorithm in OFFLINE else ("vllm_colocate", "vllm_server"):
        made = variant("openrlhf", algorithm, generation=generation, model="org/m-0.6b")
        if made.plan is None:
            assert generation == "vllm_server", made.reasons
            continue
        config = yaml.safe_load(made.config())
        assert config["ckpt"]["save_steps"] > 0
        if algorithm in OFFLINE:
            assert config["launch"] == {"nodes": 1, "gpus_per_node": 1}
            continue
        groups = {config[name]["num_gpus_per_node"] for name in ("actor", "ref")}
        assert groups == {1} and config["vllm"]["num_engines"] == 1
        assert config["vllm"]["gpu_memory_utilization"] <= 0.5
    assert not heavy(project("openrlhf", algorithm))


def test_what_the_models_config_refuses(project: Copy) -> None:
    folder = project("openrlhf", "grpo")
    (folder / "m").mkdir()
    (folder / "m" / "model.safetensors").touch()
    shape = {"num_attention_heads": 6, "max_position_embeddings": 1024}
    (folder / "m" / "config.json").write_text(json.dumps(shape))
    change(folder / CONFIG, {"actor.model_name_or_path": "m"})
    assert "positions for 1024" in only(folder).problem
    heads = {"vllm.tensor_parallel_size": 4, "vllm.num_engines": 2, "data.max_len": 1024}
    change(folder / CONFIG, {**heads, "rollout.max_new_tokens": 512})
    change(folder / CONFIG, {"reward.overlong_buffer_len": REMOVED})
    assert "6 attention heads" in only(folder).problem


def test_kto_is_refused_with_who_can() -> None:
    made = variant("openrlhf", "kto")
    assert "no longer has a KTO trainer" in made.reasons[0]


def test_flags_of_other_versions_are_no_keys(project: Copy) -> None:
    """Its own README has them."""
    folder = project("openrlhf", "grpo")
    change(folder / CONFIG, {"algo.advantage.is_correction_enable": True})
    assert "is no key of openrlhf 0.11.2" in only(folder).problem
    change(folder / CONFIG, {"algo.advantage.is_correction_enable": REMOVED})
    change(folder / CONFIG, {"ckpt.path": "elsewhere"})
    assert [each.weight for each in check(folder)].count("error") == 1

"""`rl-scaffolder check` on verl: each rule has a config that breaks it and nothing else.

`fix` is what the remedy says: with it nothing is found any more.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from checked import Copy, change, heavy, only, projects
from scaffolder.check import check

CONFIG = "verl_config.yaml"
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
REF, MODEL = "actor_rollout_ref.ref", "actor_rollout_ref.model"
REMOVED = "removed"
Changes = dict[str, Any]


class Rule(NamedTuple):
    """A config that breaks one rule."""

    algorithm: str
    broken: Changes
    """Keys with dots between, and their new values."""
    problem: str
    fix: Changes


def micro(**changes: Any) -> Changes:
    """Micro batches counted in sequences; each forward says how many."""
    return {
        f"{ACTOR}.use_dynamic_bsz": False,
        f"{ACTOR}.ppo_micro_batch_size_per_gpu": 2,
        f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": 2,
        f"{REF}.log_prob_micro_batch_size_per_gpu": 2,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }


SMALL = {"global_batch_size": 64}
"""Responses of an update of online training."""
SEPARATE = {
    "trainer.v1.trainer_mode": "separate_async",
    "data.train_batch_size": 32,
    f"{ROLLOUT}.nnodes": 1,
    f"{ROLLOUT}.checkpoint_engine.backend": "nccl",
    "actor_rollout_ref.hybrid_engine": False,
}
"""A run with machines that only generate: 4 updates of 8 prompts a step."""
DEAD = ("custom_reward_function.path", "reward_model.enable", "sandbox_fusion.url")
UNITS = "transfer_queue.backend.SimpleStorage.num_data_storage_units"
BATCHES = [
    Rule(
        "ppo",
        {f"{ACTOR}.ppo_mini_batch_size": 60},
        "at the first update",
        {f"{ACTOR}.ppo_mini_batch_size": 64},
    ),
    Rule(
        "grpo",
        {f"{ACTOR}.ppo_mini_batch_size": 64},
        "64 prompts per update, and 32",
        {f"{ACTOR}.ppo_mini_batch_size": 8},
    ),
    Rule(
        "ppo",
        {"data.train_batch_size": 300},
        "do not divide over 8",
        {"data.train_batch_size": 256},
    ),
    Rule(
        "grpo",
        {"data.train_batch_size": 33},
        "no whole number of updates",
        {"data.train_batch_size": 40},
    ),
    Rule(
        "grpo",
        {f"{ACTOR}.ppo_mini_batch_size": 16},
        "and 64 were planned",
        {f"{ACTOR}.ppo_mini_batch_size": 8},
    ),
    Rule(
        "grpo",
        {f"{ROLLOUT}.log_prob_use_dynamic_bsz": False},
        "differ",
        {f"{ROLLOUT}.log_prob_use_dynamic_bsz": REMOVED},
    ),
    Rule(
        "grpo",
        micro(actor_rollout_ref__rollout__log_prob_micro_batch_size_per_gpu=None),
        "is not set",
        micro(),
    ),
    Rule(
        "rloo",
        micro(actor_rollout_ref__ref__log_prob_micro_batch_size_per_gpu=None),
        "is not set",
        micro(),
    ),
    Rule(
        "grpo",
        micro(actor_rollout_ref__actor__ppo_micro_batch_size=16),
        "is to replace",
        {f"{ACTOR}.ppo_micro_batch_size": REMOVED},
    ),
    Rule(
        "grpo",
        micro(actor_rollout_ref__actor__ppo_micro_batch_size_per_gpu=3),
        "into micro batches of 3",
        {f"{ACTOR}.ppo_micro_batch_size_per_gpu": 2},
    ),
    Rule(
        "grpo",
        {f"{ACTOR}.ppo_max_token_len_per_gpu": 4000},
        "may have 4096 tokens",
        {f"{ACTOR}.ppo_max_token_len_per_gpu": 4096},
    ),
    Rule(
        "ppo",
        {"critic.ppo_max_token_len_per_gpu": 4000},
        "critic.ppo_max_token_len_per_gpu is 4000",
        {"critic.ppo_max_token_len_per_gpu": 4096},
    ),
    Rule(
        "grpo",
        {f"{ROLLOUT}.max_model_len": 2000},
        "the engine takes 2000",
        {f"{ROLLOUT}.max_model_len": 4096},
    ),
]
ENGINES = [
    Rule(
        "grpo", {f"{ROLLOUT}.name": REMOVED}, "rollout.name is missing", {f"{ROLLOUT}.name": "vllm"}
    ),
    Rule("grpo", {f"{ROLLOUT}.name": "hf"}, "none of its values", {f"{ROLLOUT}.name": "sglang"}),
    Rule("grpo", {f"{ROLLOUT}.mode": "sync"}, "none of its values", {f"{ROLLOUT}.mode": REMOVED}),
    Rule(
        "grpo",
        {f"{ROLLOUT}.tensor_model_parallel_size": 3},
        "do not divide the 8",
        {f"{ROLLOUT}.tensor_model_parallel_size": 2},
    ),
    Rule(
        "grpo",
        {f"{ROLLOUT}.expert_parallel_size": 4},
        "must be tensor x data = 1",
        {f"{ROLLOUT}.expert_parallel_size": 1},
    ),
    Rule(
        "grpo",
        {f"{ROLLOUT}.pipeline_model_parallel_size": 2},
        "not divided by layers",
        {f"{ROLLOUT}.pipeline_model_parallel_size": 1},
    ),
    Rule(
        "grpo",
        {
            f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size": 2,
            f"{MODEL}.use_remove_padding": False,
        },
        "only without padding",
        {f"{MODEL}.use_remove_padding": True},
    ),
    Rule(
        "grpo",
        {"ray_kwargs.ray_init.num_cpus": 8},
        "8 CPUs, and 28 are waited for",
        {"ray_kwargs.ray_init.num_cpus": 28},
    ),
    Rule("grpo", {"ray_kwargs.ray_init.num_cpus": 28, UNITS: 8}, "28 CPUs, and 34 are", {UNITS: 2}),
    Rule(
        "grpo",
        {"transfer_queue.enable": False},
        "to true, whatever is written",
        {"transfer_queue.enable": REMOVED},
    ),
    Rule(
        "grpo",
        {**SEPARATE, "data.train_batch_size": 64},
        "4 x 8 = 32 prompts a step",
        {"data.train_batch_size": 32},
    ),
    Rule(
        "grpo", {**SEPARATE, f"{ROLLOUT}.nnodes": 0}, "rollout.nnodes set", {f"{ROLLOUT}.nnodes": 1}
    ),
    Rule(
        "grpo",
        {**SEPARATE, f"{ROLLOUT}.checkpoint_engine.backend": "naive"},
        "backend set",
        {f"{ROLLOUT}.checkpoint_engine.backend": "nccl"},
    ),
    Rule(
        "grpo",
        {**SEPARATE, "actor_rollout_ref.hybrid_engine": True},
        "hybrid_engine set",
        {"actor_rollout_ref.hybrid_engine": False},
    ),
]
NAMES = [
    Rule(
        "grpo",
        {f"{ROLLOUT}.n": 1, f"{ACTOR}.ppo_mini_batch_size": 64, "data.train_batch_size": 64},
        "and there is one",
        {f"{ROLLOUT}.n": 8, f"{ACTOR}.ppo_mini_batch_size": 8},
    ),
    Rule(
        "grpo",
        {"algorithm.adv_estimator": "grop"},
        "none of its values",
        {"algorithm.adv_estimator": "grpo"},
    ),
    Rule(
        "grpo",
        {f"{ACTOR}.policy_loss.loss_mode": "gsop"},
        "none of its values",
        {f"{ACTOR}.policy_loss.loss_mode": "gspo"},
    ),
    Rule(
        "grpo",
        {f"{ACTOR}.loss_agg_mode": "mean"},
        "none of its values",
        {f"{ACTOR}.loss_agg_mode": "token-mean"},
    ),
    Rule(
        "grpo",
        {"reward.reward_manager.name": "batch"},
        "none of its values",
        {"reward.reward_manager.name": "dapo"},
    ),
    Rule(
        "grpo",
        {"trainer.v1.trainer_mode": "async"},
        "none of its values",
        {"trainer.v1.trainer_mode": "sync"},
    ),
    Rule(
        "grpo",
        {f"{ROLLOUT}.agent.default_agent_loop": "mine"},
        "none of its values",
        {f"{ROLLOUT}.agent.default_agent_loop": "tool_agent"},
    ),
    Rule(
        "ppo",
        {"critic.model.path": REMOVED},
        "the critic's model is not set",
        {"critic.model.path": "Qwen/Qwen3-0.6B"},
    ),
    Rule(
        "grpo",
        {"reward.custom_reward_function.path": REMOVED},
        "no reward function is set",
        {"reward.custom_reward_function.path": "verl_rewards.py"},
    ),
    Rule(
        "dapo",
        {"algorithm.filter_groups.max_num_gen_batches": 10},
        "is read by nothing here",
        {"algorithm.filter_groups.max_num_gen_batches": REMOVED},
    ),
    *(
        Rule(
            "grpo",
            {key: "x" if "url" in key or "path" in key else True},
            "is read by nothing in verl",
            {key.partition(".")[0]: REMOVED},
        )
        for key in DEAD
    ),
    Rule("grpo", {"data.sampler": "mine"}, "data.sampler is no key", {"data.sampler": REMOVED}),
    Rule("grpo", {"trainer.n_gpus": 8}, "trainer.n_gpus is no key", {"trainer.n_gpus": REMOVED}),
    Rule(
        "grpo",
        {"trainer.val_generations": 8},
        "val_generations is no key",
        {"trainer.val_generations": REMOVED},
    ),
    Rule(
        "grpo",
        {"trainer.resume_from_path": "outputs/other"},
        "names no checkpoint of verl",
        {"trainer.resume_from_path": "outputs/other/global_step_10"},
    ),
    Rule("grpo", {"data.tokenizer": "none"}, "none is a text to YAML", {"data.tokenizer": None}),
    Rule(
        "grpo",
        {"trainer.n_gpus_per_node": 4},
        "is 4, and 8 was planned",
        {"trainer.n_gpus_per_node": 8},
    ),
]
OFFLINE = [
    Rule(
        "sft",
        {"data.train_batch_size": 36},
        "36 rows per step do not divide over 8",
        {"data.train_batch_size": 32},
    ),
    Rule(
        "sft", {"data.train_batch_size": 40}, "and 32 were planned", {"data.train_batch_size": 32}
    ),
    Rule(
        "sft",
        {"data.max_token_len_per_gpu": 2000},
        "one row may have 4096 tokens",
        {"data.max_token_len_per_gpu": 4096},
    ),
    Rule(
        "sft",
        {"data.use_dynamic_bsz": False, "data.micro_batch_size_per_gpu": 3},
        "micro batches of 3",
        {"data.micro_batch_size_per_gpu": 2},
    ),
    Rule(
        "sft",
        {"data.enable_thinking_default": "none"},
        "none is a text to YAML",
        {"data.enable_thinking_default": None},
    ),
    Rule(
        "sft",
        {"data.enable_thinking_default": REMOVED},
        "by verl's default",
        {"data.enable_thinking_default": None},
    ),
    Rule(
        "sft", {"data.pad_mode": "right"}, "makes rows without padding", {"data.pad_mode": REMOVED}
    ),
    Rule(
        "sft",
        {"data.custom_cls.path": REMOVED, "data.train_files": "rows.jsonl"},
        "parquet alone",
        {"data.custom_cls.path": "verl_data.py"},
    ),
    Rule(
        "sft",
        {"trainer.nnodes": 2},
        "trainer.nnodes is 2, and 1 was planned",
        {"trainer.nnodes": 1},
    ),
    Rule(
        "sft", {"engine.strateg": "fsdp2"}, "engine.strateg is no key", {"engine.strateg": REMOVED}
    ),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    made = projects(tmp_path, monkeypatch)
    return lambda algorithm: made("verl", algorithm, **({} if algorithm == "sft" else SMALL))


def put(config: Path, changes: Changes) -> None:
    """Write keys, or take them out."""
    tree = yaml.safe_load(config.read_text("utf-8"))
    for key, value in changes.items():
        *sections, name = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        if value == REMOVED:
            node.pop(name, None)
        else:
            node[name] = value
    config.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")


@pytest.mark.parametrize(
    "rule", [*BATCHES, *ENGINES, *NAMES, *OFFLINE], ids=lambda rule: rule.problem
)
def test_a_config_that_breaks_one_rule_and_its_fix(project: Copy, rule: Rule) -> None:
    folder = project(rule.algorithm)
    put(folder / CONFIG, rule.broken)
    found = only(folder)
    assert rule.problem in found.problem and found.remedy and found.file == CONFIG
    put(folder / CONFIG, rule.fix)
    assert heavy(folder) == []


@pytest.mark.parametrize(
    ("described", "changes", "problem"),
    [
        (
            {"num_attention_heads": 6},
            {f"{ROLLOUT}.tensor_model_parallel_size": 4},
            "6 attention heads",
        ),
        (
            {"num_attention_heads": 6},
            {f"{ACTOR}.ulysses_sequence_parallel_size": 4},
            "6 attention heads",
        ),
        (
            {"num_attention_heads": 12, "num_key_value_heads": 3},
            {f"{ACTOR}.ulysses_sequence_parallel_size": 4},
            "3 key-value heads",
        ),
        ({"max_position_embeddings": 2048}, {}, "the model knows positions for 2048"),
    ],
)
def test_what_the_model_cannot_do(
    project: Copy, described: Changes, changes: Changes, problem: str
) -> None:
    """Seen where its folder is on this machine."""
    folder = project("grpo")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps(described))
    (folder / "model" / "model.safetensors").touch()
    put(folder / CONFIG, {f"{MODEL}.path": "model", **changes})
    assert problem in only(folder).problem
    good = {"num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 40960}
    (folder / "model" / "config.json").write_text(json.dumps(good))
    assert heavy(folder) == []


@pytest.mark.parametrize(("algorithm", "what"), [("grpo", "prompts"), ("sft", "rows")])
def test_too_few_rows(project: Copy, algorithm: str, what: str) -> None:
    folder = project(algorithm)
    (folder / "training_data.jsonl").write_text("{}\n" * 3)
    assert f"there are 3 {what}, and a step takes 32 {what}" in only(folder).problem


def test_held_out_rows_are_there_where_they_are_followed(project: Copy) -> None:
    folder = project("grpo")
    assert heavy(folder) == []
    (folder / "training_data.eval.jsonl").write_text("")
    assert "training_data.eval.jsonl has none" in only(folder).problem
    put(folder / CONFIG, {"trainer.test_freq": -1})
    assert heavy(folder) == []


def test_a_reference_model_that_stays_on_the_gpus_is_a_note(project: Copy) -> None:
    folder = project("rloo")
    put(folder / CONFIG, {f"{REF}.fsdp_config.param_offload": False})
    assert any("the reference model of the KL term" in each.problem for each in check(folder))
    assert heavy(folder) == []


def test_machines_with_too_few_cpus_for_ray(project: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project("grpo")
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    (folder / ".copier-answers.yml").write_text(yaml.safe_dump({**answers, "nodes": 2}))
    put(folder / CONFIG, {"trainer.nnodes": 2, UNITS: 40})
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    notes = [each.problem for each in check(folder) if each.weight == "note"]
    assert any("needs 45 CPUs, and this one has 32" in note for note in notes)
    assert heavy(folder) == [], "the machines of a cluster are others"
    put(folder / CONFIG, {UNITS: 4})
    assert not any("and this one has 32" in each.problem for each in check(folder))


def test_the_smoke_run_is_checked_too(project: Copy) -> None:
    folder = project("grpo")
    put(folder / "smoke_config.yaml", {f"{ROLLOUT}.mode": "sync"})
    found = only(folder)
    assert found.file == "smoke_config.yaml"


def test_values_that_are_those_of_other_keys(project: Copy) -> None:
    folder = project("ppo")
    assert "${actor_rollout_ref" in (folder / CONFIG).read_text("utf-8")
    assert heavy(folder) == []


def test_an_engine_over_several_machines_has_all_of_each(project: Copy) -> None:
    """And what lies on one machine alone is a note."""
    folder = project("grpo")
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    answers |= {"nodes": 3, "gpus_per_node": 6}
    (folder / ".copier-answers.yml").write_text(yaml.safe_dump(answers))
    machines = {"trainer.nnodes": 3, "trainer.n_gpus_per_node": 6}
    batches = {f"{ACTOR}.ppo_mini_batch_size": 9, "data.train_batch_size": 36}
    put(folder / CONFIG, {**machines, **batches, f"{ROLLOUT}.tensor_model_parallel_size": 9})
    change(folder / "launch" / "local.sh", "wanted=8", "wanted=6")
    broken = [each for each in heavy(folder) if each.weight == "error"]
    assert ["no whole number of machines of 6" in each.problem for each in broken] == [True]
    put(folder / CONFIG, {f"{ROLLOUT}.tensor_model_parallel_size": 6})
    assert [each for each in heavy(folder) if each.weight == "error"] == []
    assert any("under the same paths" in each.problem for each in check(folder))

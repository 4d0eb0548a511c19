"""verl's tree takes every rendered config, and nothing that it does not know."""

import itertools
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import verl_settings
from contracts.environment import variables
from contracts.rendering import Variant, variant
from contracts.verl.composing import (
    ADAPTER,
    MACHINES,
    chosen,
    composed,
    settings_of,
    validated,
)
from contracts.verl.conftest import VERL
from rl_rollouts.errors import UserError
from scaffolder.frameworks.verl import FRAMEWORK
from scaffolder.vocabulary import OFFLINE
from verl_checks import cpus_of
from verl_settings import Settings

CASES = list(itertools.product(ADAPTER.algorithms, MACHINES))
ONLINE = [algorithm for algorithm in ADAPTER.algorithms if algorithm not in OFFLINE]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verl_settings, "_composed", composed)


@pytest.mark.parametrize(("algorithm", "machines"), CASES, ids=str)
def test_every_rendered_config_is_accepted(
    algorithm: Any, machines: tuple[int, int], tmp_path: Path, model: Path
) -> None:
    variants = list(chosen(algorithm, *machines))
    planned = [each for each in variants if each.plan is not None]
    assert planned, "the smallest model fits everywhere"
    assert all(each.reasons for each in variants if each.plan is None)
    # To validate a critic, verl reads the config of its model.
    local = [f"actor_rollout_ref.model.path={model}"] if algorithm == "ppo" else []
    for each in planned:
        config = validated(tmp_path, each.config(), local)
        check_parallel(each, config)
        (check_offline if algorithm in OFFLINE else check_online)(each, config)


def test_the_projects_own_tests_of_its_config_pass(tmp_path: Path) -> None:
    """They are skipped where verl is not installed, which is not here."""
    made = variant("verl", "grpo", gpus_per_node=8)
    for name in ("verl_config.yaml", "smoke_config.yaml"):
        (tmp_path / name).write_text(made.render(name), "utf-8")
    (tmp_path / "tests").mkdir()
    shutil.copy(VERL / "tests" / "test_config.py", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, cwd=tmp_path, env=variables("verl"), text=True, capture_output=True
    )
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout


def check_parallel(variant: Variant, settings: Settings) -> None:
    spec, trainer = variant.spec, settings.config.trainer
    assert (trainer.nnodes, trainer.n_gpus_per_node) == (spec.nodes, spec.gpus_per_node)
    assert settings.model.path == spec.model or spec.algorithm == "ppo"
    assert (settings.model.lora_rank > 0) == (spec.tuning == "lora")


def check_offline(variant: Variant, settings: Settings) -> None:
    config, plan = settings.config, variant.plan
    assert plan is not None and config.data.train_batch_size == plan.global_batch_size
    assert plan.global_batch_size % plan.data_parallel == 0
    engine, gpus = config.engine, variant.spec.nodes * variant.spec.gpus_per_node
    if variant.spec.sharding == "megatron":
        shared = engine.tensor_model_parallel_size * engine.pipeline_model_parallel_size
        assert shared * plan.data_parallel == gpus
        assert variant.spec.gpus_per_node % engine.tensor_model_parallel_size == 0
    else:
        assert engine.strategy == "fsdp2"
    assert config.data.max_token_len_per_gpu >= config.data.max_length
    assert config.data.enable_thinking_default is None


def check_online(variant: Variant, settings: Settings) -> None:
    """Batches divide, engines and trainers fit the same GPUs, and Ray has what verl reserves."""
    config, spec, plan = settings.config, variant.spec, variant.plan
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    gpus = spec.nodes * spec.gpus_per_node
    assert plan is not None
    assert config.data.train_batch_size % actor.ppo_mini_batch_size == 0
    responses = actor.ppo_mini_batch_size * rollout.n
    assert responses == plan.global_batch_size and responses % plan.data_parallel == 0
    shared = 1
    if spec.sharding == "megatron":
        megatron = actor.megatron
        shared = megatron.tensor_model_parallel_size * megatron.pipeline_model_parallel_size
        assert actor.strategy == "megatron"
    else:
        assert actor.strategy == "fsdp2"
        assert config.data.train_batch_size * rollout.n % gpus == 0
    assert shared * plan.data_parallel == gpus
    engine = rollout.tensor_model_parallel_size
    assert gpus % engine == 0
    assert engine <= spec.gpus_per_node or engine % spec.gpus_per_node == 0
    assert (
        rollout.name
        == {"vllm_colocate": "vllm", "sglang_colocate": "sglang"}[spec.generation or ""]
    )
    longest = config.data.max_prompt_length + config.data.max_response_length
    assert longest == spec.sequence_length == rollout.max_model_len
    assert actor.ppo_max_token_len_per_gpu >= longest
    assert config.reward.custom_reward_function.path.endswith("/verl_rewards.py")
    # What launch/local.sh gives Ray on each machine; and four CPUs a GPU suffice, as clouds have.
    per_node = plan.ray_cpus
    assert cpus_of(settings) <= spec.nodes * per_node
    assert per_node <= max(8, 4 * spec.gpus_per_node)


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_the_smoke_run_is_accepted(algorithm: Any, tmp_path: Path, model: Path) -> None:
    local = f"{'' if algorithm == 'sft' else 'actor_rollout_ref.'}model.path={model}"
    for each in chosen(algorithm, 1, 1):
        if each.plan is not None:
            validated(tmp_path, each.render("smoke_config.yaml"), [local])


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_hydra_composes_the_same_from_the_file_alone(algorithm: Any, tmp_path: Path) -> None:
    """So that verl's own command takes it too: --config-path and --config-name."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    for sharding in ADAPTER.shardings:
        made = variant("verl", algorithm, sharding=sharding, model="org/m-0.5b", gpus_per_node=8)
        ours = OmegaConf.to_container(settings_of(tmp_path, made.config()).config, resolve=False)
        with initialize_config_dir(str(tmp_path), version_base=None):
            theirs = OmegaConf.to_container(compose("verl_config"), resolve=False)
        assert different(ours, theirs) <= {
            "data.train_files",
            "data.val_files",
            "data.custom_cls.path",
            "reward.custom_reward_function.path",
            "trainer.default_local_dir",
            "reward.reward_kwargs",  # empty, where the file does not have it
            "trainer.test_freq",  # off, where no prompt was held out
        }


def different(ours: Any, theirs: Any, prefix: str = "") -> set[str]:
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return set() if ours == theirs else {prefix[1:]}
    keys = {*ours, *theirs}
    found = (different(ours.get(key), theirs.get(key), f"{prefix}.{key}") for key in keys)
    return set().union(*found)


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_a_changed_key_is_refused(algorithm: Any, tmp_path: Path) -> None:
    """Each key of the config in turn, also in sections where verl itself takes anything."""
    text = variant("verl", algorithm, gpus_per_node=8).config()
    body = text[text.index("\ndata:") :]
    refused = 0
    for line in re.finditer(r"^( +)([a-z_]+):(?= |$)", body, re.MULTILINE):
        if line[2] in {"rewards", "max_resp_len", "overlong_buffer_cfg", "enable", "len"}:
            continue  # of sections that go on to functions; and filter_groups.enable
        if line[2] in {"penalty_factor", "log", "enable_thinking"}:
            continue  # the last goes to the chat template
        at = text.index("\ndata:") + line.start(2)
        with pytest.raises(UserError, match=rf"unknown key .*{line[2]}x"):
            settings_of(tmp_path, text[:at] + line[2] + "x" + text[at + len(line[2]) :])
        refused += 1
    assert refused > 15
    with pytest.raises(UserError, match=r"the command line: unknown key trainer\.total_epoch;"):
        settings_of(tmp_path, text, ["trainer.total_epoch=2"])
    assert settings_of(tmp_path, text, ["trainer.total_epochs=2"]).config.trainer.total_epochs == 2


@pytest.mark.parametrize("algorithm", ["grpo", "sft"])
@pytest.mark.parametrize(
    "name", ["${HOME}/m", "a: b # c", "back\\slash", 'it\'s "quoted" ${oc.env:HOME}']
)
def test_names_that_look_like_other_keys_are_names(
    algorithm: Any, name: str, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, variant("verl", algorithm, model=name).config())
    assert settings.model.path == name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("algorithm.adv_estimator=grop", "grop"),
        ("actor_rollout_ref.actor.policy_loss.loss_mode=gsop", "gsop"),
        ("reward.reward_manager.name=batch", "batch"),
        ("actor_rollout_ref.actor.loss_agg_mode=mean", "loss_agg_mode"),
        ("actor_rollout_ref.rollout.mode=sync", "sync"),
        ("actor_rollout_ref.actor.ppo_mini_batch_size=3", "do not divide"),
        ("actor_rollout_ref.actor.use_dynamic_bsz=false", "micro_batch_size"),
    ],
)
def test_what_verl_finds_late_is_found_first(change: str, said: str, tmp_path: Path) -> None:
    text = variant(
        "verl", "grpo", gpus_per_node=8, num_generations=5, global_batch_size=80
    ).config()
    validated(tmp_path, text)
    with pytest.raises(UserError, match=said):
        validated(tmp_path, text, [change])


@pytest.mark.parametrize("algorithm", ONLINE)
def test_legacy_reward_keys_stay_empty(algorithm: Any, tmp_path: Path) -> None:
    """main_ppo 0.9.1 ignores them without a word; ours must not stand there."""
    config = settings_of(tmp_path, variant("verl", algorithm).config()).config
    assert config.custom_reward_function.path is None
    written = yaml.safe_load((tmp_path / "verl_config.yaml").read_text("utf-8"))
    assert not {"custom_reward_function", "reward_model", "sandbox_fusion"} & set(written)
    if algorithm == "dapo":
        assert config.reward.reward_kwargs.overlong_buffer_cfg.enable
        assert config.reward.reward_kwargs.max_resp_len == config.data.max_response_length


def test_what_pip_installs_can_train() -> None:
    """`verl` alone lacks what main_ppo imports first; the extras of our pins bring it."""
    requirements = [Requirement(each) for each in metadata.requires("verl") or ()]

    def brought(extra: str) -> set[str]:
        wanted = [each for each in requirements if each.marker is not None]
        chosen = [each for each in wanted if each.marker and each.marker.evaluate({"extra": extra})]
        deeper = (brought(inner) for each in chosen if each.name == "verl" for inner in each.extras)
        return {each.name.lower() for each in chosen}.union(*deeper)

    plain = {each.name.lower() for each in requirements if each.marker is None}
    assert "transferqueue" not in plain
    for pins in (FRAMEWORK.requirements, FRAMEWORK.engine_requirements):
        (extra,) = Requirement(pins[0]).extras
        assert {"transferqueue", "uvicorn", "fastapi"} <= brought(extra), pins
    pinned = {str(each).partition(";")[0].strip() for each in requirements}
    assert {FRAMEWORK.compiled_requirements[0], FRAMEWORK.engine_requirements[1]} <= pinned

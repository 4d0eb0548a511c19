"""What verl is planned to do, in its own words: prompts, responses, engines, offloading, CPUs."""

from typing import Any

import pytest
import yaml

from contracts.rendering import variant
from scaffolder.errors import InfeasiblePlan, UnsupportedChoice
from scaffolder.frameworks import resolve
from scaffolder.plan import Plan
from test_plan import spec_of


def plan_of(**answers: Any) -> Plan:
    spec = spec_of(framework="verl", **{"algorithm": "grpo", **answers})
    return resolve(spec).plan(spec)


@pytest.mark.parametrize(
    ("algorithm", "responses", "updates"),
    [("grpo", 8, 4), ("dapo", 8, 4), ("gspo", 8, 4), ("ppo", 1, 4), ("rloo", 8, 1)],
)
def test_prompts_responses_and_updates(algorithm: str, responses: int, updates: int) -> None:
    plan = plan_of(algorithm=algorithm, gpus_per_node=8, global_batch_size=128)
    numbers = plan.settings
    assert (numbers["responses"], numbers["updates"]) == (responses, updates)
    assert numbers["prompts_per_update"] * responses == plan.global_batch_size == 128
    assert numbers["prompts_per_step"] == numbers["prompts_per_update"] * updates


def test_an_engine_sleeps_while_verl_trains() -> None:
    """Its share is not taken from training; unlike in TRL, weights can rest meanwhile."""
    small, large = (plan_of(model=name, gpus_per_node=8) for name in ("m-1b", "m-32b"))
    assert small.memory and large.memory
    assert small.memory.generation == large.memory.generation == 0
    assert (small.settings["offload"], large.settings["offload"]) == (False, True)
    assert any("rest in the memory of the machine" in each for each in large.notes)
    assert plan_of(model="org/unknown").settings["offload"] is True


@pytest.mark.parametrize(
    ("model", "nodes", "share", "offload"),
    [("m-8b", 1, 0.5, False), ("m-32b", 2, 0.4, False), ("m-32b", 1, 0.5, True)],
)
def test_an_engine_takes_what_weights_and_states_leave(
    model: str, nodes: int, share: float, offload: bool
) -> None:
    """As verl's recipe for 32B on 2 x 8 GPUs: a smaller share, and nothing is moved."""
    made = variant("verl", "grpo", model=f"org/{model}", nodes=nodes, gpus_per_node=8)
    actor = yaml.safe_load(made.config())["actor_rollout_ref"]
    assert actor["rollout"]["gpu_memory_utilization"] == share
    assert actor["actor"]["fsdp_config"]["optimizer_offload"] is offload


def test_no_smaller_share_where_the_engine_would_not_divide_the_gpus() -> None:
    """30B takes 2 GPUs at 0.5, and 4 at 0.4, which do not divide 14."""
    plan = plan_of(model="org/m-30b", nodes=2, gpus_per_node=7)
    assert plan.generation_tensor_parallel == 2
    assert (plan.settings["engine_share"], plan.settings["offload"]) == (0.5, True)


def test_ppo_pays_for_the_critic() -> None:
    grpo, ppo = (plan_of(algorithm=each, gpus_per_node=8, model="m-8b") for each in ("grpo", "ppo"))
    assert grpo.memory and ppo.memory
    assert ppo.memory.states == pytest.approx(2 * grpo.memory.states, rel=0.01)


def test_megatron_divides_the_model_until_it_fits() -> None:
    found = {}
    for model in ("m-1b", "m-8b", "m-70b"):
        plan = plan_of(model=model, sharding="megatron", nodes=16, gpus_per_node=8)
        shared = plan.tensor_parallel * plan.pipeline_parallel
        assert shared * plan.data_parallel == plan.world_size == 128
        assert plan.memory and plan.memory.total < 80
        found[model] = shared
    assert found["m-1b"] == 1 <= found["m-8b"] < found["m-70b"]


def test_what_pip_cannot_install_runs_in_a_container() -> None:
    fsdp, megatron, sglang = (
        plan_of(gpus_per_node=8, **choice)
        for choice in ({}, {"sharding": "megatron"}, {"generation": "sglang_colocate"})
    )
    assert fsdp.gpu_requirements[0] == "verl[vllm]==0.9.1"
    assert fsdp.compiled_requirements == ["flash-attn==2.8.3"]
    assert megatron.compiled_requirements == []
    assert not any(each.startswith("verl") for each in megatron.requirements + sglang.requirements)
    assert "PyPI does not have" in " ".join(megatron.notes)
    assert "verl itself excludes" in " ".join(sglang.notes)
    assert sglang.container and "sgl" in sglang.container
    assert megatron.container == fsdp.container


def test_ray_has_what_verl_reserves_for_each_machine() -> None:
    one, many = plan_of(), plan_of(nodes=16, gpus_per_node=8)
    assert (one.settings["storage_units"], one.ray_cpus) == (1, 3 + 3)
    assert (many.settings["storage_units"], many.ray_cpus) == (32, 24 + 3)
    assert "-num-cpus" in variant("verl", "grpo", nodes=2, gpus_per_node=8).render(
        "launch/local.sh", "local"
    )


def test_several_machines_of_sft_are_joined_by_torchrun() -> None:
    script = variant("verl", "sft", nodes=2, gpus_per_node=8).render("launch/local.sh", "local")
    assert "--nproc_per_node=8" in script and "--node_rank" in script and "ray" not in script


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"algorithm": "dpo"}, "no trainer for pairs"),
        ({"algorithm": "rm"}, "cannot train reward models"),
        ({"algorithm": "kto"}, "has no KTO"),
        ({"tuning": "qlora"}, "adapters beside weights in bfloat16"),
        ({"sharding": "megatron", "tuning": "lora"}, "tuning can be: full"),
        ({"sharding": "zero3"}, "sharding can be: fsdp2, megatron"),
        ({"generation": "transformers"}, "generation can be: vllm_colocate, sglang_colocate"),
    ],
)
def test_what_verl_cannot_do_is_refused_with_a_reason(answers: dict[str, str], reason: str) -> None:
    with pytest.raises(UnsupportedChoice, match=reason):
        plan_of(gpus_per_node=8, **answers)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"epochs": 0.5}, "verl counts whole epochs"),
        ({"model": "m-70b"}, "takes 1,043 GiB of the one GPU"),
        ({"model": "m-70b", "sharding": "megatron", "gpus_per_node": 8}, "of each of 8 GPUs"),
        ({"model": "m-32b", "gpus_per_node": 7}, "take a multiple of 2 GPUs"),
        ({"gpus_per_node": 8, "global_batch_size": 60}, "the nearest that do are 56 or 64"),
    ],
)
def test_what_does_not_come_out_is_refused_with_numbers(
    answers: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InfeasiblePlan, match=reason):
        plan_of(**answers)


@pytest.mark.parametrize(
    ("algorithm", "billions", "nodes", "division"),
    [
        ("ppo", 8, 1, (2, 2)),  # verl's own recipe; it was 8 x 1, and no data parallelism
        ("grpo", 8, 1, (1, 1)),
        ("grpo", 14, 1, (2, 1)),
        ("grpo", 32, 2, (4, 2)),
        ("grpo", 72, 4, (4, 4)),
    ],
)
def test_megatron_divides_no_more_than_it_must(
    algorithm: str, billions: float, nodes: int, division: tuple[int, int]
) -> None:
    answers: dict[str, Any] = {"sharding": "megatron", "gpus_per_node": 8, "nodes": nodes}
    plan = plan_of(**answers, algorithm=algorithm, model="m", model_billions=billions)
    assert (plan.tensor_parallel, plan.pipeline_parallel) == division
    assert plan.tensor_parallel <= 4 and plan.data_parallel > 1

"""Numbers that follow from choices: they multiply out, and where they cannot, words say why."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conftest import Command
from scaffolder import nearby
from scaffolder import spec as specs
from scaffolder.errors import InfeasiblePlan, UnsupportedChoice
from scaffolder.frameworks import discover, matrix, resolve, variants
from scaffolder.instead import TooLarge
from scaffolder.memory import model_billions
from scaffolder.plan import Plan
from scaffolder.shapes import WELL_KNOWN
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Algorithm

CHOICES = [(each.name, algorithm) for each, algorithm, _, _ in matrix()]


def spec_of(**answers: Any) -> ProjectSpec:
    return specs.build(
        {"project_name": "p", "framework": "trl", "algorithm": "sft", "model": "m-1b", **answers}
    )


def plan_of(**answers: Any) -> Plan:
    spec = spec_of(**answers)
    return resolve(spec).plan(spec)


VARIANTS = [
    (name, algorithm, variant)
    for name, algorithm in sorted(set(CHOICES))
    for variant in variants(discover()[name], algorithm)
]


@given(
    choice=st.sampled_from(VARIANTS),
    gpus=st.integers(1, 64),
    nodes=st.sampled_from([1, 1, 2, 16]),
    batch=st.none() | st.integers(1, 5000),
    billions=st.none() | st.floats(0.05, 100),
    length=st.integers(16, 100_000),
    memory=st.floats(8, 200),
)
def test_batches_multiply_out(
    choice: tuple[str, Algorithm, dict[str, str]],
    gpus: int,
    nodes: int,
    batch: int | None,
    billions: float | None,
    length: int,
    memory: float,
) -> None:
    framework, algorithm, variant = choice
    spec = spec_of(
        framework=framework,
        algorithm=algorithm,
        **variant,
        nodes=nodes,
        gpus_per_node=gpus,
        global_batch_size=batch,
        model="m",
        model_billions=billions,
        sequence_length=length,
        gpu_memory=memory,
    )
    try:
        plan = resolve(spec).plan(spec)
    except (InfeasiblePlan, UnsupportedChoice) as error:
        assert error.reasons
        return
    product = plan.micro_batch_size * plan.accumulation_steps * plan.data_parallel
    assert product == plan.global_batch_size
    assert batch is None or plan.global_batch_size == batch
    shared = plan.tensor_parallel * plan.pipeline_parallel
    assert plan.world_size == plan.data_parallel * shared
    assert plan.world_size % plan.training_nodes == 0
    assert plan.world_size + plan.generation_gpus <= gpus * nodes
    assert plan.generation_gpus or plan.world_size == gpus * nodes
    assert (plan.memory is None) == (billions is None)
    assert plan.memory is None or plan.memory.states <= memory
    if plan.generation:
        # PPO and REINFORCE++ have one response to a prompt.
        assert plan.global_batch_size % plan.responses == 0
        assert spec.completion_length < length
        generating = plan.generation_gpus or plan.world_size
        assert generating % plan.generation_tensor_parallel == 0
    if algorithm == "kto":
        assert plan.micro_batch_size >= 2
    if "sharding" in variant:
        assert plan.sharding == variant["sharding"]


def test_what_was_chosen_alone_is_always_planned() -> None:
    """A model that is small enough, on one GPU or on eight: nothing stands in the way."""
    for framework, algorithm, variant in VARIANTS:
        for gpus in (1, 8):
            spec = spec_of(framework=framework, algorithm=algorithm, gpus_per_node=gpus, **variant)
            reasons = resolve_reasons(spec)
            alone = variant.get("generation") in {"vllm_server", "vllm_async"} and gpus == 1
            split = (variant["tuning"], variant["sharding"]) in {
                *(("qlora", each) for each in ("fsdp2", "zero2", "zero3")),
                ("lora", "megatron"),
            }
            assert bool(reasons) == (alone or split), (algorithm, variant, gpus, reasons)


def resolve_reasons(spec: ProjectSpec) -> list[str]:
    try:
        resolve(spec).plan(spec)
    except (InfeasiblePlan, UnsupportedChoice) as error:
        return list(error.reasons)
    return []


def test_a_server_takes_gpus_of_its_own() -> None:
    words = {"algorithm": "grpo", "generation": "vllm_server"}
    eight = plan_of(gpus_per_node=8, **words)
    assert (eight.world_size, eight.generation_gpus) == (7, 1), "a small model takes no two"
    assert eight.server and eight.server.gpus == 1
    assert eight.global_batch_size % 7 == 0 and eight.global_batch_size % 8 == 0
    given_four = plan_of(gpus_per_node=8, generation_gpus=4, **words)
    assert (given_four.world_size, given_four.generation_gpus) == (4, 4)
    two = plan_of(gpus_per_node=8, nodes=2, **words)
    assert (two.world_size, two.training_nodes, two.generation_gpus) == (8, 1, 1)
    assert any("with 1 of its 8 GPUs" in note for note in two.notes)
    large = plan_of(gpus_per_node=8, model="m-32b", tuning="lora", **words)
    assert large.generation_gpus == 2, "32 billion weights in bfloat16 take 60 GiB of 0.9 x 80"
    with pytest.raises(InfeasiblePlan, match="leaves none"):
        plan_of(gpus_per_node=1, **words)


def test_a_colocated_engine_takes_its_share_of_the_memory() -> None:
    plan = plan_of(algorithm="grpo", gpus_per_node=8)
    assert plan.generation == "vllm_colocate" and plan.memory
    assert plan.memory.generation == 0, "it sleeps while the others train"
    assert (plan.memory.working or 0) >= 0.3 * 80, "and is awake beside states"
    kept = plan_of(algorithm="grpo", tuning="qlora", gpus_per_node=8).memory
    assert kept and kept.generation == pytest.approx(0.3 * 80)
    assert plan_of(gpus_per_node=8).generation is None
    large = plan_of(algorithm="grpo", gpus_per_node=8, model="m-14b", tuning="lora")
    assert large.generation_tensor_parallel == 2


def test_adapters_cost_a_fraction_of_the_states() -> None:
    full, lora, qlora = (plan_of(tuning=each).memory for each in ("full", "lora", "qlora"))
    assert full and lora and qlora
    assert full.states > 6 * lora.states > 12 * qlora.states
    reference = plan_of(algorithm="dpo", tuning="lora").memory
    assert reference and reference.states == lora.states, "the reference is the frozen model"


def test_responses_must_leave_room_for_a_prompt() -> None:
    with pytest.raises(InfeasiblePlan, match="leave no room for a prompt"):
        plan_of(algorithm="grpo", sequence_length=1024, completion_length=1024)


@given(gpus=st.integers(1, 16), batch=st.integers(1, 200))
def test_the_numbers_in_a_refusal_are_accepted(gpus: int, batch: int) -> None:
    assume(batch % gpus)
    with pytest.raises(InfeasiblePlan) as refused:
        plan_of(gpus_per_node=gpus, global_batch_size=batch)
    words = refused.value.reasons[0].split("that do are ")[1].split()
    for number in (int(word) for word in words if word.isdigit()):
        assert plan_of(gpus_per_node=gpus, global_batch_size=number).global_batch_size == number


def refused(**answers: Any) -> TooLarge:
    with pytest.raises(TooLarge) as error:
        nearby.plan(spec_of(**answers))
    return error.value


@pytest.mark.parametrize("framework", ["custom", "trl", "verl"])
@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("model", "gpus"), [("m-8b", 1), ("m-14b", 2), ("m-32b", 4), ("m-70b", 3), ("m-70b", 8)]
)
def test_where_a_model_does_not_fit_the_planner_has_tried_what_does(
    framework: str, algorithm: str, model: str, gpus: int
) -> None:
    asked = {"framework": framework, "algorithm": algorithm, "model": model, "gpus_per_node": gpus}
    try:
        nearby.plan(spec_of(**asked))
        return
    except InfeasiblePlan as error:
        found = error
    said = " ".join(found.reasons)
    assert not re.search(r" -\d|\d\.\d\d", said), "no number that a person would not write"
    if not isinstance(found, TooLarge):
        return
    assert found.instead
    for each in found.instead:
        plan = plan_of(**{**asked, **each.changes})
        assert plan.memory and plan.memory.total < 80
    tunings = [each.changes.get("tuning", "full") for each in found.instead]
    if framework != "custom" and model in {"m-8b", "m-14b", "m-32b"}:
        assert tunings[0] == "lora", "adapters on the same machines come first"
        assert {"nodes", "gpus_per_node"}.isdisjoint(found.instead[0].changes)
    assert "full" in tunings, "and all weights on more"


def test_in_four_bits_it_may_fit_on_one_gpu() -> None:
    (first, *_) = refused(model="m-70b").instead
    assert first.changes == {"tuning": "qlora"} and "QLoRA on 1 GPU, about " in first.words


def test_a_refusal_prints_commands_that_work(scaffold: Command, tmp_path: Path) -> None:
    words = ("new", "p", "--framework", "trl", "--algorithm", "grpo", "--dry-run", "--yes")
    result = scaffold(*words, "--model", "org/big-70B", "--gpus-per-node", "8")
    assert result.returncode == 2 and list(tmp_path.iterdir()) == []
    commands = [line for line in result.stderr.splitlines() if line.startswith("  rl-scaffolder")]
    assert [line.partition("--gpus-per-node 8 ")[2] for line in commands] == [
        "--tuning lora",
        "--nodes 4",
    ]
    assert scaffold(*shlex.split(commands[0])[1:]).returncode == 0


def test_too_large_a_model_and_a_batch_are_said_at_once() -> None:
    error = refused(model="org/big-70B", gpus_per_node=3, global_batch_size=32)
    assert "does not divide over 3" in error.reasons[0] and "70 billion" in error.reasons[1]
    assert error.instead[0].changes == {"nodes": 4, "gpus_per_node": 8}, "32 divides over 32"


def test_where_another_sharding_would_do_it_is_advised() -> None:
    error = refused(model="m-8b", gpus_per_node=8, sharding="ddp")
    assert {"sharding": None} in [each.changes for each in error.instead]
    assert plan_of(model="m-8b", gpus_per_node=8).sharding == "fsdp2"


def test_states_are_sharded_when_they_would_fill_a_gpu() -> None:
    small, large = plan_of(gpus_per_node=8), plan_of(gpus_per_node=8, model="m-8b")
    assert (small.sharding, large.sharding) == ("ddp", "fsdp2")
    alone = plan_of(model="m-4b")
    assert alone.memory and large.memory
    # 16 bytes per weight: float32 weight, gradient and two AdamW moments.
    assert alone.memory.states == pytest.approx(4e9 * 16 / 2**30, abs=0.01)
    assert large.memory.states == pytest.approx(8e9 * 16 / 8 / 2**30, abs=0.01)


def test_dpo_pays_for_the_reference_and_for_two_sequences() -> None:
    sft = plan_of(gpus_per_node=8, global_batch_size=8)
    dpo = plan_of(gpus_per_node=8, global_batch_size=8, algorithm="dpo")
    assert sft.memory and dpo.memory
    assert dpo.memory.states / sft.memory.states == pytest.approx(20 / 16, abs=0.01)
    assert dpo.memory.logits == pytest.approx(2 * sft.memory.logits, abs=0.02)


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Qwen/Qwen3-0.6B", 0.6),
        ("Qwen/Qwen2.5-7B-Instruct", 7),
        ("HuggingFaceTB/SmolLM2-135M", 0.135),
        ("meta-llama/Llama-3.1-8B", 8),
        ("Qwen/Qwen3-30B-A3B", 30),
        ("mistralai/Mixtral-8x7B-v0.1", 56),
        ("Qwen/Qwen1.5-MoE-A2.7B", None),
        ("meta-llama/Llama-4-Scout-17B-16E", None),
        ("org/mystery", None),
        ("org/v2-base", None),
        ("org/8bit-model", None),
    ],
)
def test_size_from_the_name(model: str, billions: float | None) -> None:
    assert model_billions(spec_of(model=model)) == billions


def test_size_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 2_000_000)
    assert model_billions(spec_of(model=str(tmp_path))) == pytest.approx(0.001)
    (tmp_path / "config.json").write_text("broken")
    assert model_billions(spec_of(model=str(tmp_path))) is None


def test_unknown_size_says_so() -> None:
    plan = plan_of(model="org/mystery")
    assert plan.memory is None and plan.micro_batch_size == 1
    assert "model_billions" in plan.notes[0]


def test_every_framework_pins_exactly() -> None:
    for framework in discover().values():
        assert framework.version
        assert all("==" in requirement for requirement in framework.requirements)


@pytest.mark.parametrize("framework", ["custom", "trl", "verl"])
@pytest.mark.parametrize("nodes", [1, 4, 16])
def test_the_batch_of_an_online_algorithm_grows_with_the_gpus(framework: str, nodes: int) -> None:
    """On 32 GPUs 64 responses were 2 a GPU, of 8 prompts an update."""
    answers = {"framework": framework, "algorithm": "grpo", "gpus_per_node": 8, "nodes": nodes}
    plan = plan_of(**answers, generation=None if framework == "verl" else "transformers")
    assert plan.global_batch_size >= max(256, 32 * 8 * nodes)
    assert plan.global_batch_size % plan.responses == 0


def total(**answers: Any) -> float:
    memory = plan_of(**answers).memory
    assert memory is not None
    return memory.total


def test_memory_is_that_of_the_trackers() -> None:
    """Numbers of a review with FSDPMemTracker on 2026-11-27; GiB of a GPU, of 79.6."""
    eight = {"gpus_per_node": 8, "sharding": "fsdp2"}
    large = total(framework="custom", model="Qwen/Qwen3-32B", global_batch_size=8, **eight)
    assert large == pytest.approx(75, rel=0.1), "and was planned at 69"
    middle = total(framework="trl", model="Qwen/Qwen3-8B", **eight)
    assert middle == pytest.approx(28, rel=0.15), "and was planned at 45"


def test_the_shape_of_a_model_is_read_where_it_is(tmp_path: Path) -> None:
    """The same size with more layers, or a larger vocabulary, takes more."""
    small = {
        "num_hidden_layers": 8, "hidden_size": 1024, "intermediate_size": 4096,
        "num_attention_heads": 8, "vocab_size": 1000, "tie_word_embeddings": True,
    }  # fmt: skip
    found = []
    for changed in ({}, {"num_hidden_layers": 64}, {"vocab_size": 200_000}):
        config = json.dumps({"text_config": {**small, **changed}} if changed else small)
        (tmp_path / "config.json").write_text(config)
        eight = {"gpus_per_node": 8, "sharding": "fsdp2"}
        found.append(total(model=str(tmp_path), model_billions=1, **eight))
    assert found[0] < min(found[1:])
    assert not any("not known" in note for note in plan_of(model="Qwen/Qwen3-0.6B").notes)
    assert any("layers of m-1b are not known" in note for note in plan_of().notes)


@pytest.mark.parametrize("name", sorted(WELL_KNOWN))
def test_the_well_known_shapes_have_the_size_of_their_names(name: str) -> None:
    said = float(name.rsplit("-", 1)[1][:-1])
    assert WELL_KNOWN[name].billions == pytest.approx(said, rel=0.25)


def test_one_gpu_keeps_weights_cast_and_what_it_generates() -> None:
    answers = {"framework": "custom", "model": "Qwen/Qwen3-1.7B"}
    plan = plan_of(**answers)
    assert plan.memory and plan.memory.working
    assert plan.memory.working > plan.memory.activations + 2 * 1.7e9 / 2**30
    online = total(**answers, algorithm="grpo", generation="transformers")
    longer = total(**answers, algorithm="grpo", generation="transformers", sequence_length=16384)
    # Keys and values of 32 responses: 28 layers x 2 x 8 heads x 128 x 2 bytes a token.
    assert longer - online > 0.9 * 32 * 12288 * 28 * 4096 / 2**30


@pytest.mark.parametrize("framework", ["custom", "trl", "verl"])
def test_online_training_saves_before_hours_are_lost(framework: str) -> None:
    for algorithm, steps in (("grpo", 20), ("sft", 100)):
        run = plan_of(framework=framework, algorithm=algorithm).training
        assert run is not None and run.save_steps == steps

"""The rules of verl's online trainer about engines, algorithms, and what Ray must have."""

import os
from collections.abc import Iterator

from scaffolder.frameworks.verl import batches
from scaffolder.frameworks.verl.batches import (
    ACTOR,
    MINI,
    ROLLOUT,
    has_reference,
    sequence_parallel,
)
from scaffolder.frameworks.verl.values import Values
from scaffolder.numbers import divisors
from scaffolder.project import Finding

COMPARING = (
    "grpo",
    "grpo_passk",
    "grpo_vectorized",
    "rloo",
    "rloo_vectorized",
    "opo",
    "gpg",
    "reinforce_plus_plus_baseline",
)
"""Estimators that compare the responses to one prompt: one alone has the advantage 0, or NaN."""
COLOCATED_PROCESSES = 3
"""CPUs that verl reserves beside each GPU (single_controller/ray/base.py, ResourcePoolManager)."""


def check(values: Values) -> Iterator[Finding]:
    yield from batches.check(values)
    yield from _rollout_engine(values)
    yield from _attention(values)
    yield from _algorithm(values)
    yield from _reward(values)
    yield from _asynchronous(values)
    yield from _cpus(values)


def _rollout_engine(values: Values) -> Iterator[Finding]:
    """Source: engine_workers.py, replica.py, workers/rollout/base.py."""
    parallel = values.numbers(
        *(f"{ROLLOUT}.{each}_parallel_size" for each in ("tensor_model", "data", "expert"))
    )
    if parallel is None:
        return
    tensor, data, expert = parallel
    key, gpus = f"{ROLLOUT}.tensor_model_parallel_size", values.gpus
    per_node = values.number("trainer.n_gpus_per_node") or gpus
    if gpus % (tensor * data):
        fitting = max(each for each in range(1, tensor + 1) if gpus % (each * data) == 0)
        problem = f"engines of {tensor * data} GPUs do not divide the {gpus} there are"
        yield values.finding("error", key, problem, f"Set {key} to {fitting}.")
    elif tensor * data > per_node and (tensor * data) % per_node:
        problem = f"an engine of {tensor * data} GPUs is no whole number of machines of {per_node}"
        yield values.finding("error", key, problem, f"Set it to {per_node} or a multiple.")
    if expert > 1 and expert != tensor * data:
        problem = f"expert_parallel_size is {expert}, and must be tensor x data = {tensor * data}"
        yield values.finding(
            "error", f"{ROLLOUT}.expert_parallel_size", problem, f"Set it to {tensor * data}, or 1."
        )
    if (values.number(f"{ROLLOUT}.pipeline_model_parallel_size") or 1) > 1:
        problem = "engines of verl 0.9.1 are not divided by layers"
        yield values.finding(
            "error", f"{ROLLOUT}.pipeline_model_parallel_size", problem, "Set it to 1."
        )
    heads = values.model().get("num_attention_heads")
    if isinstance(heads, int) and heads % tensor:
        problem = f"{tensor} GPUs of an engine do not divide the model's {heads} attention heads"
        fitting = max(divisors(heads, tensor))
        yield values.finding("error", key, problem, f"Set it to {fitting}.")


def _attention(values: Values) -> Iterator[Finding]:
    """Ulysses. Source: models/transformers/monkey_patch.py and workers/config."""
    shared = sequence_parallel(values)
    if shared == 1 or values.megatron:
        return
    key = f"{ACTOR}.ulysses_sequence_parallel_size"
    if values.get("actor_rollout_ref.model.use_remove_padding") is not True:
        problem = "sequences are divided between GPUs only without padding"
        remedy = "Set actor_rollout_ref.model.use_remove_padding to true."
        yield values.finding("error", key, problem, remedy)
    model = values.model()
    heads, groups = model.get("num_attention_heads"), model.get("num_key_value_heads")
    if isinstance(heads, int) and heads % shared:
        problem = f"{shared} does not divide the model's {heads} attention heads"
        yield values.finding("error", key, problem, "Set it to a divisor.")
    elif isinstance(groups, int) and groups % shared and shared % groups:
        problem = f"{shared} and the model's {groups} key-value heads do not divide each other"
        yield values.finding("error", key, problem, "Set it to a divisor or a multiple.")


def _algorithm(values: Values) -> Iterator[Finding]:
    estimator, responses = values.get("algorithm.adv_estimator"), values.number(f"{ROLLOUT}.n")
    if estimator in COMPARING and responses == 1:
        problem = f"{estimator} compares the responses to one prompt, and there is one"
        yield values.finding("error", f"{ROLLOUT}.n", problem, "Set it to 2 or more, as 8.")
    if estimator == "gae" and values.config.entry("critic.model.path") is None:
        problem = (
            "the critic's model is not set; verl's default is a folder on its authors' machine"
        )
        remedy = "Set critic.model.path, to the same model as a rule."
        yield values.finding("error", "algorithm.adv_estimator", problem, remedy)
    batches = values.number("algorithm.filter_groups.max_num_gen_batches")
    if batches and values.get("trainer.use_v1") is not False:
        name = "algorithm.filter_groups.max_num_gen_batches"
        yield values.finding("warning", name, f"{name} is read by nothing here", "Remove it.")
    if (
        has_reference(values)
        and values.get("actor_rollout_ref.ref.fsdp_config.param_offload") is False
    ):
        offload = "actor_rollout_ref.ref.fsdp_config.param_offload"
        problem = "the reference model of the KL term stays on the GPUs beside the trained one"
        yield values.finding("note", offload, problem, f"{offload}: true spares its memory.")


def _reward(values: Values) -> Iterator[Finding]:
    """Source: utils/reward_score: NotImplementedError for every name that is no public dataset."""
    key = "reward.custom_reward_function.path"
    if not values.get(key) and values.get("reward.reward_model.enable") is not True:
        problem = "no reward function is set, and verl's own knows only names of public datasets"
        yield values.finding("error", key, problem, "Set it to verl_rewards.py.")


def _asynchronous(values: Values) -> Iterator[Finding]:
    """Source: trainer_separate_async.py, which asserts these when all machines are there."""
    if values.get("trainer.v1.trainer_mode") != "separate_async":
        return
    mode = "trainer.v1.trainer_mode"
    sync = values.number("trainer.v1.separate_async.parameter_sync_step")
    batch, mini = values.number("data.train_batch_size"), values.number(MINI)
    if sync and batch and mini and batch != sync * mini:
        problem = (
            f"separate_async takes {sync} x {mini} = {sync * mini} prompts a step, not {batch}"
        )
        yield values.finding("error", "data.train_batch_size", problem, f"Set it to {sync * mini}.")
    for key, wrong, remedy in (
        (f"{ROLLOUT}.nnodes", not values.number(f"{ROLLOUT}.nnodes"), "the machines that generate"),
        (
            f"{ROLLOUT}.checkpoint_engine.backend",
            values.get(f"{ROLLOUT}.checkpoint_engine.backend") == "naive",
            "nccl or another that is not naive",
        ),
        (
            "actor_rollout_ref.hybrid_engine",
            values.get("actor_rollout_ref.hybrid_engine") is not False,
            "false",
        ),
    ):
        if wrong:
            at = key if values.config.entry(key) else mode
            problem = f"separate_async needs {key} set"
            yield values.finding("error", at, problem, f"Set it to {remedy}.")


def cpus_per_node(gpus: int, nodes: int, units: int) -> int:
    """CPUs that Ray must have on each machine: beside what each of its GPUs brings, a share of the
    storage units, of their controller, and of the task that drives."""
    return COLOCATED_PROCESSES * gpus + -(-(units + 2) // nodes)


def _cpus(values: Values) -> Iterator[Finding]:
    """Ray waits without end, and without a word, for CPUs that no machine has."""
    units = values.number("transfer_queue.backend.SimpleStorage.num_data_storage_units") or 8
    nodes = values.number("trainer.nnodes") or 1
    per_node = values.number("trainer.n_gpus_per_node") or 1
    needed = cpus_per_node(per_node, nodes, units)
    key = "ray_kwargs.ray_init.num_cpus"
    given = values.number(key)
    if given is not None and given < needed * nodes:
        problem = f"{given} CPUs, and {needed * nodes} are waited for without end"
        yield values.finding("error", key, problem, f"Set it to {needed * nodes}, or remove it.")
    elif nodes > 1 and (present := os.cpu_count() or needed) < needed:
        yield values.finding(
            "note",  # The machines of a cluster are others, as a rule.
            "transfer_queue.backend.SimpleStorage.num_data_storage_units",
            f"each machine needs {needed} CPUs, and this one has {present}: training would wait "
            "without end",
            "Check again where the run will be, or take machines with more CPUs.",
        )
    if values.config.get("transfer_queue.enable") is False:
        problem = "main_ppo sets transfer_queue.enable to true, whatever is written"
        yield values.finding("warning", "transfer_queue.enable", problem, "Remove it.")

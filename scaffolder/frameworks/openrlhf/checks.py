"""What OpenRLHF 0.11.2 asserts late, ignores, or waits for without end, before the launch.

Sources: the wheel of 0.11.2, by file where a rule names one. The rules of algorithms that generate
stand in `online.py`.
"""

from collections.abc import Iterator
from itertools import chain

from scaffolder.frameworks.openrlhf import online
from scaffolder.frameworks.openrlhf.values import Values
from scaffolder.numbers import divisors, nearest
from scaffolder.project import Finding, Project

BATCH, MICRO = "train.batch_size", "train.micro_batch_size"
PLAIN = ("eager", "sdpa")
"""Attention without flash-attention's kernels."""
PAIRS = {
    "adam.betas": 2,
    "actor.adam.betas": 2,
    "critic.adam.betas": 2,
    "actor.eps_clip_low_high": 2,
    "algo.dynamic_filtering_range": 2,
    "reward.clip_range": 2,
}
"""Flags with so many values."""


def check(project: Project) -> Iterator[Finding]:
    for config in project.configs:
        if config.problem:
            continue
        values = Values(project, config)
        looks = (_machines, _batch, _attention, _optimizer, _lengths, _lists, _saving)
        yield from chain.from_iterable(look(values) for look in looks)
        yield from online.check(values) if values.online else _offline(values)


def _machines(values: Values) -> Iterator[Finding]:
    """OpenRLHF and torchrun take what the config says, whatever there is."""
    if values.online or values.config.is_smoke:
        return
    spec = values.project.spec
    for name, planned in (
        ("launch.nodes", spec.nodes),
        ("launch.gpus_per_node", spec.gpus_per_node),
    ):
        said = values.count(name)
        if said is not None and said != planned:
            problem = f"{name} is {said}, and {planned} was planned"
            remedy = f"Write {planned}, or render the project for other machines."
            yield values.finding("error" if said > planned else "warning", name, problem, remedy)


def _batch(values: Values) -> Iterator[Finding]:
    """Source: get_ds_train_config of utils/deepspeed/deepspeed.py, and DeepSpeed's own check."""
    numbers, world, shared = values.counts(BATCH, MICRO), values.gpus, values.shared
    if numbers is None or world is None:
        return
    batch, micro = numbers
    if world % shared:
        ring = (values.count("ds.ring_attn_size") or 1) > 1
        key = "ds.ring_attn_size" if ring else "ds.tensor_parallel_size"
        problem = f"{shared} GPUs share each row, which do not divide the {world} that train"
        yield values.error(key, problem, f"Make it a divisor of {world}.")
        return
    apart = world // shared
    if not values.truth("train.dynamic_batch_enable") and batch % (micro * apart):
        fitting = divisors(max(batch // apart, 1), micro)
        remedy = f"Set {BATCH} to {nearest(batch, micro * apart)}."
        if batch % apart == 0:
            remedy = (
                f"Set {MICRO} to {max(fitting)}, or {BATCH} to {nearest(batch, micro * apart)}."
            )
        problem = (
            f"{batch} rows per optimizer step do not divide into micro batches of {micro} over "
            f"{apart} data-parallel GPUs"
        )
        yield values.error(BATCH, problem, remedy)
    planned = values.project.plan.global_batch_size
    if batch != planned and not values.config.is_smoke:
        problem = f"{batch} rows per optimizer step, and {planned} were planned"
        yield values.finding("warning", BATCH, problem, "Mean it, and scale the learning rate.")


def _attention(values: Values) -> Iterator[Finding]:
    """Source: the asserts of each command, setup_ring_attn and the strategy's __init__."""
    packed = values.truth("ds.packing_samples") or (
        values.online and values.truth("train.dynamic_batch_enable")
    )
    ring = values.count("ds.ring_attn_size") or 1
    if ring > 1 and not packed:
        problem = "ring attention divides packed rows alone, and ds.packing_samples is not set"
        yield values.error("ds.ring_attn_size", problem, "Set ds.packing_samples: true.")
    kind = values.text("ds.attn_implementation")
    if packed and kind in PLAIN:
        problem = f"packed rows need flash-attention: OpenRLHF takes it in place of {kind}"
        key = "ds.attn_implementation"
        yield values.finding("warning", key, problem, "Remove it, or the packing.")
    for key, wants in (("ds.tensor_parallel_size", "AutoTP"), ("ds.load_in_4bit", "4 bits")):
        used = values.truth(key) or (values.count(key) or 1) > 1
        if used and values.get("ds.param_dtype") == "fp16":
            problem = f"{wants} needs bf16, and ds.param_dtype is fp16"
            yield values.error("ds.param_dtype", problem, "Set it to bf16.")
    heads = values.model().get("num_attention_heads")
    stride = values.count("ds.ring_attn_head_stride") or 1
    if isinstance(heads, int) and heads % stride:
        problem = f"{stride} heads at a time do not divide the model's {heads}"
        yield values.error("ds.ring_attn_head_stride", problem, "Set it to a divisor.")


def _optimizer(values: Values) -> Iterator[Finding]:
    """Source: _ds_init_train_model: the gradient is cut after Muon has scaled it."""
    for at in ("actor.", "critic.") if values.online else ("",):
        if values.get(f"{at}optim") != "muon":
            continue
        if values.number(f"{at}max_norm"):
            problem = "Muon's steps are scaled before they are cut, and would almost vanish"
            yield values.error(f"{at}optim", problem, f"Set {at}max_norm: 0.")
    targets = values.get("ds.lora.target_modules")
    if isinstance(values.config.get("ds.lora.target_modules"), str):
        problem = f"ds.lora.target_modules {targets!r} would be the name of one module"
        remedy = "Leave it out for all linear layers, or write a list."
        yield values.error("ds.lora.target_modules", problem, remedy)
    if values.online and (values.count("ds.lora.rank") or 0) > 0:
        problem = "adapters reach vLLM under names that it does not know (ppo_actor.py)"
        yield values.error("ds.lora.rank", problem, "Set ds.lora.rank: 0.")


def _lengths(values: Values) -> Iterator[Finding]:
    known, longest = values.model().get("max_position_embeddings"), values.count("data.max_len")
    if isinstance(known, int) and longest and longest > known:
        problem = f"data.max_len is {longest}, and the model has positions for {known} tokens"
        yield values.error("data.max_len", problem, f"Set it to {known} or less.")


def _lists(values: Values) -> Iterator[Finding]:
    for key, wanted in PAIRS.items():
        said = values.config.get(key)
        numbers = isinstance(said, list) and all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in said
        )
        if said is not None and not (numbers and len(said) == wanted):
            yield values.error(key, f"{key} takes {wanted} numbers", "Write a list of them.")


def _saving(values: Values) -> Iterator[Finding]:
    """Of a folder with its own checkpoints DeepSpeed removes the oldest before it writes."""
    kept = values.count("ckpt.max_num")
    fewest = 4 if values.truth("ckpt.save_hf") and not values.online else 2
    if kept is not None and kept < fewest:
        problem = f"{kept} kept: a run that is killed while it saves would leave no checkpoint"
        yield values.error("ckpt.max_num", problem, f"Set it to {fewest} or more.")
    saves = values.number("ckpt.save_steps")
    if saves == 0 or values.number("eval.steps") == 0:
        key = "ckpt.save_steps" if saves == 0 else "eval.steps"
        yield values.error(key, f"{key} is 0, and OpenRLHF divides by it", "Remove it.")
    elif saves == -1 and values.project.spec.nodes > 1 and not values.config.is_smoke:
        problem = "no checkpoint is written on several machines, of which one may fail"
        yield values.finding("warning", "ckpt.save_steps", problem, "Set it to 100, say.")


def _offline(values: Values) -> Iterator[Finding]:
    """Rules of sft, dpo and rm."""
    if values.algorithm == "dpo" and not values.text("data.prompt_key"):
        problem = (
            "without data.prompt_key all but the last message of the chosen side is the prompt"
        )
        remedy = "Set data.prompt_key: prompt_messages."
        yield values.finding("warning", "data.chosen_key", problem, remedy)
    if values.truth("model.pretrain_mode_enable"):
        problem = "rows are conversations, and it would take them for one text"
        yield values.error("model.pretrain_mode_enable", problem, "Remove it.")
    if values.truth("model.ipo_enable") and values.number("model.label_smoothing"):
        problem = "IPO has no label smoothing, which would be left out"
        yield values.finding("warning", "model.label_smoothing", problem, "Remove one of them.")

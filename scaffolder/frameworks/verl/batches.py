"""The rules of verl's online trainer about batches: prompts, responses, tokens."""

from collections.abc import Iterator

from scaffolder.frameworks.verl.values import Values
from scaffolder.numbers import divisors, nearest
from scaffolder.project import Finding

ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
MINI = f"{ACTOR}.ppo_mini_batch_size"


def check(values: Values) -> Iterator[Finding]:
    yield from _batches(values)
    yield from _micro_batches(values)
    yield from _tokens(values)


def data_parallel(values: Values) -> int:
    """Processes that see different rows."""
    if values.megatron:
        words = ("tensor_model_parallel_size", "pipeline_model_parallel_size")
        names = (f"{ACTOR}.megatron.{word}" for word in (*words, "context_parallel_size"))
        shared = values.numbers(*names) or (1, 1, 1)
        return max(1, values.gpus // (shared[0] * shared[1] * shared[2]))
    return max(1, values.gpus // sequence_parallel(values))


def sequence_parallel(values: Values) -> int:
    both = (f"{ACTOR}.fsdp_config.", f"{ACTOR}.")
    found = [values.number(f"{each}ulysses_sequence_parallel_size") or 1 for each in both]
    return max(found)


def _batches(values: Values) -> Iterator[Finding]:
    """Source: utils/config.py, `validate_config`; engine_workers.py, which asserts the second only
    at the first update."""
    numbers = values.numbers("data.train_batch_size", MINI, f"{ROLLOUT}.n")
    if numbers is None:
        return
    train, mini, responses = numbers
    gpus, dp = values.gpus, data_parallel(values)
    step = dp * (values.number(f"{ACTOR}.ppo_micro_batch_size_per_gpu") or 1)
    smallest = step if values.megatron else gpus
    planned = values.project.plan.global_batch_size
    if mini * responses % dp:
        yield values.finding(
            "error",
            values.changed(MINI, f"{ROLLOUT}.n"),
            f"{mini} prompts x {responses} responses per update do not divide over {dp} "
            "data-parallel GPUs, which verl finds at the first update",
            f"Set ppo_mini_batch_size to {_fit(mini, responses, dp)}.",
        )
    elif train < mini:
        problem = f"{mini} prompts per update, and {train} are answered for a step"
        key = values.changed(MINI, "data.train_batch_size")
        remedy = f"Set ppo_mini_batch_size to {train} or less, or answer more."
        yield values.finding("error", key, problem, remedy)
    elif train * responses % smallest:
        yield values.finding(
            "error",
            values.changed("data.train_batch_size", f"{ROLLOUT}.n"),
            f"{train} prompts x {responses} responses do not divide over {smallest}",
            f"Set data.train_batch_size to {_fit(train, responses, smallest)}.",
        )
    elif train % mini:
        yield values.finding(
            "warning",
            "data.train_batch_size",
            f"{train} prompts are no whole number of updates of {mini}: verl fills them up with "
            "rows that mean nothing",
            f"Set it to {nearest(train, mini)}.",
        )
    elif mini * responses != planned and not values.config.is_smoke:
        yield values.finding(
            "warning",
            values.changed(MINI, f"{ROLLOUT}.n"),
            f"{mini} prompts x {responses} are {mini * responses} responses per optimizer step, "
            f"and {planned} were planned",
            "Mean it, and scale optim.lr.",
        )


def _fit(prompts: int, responses: int, divisor: int) -> str:
    """The numbers of prompts beside one whose responses divide."""
    step = next(each for each in range(1, divisor + 1) if each * responses % divisor == 0)
    return nearest(prompts, step)


def _micro_batches(values: Values) -> Iterator[Finding]:
    """Exactly one way to say the micro batch, for each forward. Source: utils/config.py."""
    actor, rollout = f"{ACTOR}.use_dynamic_bsz", f"{ROLLOUT}.log_prob_use_dynamic_bsz"
    dynamic = values.get(actor) is True
    if dynamic != (values.get(rollout) is True):
        problem = f"{rollout} and {actor} differ, which engine_workers.py asserts against"
        yield values.finding("error", rollout, problem, "Remove it: it follows the other.")
    if dynamic:
        return
    forwards = {ACTOR: "ppo_micro_batch_size", ROLLOUT: "log_prob_micro_batch_size"}
    if has_reference(values):
        forwards["actor_rollout_ref.ref"] = "log_prob_micro_batch_size"
    if values.get("algorithm.adv_estimator") == "gae":
        forwards["critic"] = "ppo_micro_batch_size"
    for section, name in forwards.items():
        key = f"{section}.{name}_per_gpu"
        old, new = values.number(f"{section}.{name}"), values.number(key)
        if (old is None) == (new is None) or old is not None:
            said = "is not set" if old is new is None else f"is to replace {name}"
            remedy = f"Set {key} alone, or {actor}: true."
            yield values.finding("error", key, f"{key} {said}", remedy)
    numbers = values.numbers(MINI, f"{ROLLOUT}.n", f"{ACTOR}.ppo_micro_batch_size_per_gpu")
    if numbers is not None and (numbers[0] * numbers[1]) % data_parallel(values) == 0:
        per_gpu, micro = numbers[0] * numbers[1] // data_parallel(values), numbers[2]
        if per_gpu % micro:
            yield values.finding(
                "error",
                f"{ACTOR}.ppo_micro_batch_size_per_gpu",
                f"{per_gpu} responses per GPU and update do not divide into micro batches of "
                f"{micro}",
                f"Set it to {max(divisors(per_gpu, micro))}.",
            )


def has_reference(values: Values) -> bool:
    keys = ("algorithm.use_kl_in_reward", f"{ACTOR}.use_kl_loss")
    return any(values.get(key) is True for key in keys)


def _tokens(values: Values) -> Iterator[Finding]:
    lengths = values.numbers("data.max_prompt_length", "data.max_response_length")
    if lengths is None:
        return
    longest, shared = sum(lengths), sequence_parallel(values)
    limits = {f"{ACTOR}.ppo_max_token_len_per_gpu": shared}
    if values.get("algorithm.adv_estimator") == "gae":
        limits["critic.ppo_max_token_len_per_gpu"] = 1
    for key, factor in limits.items():
        room = values.number(key)
        dynamic = values.get(f"{ACTOR}.use_dynamic_bsz") is True
        if dynamic and room is not None and room * factor < longest:
            problem = f"{key} is {room}, and one response with its prompt may have {longest} tokens"
            yield values.finding("error", key, problem, f"Set it to {longest} or more.")
    positions = values.model().get("max_position_embeddings")
    engine = values.number(f"{ROLLOUT}.max_model_len")
    for key, limit, whose in (
        ("data.max_response_length", positions, "the model knows positions for"),
        (f"{ROLLOUT}.max_model_len", engine, "the engine takes"),
    ):
        if isinstance(limit, int) and limit < longest:
            problem = f"prompt and response may have {longest} tokens, and {whose} {limit}"
            yield values.finding(
                "error", key, problem, f"Make the two lengths at most {limit} together."
            )

"""What OpenRLHF's parser takes and its trainers do not: batches, and GPUs that are asked for."""

from collections.abc import Iterator

from ...errors import UserError
from .settings import Settings


def check_config(settings: Settings) -> None:
    """See what OpenRLHF's parser takes and its trainer does not.

    Raises:
        UserError: with everything that does not fit.
    """
    wrong = [*_batch(settings), *(_online(settings) if settings.online else _launch(settings))]
    if wrong:
        raise UserError(" ".join(wrong), "Nothing was trained.")


def gpus_of(settings: Settings) -> int:
    """GPUs that train one copy of the model after the other: those of the actor, or all."""
    if settings.online:
        actor = settings.arguments.actor
        return int(actor.num_nodes * actor.num_gpus_per_node)
    return int(settings.own["launch.nodes"] * settings.own["launch.gpus_per_node"])


def _batch(settings: Settings) -> Iterator[str]:
    """DeepSpeed's rule, over the GPUs that share no row."""
    train, ds = settings.arguments.train, settings.arguments.ds
    world, shared = gpus_of(settings), ds.ring_attn_size * ds.tensor_parallel_size
    if getattr(train, "dynamic_batch_enable", False):
        return
    step = train.micro_batch_size * world
    if step < 1 or world % shared or train.batch_size * shared % step or not train.batch_size:
        yield (
            f"train.batch_size {train.batch_size} does not divide into micro batches of "
            f"{train.micro_batch_size} over {world} GPU(s), of which {shared} share each row."
        )


def _launch(settings: Settings) -> Iterator[str]:
    for key in ("launch.nodes", "launch.gpus_per_node"):
        if not isinstance(settings.own[key], int) or settings.own[key] < 1:
            yield f"{key} is {settings.own[key]!r}, and no number above 0."


def _online(settings: Settings) -> Iterator[str]:
    given = settings.arguments
    responses = given.rollout.batch_size * given.rollout.n_samples_per_prompt
    if responses % given.train.batch_size:
        yield (
            f"rollout.batch_size x n_samples_per_prompt = {responses} responses are no whole "
            f"number of train.batch_size {given.train.batch_size}."
        )
    new = given.rollout.max_new_tokens
    if new is not None and new >= given.data.max_len:
        yield f"rollout.max_new_tokens {new} leaves no room for a prompt in data.max_len."
    if not given.vllm.num_engines:
        yield "vllm.num_engines is not set, and OpenRLHF generates with vLLM alone."
    if given.train.colocate_all and not given.train.async_enable:
        engines = (given.vllm.num_engines or 0) * given.vllm.tensor_parallel_size
        if engines != gpus_of(settings):
            yield f"the engines take {engines} GPUs, and the model {gpus_of(settings)}: the same."


def asked(settings: Settings) -> int:
    """GPUs that an online run reserves; with fewer it waits without end.

    Source: `train` of train_ppo_ray.py.
    """
    given = settings.arguments
    groups = {
        name: group.num_nodes * group.num_gpus_per_node
        for name, group in (("actor", given.actor), ("ref", given.ref), ("critic", given.critic))
    }
    groups["reward"] = given.reward.num_nodes * given.reward.num_gpus_per_node
    engines = (given.vllm.num_engines or 0) * given.vllm.tensor_parallel_size
    has = {
        "ref": given.algo.kl.init_coef > 0,
        "critic": bool(given.critic.model_name_or_path),
        "reward": not given.reward.remote_url,
    }
    together = given.train.colocate_critic_reward and has["critic"]
    if given.train.colocate_all:
        apart = groups["critic"] if together else 0
        return int(groups["actor"] + apart + (engines if given.train.async_enable else 0))
    wanted = groups["actor"] + engines
    wanted += groups["ref"] if has["ref"] and not given.train.colocate_actor_ref else 0
    wanted += groups["critic"] if has["critic"] else 0
    return int(wanted + (groups["reward"] if has["reward"] and not together else 0))

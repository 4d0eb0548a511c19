"""What would fail, or wait without end, once the GPUs are there."""

import os
import time
import warnings
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rl_rollouts.engine.stored import Rows
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import verl
from rl_rollouts.hub import loading
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.rewards.trial import try_out
from rl_rollouts.survey.forecast import measured
from verl_settings import Settings

UNITS = "transfer_queue.backend.SimpleStorage.num_data_storage_units"
COLOCATED_PROCESSES = 3
"""CPUs of Ray that verl reserves beside each GPU (`ResourcePoolManager.max_colocate_count`)."""
LARGEST_RANK = 512
"""Source: `get_vllm_max_lora_rank`."""
PATIENCE = 600
"""Seconds to wait for the other machines."""


def check_config(settings: Settings) -> None:
    """Let verl validate the config, and see what it would not.

    Raises:
        UserError: when something does not fit.
    """
    from omegaconf import OmegaConf

    trainer = settings.config.trainer
    for name in ("nnodes", "n_gpus_per_node"):
        if not isinstance(trainer[name], int) or trainer[name] < 1:
            raise UserError(f"trainer.{name} is {trainer[name]!r}.", "Write a number above 0.")
    if not settings.online:
        batch, gpus = settings.config.data.train_batch_size, gpus_of(settings)
        if "tensor_model_parallel_size" not in settings.config.engine and batch % gpus:
            raise UserError(
                f"data.train_batch_size {batch} does not divide over {gpus} GPUs.", "Change one."
            )
        return
    from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn, get_policy_loss_fn
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    config = settings.config
    try:
        if config.algorithm.adv_estimator != "gae":
            get_adv_estimator_fn(config.algorithm.adv_estimator)
        get_policy_loss_fn(config.actor_rollout_ref.actor.policy_loss.loss_mode)
        get_reward_manager_cls(config.reward.reward_manager.name)
        omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
        omega_conf_to_dataclass(config.algorithm)
        copy = OmegaConf.create(OmegaConf.to_container(config))
        # Asked of the installed vLLM, which a machine without GPUs does not have.
        copy.actor_rollout_ref.model.lora_rank = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It warns of critics where none is wanted.
            validate_config(
                copy,
                use_reference_policy=need_reference_policy(config),
                use_critic=need_critic(config),
            )
    except Exception as error:  # It calculates with whatever it is given.
        raise UserError(f"verl does not accept the config: {_said(error)}", "Mend it.") from None
    if settings.model.lora_rank > LARGEST_RANK:
        raise UserError(
            f"vLLM takes adapters of rank {LARGEST_RANK} at most.",
            "Lower actor_rollout_ref.model.lora_rank.",
        )
    _check_updates(settings)


def _said(error: Exception) -> str:
    """Hydra wraps what a dataclass of verl says."""
    cause = error.__cause__ or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def _check_updates(settings: Settings) -> None:
    """verl asserts this at the first update, when all prompts were answered."""
    rollout, actor = (settings.config.actor_rollout_ref[name] for name in ("rollout", "actor"))
    shared = 1
    if actor.strategy == "megatron":
        sizes = actor.megatron
        shared = sizes.tensor_model_parallel_size * sizes.pipeline_model_parallel_size
        shared *= sizes.context_parallel_size
    responses, processes = actor.ppo_mini_batch_size * rollout.n, gpus_of(settings) // shared
    if processes < 1 or responses % processes:
        raise UserError(
            f"ppo_mini_batch_size x rollout.n = {responses} responses do not divide over "
            f"{processes} data-parallel GPUs.",
            "Change actor_rollout_ref.actor.ppo_mini_batch_size.",
        )


def gpus_of(settings: Settings) -> int:
    """Of all machines."""
    return int(settings.config.trainer.nnodes * settings.config.trainer.n_gpus_per_node)


def cpus_of(settings: Settings) -> int:
    """CPUs that Ray must have in all, or verl waits for them without a word."""
    from omegaconf import OmegaConf

    units = int(OmegaConf.select(settings.config, UNITS))
    # Beside what each GPU brings: the units, their controller, and the task that drives.
    return COLOCATED_PROCESSES * gpus_of(settings) + units + 2


def check_data(settings: Settings, every: bool) -> None:
    """See that there are enough rows that can be trained on.

    Args:
        every: tokenise all rows of SFT, and print how long they are; else the first ones.
    """
    tokenizer = load_tokenizer(settings)
    config = settings.config
    from omegaconf import OmegaConf

    from verl_data import Conversations, Prompts

    batch = config.data.train_batch_size
    if settings.online:
        _check_reward(settings)
        learned = Prompts(list(config.data.train_files), tokenizer, config.data).found
        count, what = learned.kept, f"prompts of at most {settings.max_length} tokens"
    else:
        rows = Conversations(list(config.data.train_files), tokenizer, config.data)
        count, what = len(rows), "rows"
        learned = _learned(rows, settings, every=every)
    if every:
        settled = OmegaConf.to_container(config) | {"defaults": [settings.root]}
        steps = measured(verl, settled, learned).steps_in_words()
        print(*learned.lines(), *steps, sep="\n")
    if count < batch:
        raise UserError(
            f"There are {count} {what}, and a step takes {batch}: verl would train none.",
            "Prepare more, or lower data.train_batch_size.",
        )
    if settings.online:
        _settle_held_out(settings, tokenizer)
    learned.demand()


def _learned(rows: Any, settings: Settings, *, every: bool) -> Learned:
    """Conversations as verl_data.py makes sequences of them: all, or the first ones."""
    fates: dict[str, Any] = {"right": "cut", "left": "cut at the start", "error": "refused"}
    limit = Limit("data.max_length", settings.max_length, fates[settings.config.data.truncation])
    learned = Learned(rows.chat, rows.tokenizer, limit)
    looked = range(len(rows) if every else min(len(rows), 100))
    for index in tqdm(looked, desc="tokenising", mininterval=1, disable=not every):
        learned.add(f"row {index + 1}", *rows.parts(index))
    return learned


def _settle_held_out(settings: Settings, tokenizer: Any) -> None:
    """verl fails on no held-out prompts, also where it never looks at them: then any will do."""
    from verl_data import Prompts

    data, followed = settings.config.data, settings.config.trainer.test_freq > 0
    if len(Prompts(_files(data.val_files), tokenizer, data)):
        return
    if followed:
        raise UserError(
            "trainer.test_freq is set, and no held-out prompt is left to validate on.",
            "Prepare with a larger --eval_share, or leave test_freq out.",
        )
    data.val_files = data.train_files


def _files(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _check_reward(settings: Settings) -> None:
    """The reward function is there, and tells responses apart."""
    given = settings.config.reward.custom_reward_function
    if not given.path:
        raise UserError(
            "reward.custom_reward_function.path is not set, and verl's own rewards know only names "
            "of public datasets.",
            "Set it to verl_rewards.py.",
        )
    if Path(given.path).name == "verl_rewards.py":
        score = load_score(str(given.reward_kwargs.get("rewards", "rewards:score")))
        rows = Rows(list(settings.config.data.train_files))
        if said := try_out((verl.reward_arguments(row["extra_info"]) for row in rows), score):
            print(said)


def load_tokenizer(settings: Settings) -> Any:
    """As verl loads it, with a padding token."""
    from verl.utils import hf_tokenizer

    name = settings.model.path
    with loading(str(name)):
        tokenizer = hf_tokenizer(name, trust_remote_code=settings.model.trust_remote_code)
    if tokenizer.chat_template is None:
        raise UserError(
            f"The tokenizer of {name} has no chat template.",
            "Take the instruction-tuned model, or put a chat_template.jinja into its folder.",
        )
    return tokenizer


def wait_for_machines(settings: Settings) -> None:
    """Of a cluster that is there (RAY_ADDRESS): until all GPUs have joined.

    Raises:
        UserError: when they do not, or have too few CPUs, for which verl would wait without end.
    """
    import ray

    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    wanted, end = gpus_of(settings), time.monotonic() + PATIENCE
    try:
        while (found := ray.cluster_resources()).get("GPU", 0) < wanted:
            if time.monotonic() > end:
                raise UserError(
                    f"{found.get('GPU', 0):g} of {wanted} GPUs joined the Ray cluster within "
                    f"{PATIENCE} s.",
                    "See the logs of the other machines; `ray status` shows who is there.",
                    exit_code=1,
                )
            time.sleep(2)
        if found.get("CPU", 0) < (needed := cpus_of(settings)):
            raise UserError(
                f"The Ray cluster has {found.get('CPU', 0):g} CPUs, and verl waits for {needed}.",
                f"Start Ray with more (--num-cpus), or lower {UNITS}.",
            )
    finally:
        ray.shutdown()

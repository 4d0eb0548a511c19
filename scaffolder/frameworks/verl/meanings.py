"""What keys of verl's trees mean, in the words of `scaffolder/meaning.py`."""

from scaffolder.frameworks.verl.batches import ACTOR, MINI, ROLLOUT
from scaffolder.meaning import Meanings, Meant, of
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LOSSES = {"token-mean": "token_mean", "seq-mean-token-mean": "response_mean"}
SCHEDULERS = {"constant": "constant", "cosine": "cosine"}
IN_REWARD = {"ppo", "rloo", "reinforce_pp"}
"""Algorithms whose KL term is part of the reward, and not of the loss."""
ONE_RESPONSE = {"ppo", "reinforce_pp"}
"""Algorithms that do not compare the responses to one prompt with each other."""
SUPERVISED = of(global_batch_size="data.train_batch_size", seed="trainer.seed")
ONLINE = of(
    rewards="reward.custom_reward_function.reward_kwargs.rewards",
    rows_with_tools="data.rows_with_tools",
    completion_length="data.max_response_length",
    temperature=f"{ROLLOUT}.temperature",
    top_p=f"{ROLLOUT}.top_p",
    clip_low=f"{ACTOR}.clip_ratio_low",
    clip_high=f"{ACTOR}.clip_ratio_high",
    seed="data.seed",
) | {"global_batch_size": Meant((MINI, f"{ROLLOUT}.n"))}


def meanings(spec: ProjectSpec) -> Meanings:
    online = spec.algorithm not in OFFLINE
    at, model = (ACTOR, "actor_rollout_ref.model") if online else ("", "model")
    found = _optimizer(f"{at}.optim".lstrip("."), megatron=spec.sharding == "megatron")
    found |= of(
        run_name="trainer.experiment_name",
        output="trainer.default_local_dir",
        save_steps="trainer.save_freq",
    )
    if spec.tuning == "lora":
        found |= of(lora_rank=f"{model}.lora_rank", lora_alpha=f"{model}.lora_alpha")
    if not online:
        return found | SUPERVISED
    in_reward = spec.algorithm in IN_REWARD
    found |= of(
        kl_coefficient="algorithm.kl_ctrl.kl_coef" if in_reward else f"{ACTOR}.kl_loss_coef"
    )
    if spec.algorithm == "grpo":
        found["loss"] = Meant((f"{ACTOR}.loss_agg_mode",), words=LOSSES)
    if spec.algorithm == "ppo":
        found |= of(critic_learning_rate="critic.optim.lr")
    compared = {} if spec.algorithm in ONE_RESPONSE else of(num_generations=f"{ROLLOUT}.n")
    return found | ONLINE | compared


def _optimizer(at: str, *, megatron: bool) -> dict[str, Meant]:
    scheduler = "lr_decay_style" if megatron else "lr_scheduler_type"
    found = of(
        warmup=f"{at}.lr_warmup_steps_ratio",
        weight_decay=f"{at}.weight_decay",
        max_grad_norm=f"{at}.clip_grad",
    )
    return found | {"scheduler": Meant((f"{at}.{scheduler}",), words=SCHEDULERS)}

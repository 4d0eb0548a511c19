"""What OpenRLHF's flags mean, in the words of `scaffolder/meaning.py`."""

from scaffolder.meaning import Meanings, Meant, of
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LOSSES = {"token-mean": "token_mean", "seq-mean-token-mean": "response_mean"}
SCHEDULERS = {"constant_with_warmup": "constant", "cosine": "cosine", "linear": "linear"}
ONE_RESPONSE = {"ppo", "reinforce_pp"}
"""Algorithms that do not compare the responses to one prompt with each other."""
OFTEN = of(
    global_batch_size="train.batch_size",
    output="output_dir",
    run_name="logger.wandb.run_name",
    save_steps="ckpt.save_steps",
    seed="train.seed",
)
ONLINE = of(
    rewards="rewards",
    rows_with_tools="rows_with_tools",
    completion_length="rollout.max_new_tokens",
    temperature="rollout.temperature",
    top_p="rollout.top_p",
    kl_coefficient="algo.kl.init_coef",
)
ADAPTERS = of(lora_rank="ds.lora.rank", lora_alpha="ds.lora.alpha")


def meanings(spec: ProjectSpec) -> Meanings:
    online = spec.algorithm not in OFFLINE
    at = "actor." if online else ""
    found = OFTEN | of(
        warmup=f"{at}lr_warmup_ratio",
        weight_decay=f"{at}adam.weight_decay",
        max_grad_norm=f"{at}max_norm",
    )
    found["scheduler"] = Meant((f"{at}lr_scheduler",), words=SCHEDULERS)
    if spec.tuning == "lora":
        found |= ADAPTERS
    if spec.algorithm == "dpo":
        found |= of(kl_coefficient="model.beta")
    if not online:
        return found
    if spec.algorithm == "grpo":
        found["loss"] = Meant(("actor.loss_agg_mode",), words=LOSSES)
    compared = of(num_generations="rollout.n_samples_per_prompt")
    critic = of(critic_learning_rate="critic.adam.lr")
    found |= ONLINE | ({} if spec.algorithm in ONE_RESPONSE else compared)
    return found | (critic if spec.algorithm == "ppo" else {})

"""What a run with verl has where nothing was chosen."""

from scaffolder.plan import Details
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LEARNING_RATES = {"sft": 1e-5}
ONLINE_LEARNING_RATE = 1e-6
ADAPTER_LEARNING_RATE = 10
"""Times that of all weights."""
KL_COEFFICIENTS = {"grpo": 0.0, "dapo": 0.0, "gspo": 0.0}
KL_COEFFICIENT = 0.001
"""Of the others that generate: verl's default, in the reward. Above 0 a frozen copy of the model is
kept, unless that is the model without its adapter."""
LORA_RANK = 32


def learning_rate(spec: ProjectSpec) -> float:
    rate = LEARNING_RATES.get(spec.algorithm, ONLINE_LEARNING_RATE)
    return round(rate * (1 if spec.tuning == "full" else ADAPTER_LEARNING_RATE), 9)


def details(spec: ProjectSpec) -> Details:
    """What else has a common name."""
    online = spec.algorithm not in OFFLINE
    return Details(
        scheduler="constant" if online else "cosine",
        warmup=0.03,
        kl_coefficient=KL_COEFFICIENTS.get(spec.algorithm, KL_COEFFICIENT) if online else None,
        loss="token_mean" if spec.algorithm == "grpo" else None,
        temperature=1.0 if online else None,
        lora_rank=None if spec.tuning == "full" else LORA_RANK,
        save_steps=20 if online else 100,  # a step of an online algorithm takes minutes
        eval_steps=20 if online else 0,
        seed=42 if online else None,
    )

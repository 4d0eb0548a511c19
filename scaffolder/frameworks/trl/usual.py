"""What a run with TRL has where nothing was chosen."""

from scaffolder.plan import Details
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LEARNING_RATES = {
    "sft": 1e-5,
    "dpo": 1e-6,
    "kto": 1e-6,
    "rm": 1e-5,
    "grpo": 1e-6,
    "rloo": 1e-6,
    "dapo": 1e-6,
    "gspo": 1e-6,
}
ADAPTER_LEARNING_RATE = 10
"""Times that of all weights. Source: TRL's guide to PEFT."""
KL_COEFFICIENTS = {
    "dpo": 0.1,
    "kto": 0.1,
    "grpo": 0.0,
    "rloo": 0.001,
    "dapo": 0.0,
    "gspo": 0.0,
}
"""TRL's defaults for beta, but for rloo (docs/defaults.md). Above 0 a frozen copy of the model is
kept, unless that is the model without its adapter."""
LORA_RANK = 16
"""TRL's default."""


def learning_rate(spec: ProjectSpec) -> float:
    times = 1 if spec.tuning == "full" else ADAPTER_LEARNING_RATE
    return round(LEARNING_RATES[spec.algorithm] * times, 9)


def details(spec: ProjectSpec) -> Details:
    """What else has a common name."""
    online = spec.algorithm not in OFFLINE
    return Details(
        scheduler="constant" if online else "cosine",
        warmup=0.03,
        kl_coefficient=KL_COEFFICIENTS.get(spec.algorithm),
        loss="token_mean" if spec.algorithm == "grpo" else None,
        temperature=1.0 if online else None,
        lora_rank=None if spec.tuning == "full" else LORA_RANK,
        save_steps=20 if online else 100,  # a step of an online algorithm takes minutes
        eval_steps=20 if online else 0,
        seed=42,
    )


def kl_coefficient(spec: ProjectSpec) -> float:
    """Chosen or usual; 0 where there is no KL term."""
    usual = KL_COEFFICIENTS.get(spec.algorithm, 0.0)
    return usual if spec.kl_coefficient is None else spec.kl_coefficient

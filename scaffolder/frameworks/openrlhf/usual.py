"""What a run with OpenRLHF has where nothing was chosen."""

from scaffolder.plan import Details
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LEARNING_RATES = {"sft": 1e-5, "dpo": 1e-6, "rm": 9e-6}
ONLINE_LEARNING_RATE = 1e-6
ADAPTER_LEARNING_RATE = 10
"""Times that of all weights."""
KL_COEFFICIENTS = {"dpo": 0.1, "grpo": 0.0, "dapo": 0.0, "gspo": 0.0}
KL_COEFFICIENT = 0.001
"""Of the others that generate, in the reward. Above 0 a frozen copy of the model is kept."""
LORA_RANK = 16


def learning_rate(spec: ProjectSpec) -> float:
    rate = LEARNING_RATES.get(spec.algorithm, ONLINE_LEARNING_RATE)
    return round(rate * (1 if spec.tuning == "full" else ADAPTER_LEARNING_RATE), 9)


def details(spec: ProjectSpec) -> Details:
    """What else has a common name."""
    online = spec.algorithm not in OFFLINE
    return Details(
        scheduler="constant" if online else "cosine",
        warmup=0.03,
        kl_coefficient=KL_COEFFICIENTS.get(spec.algorithm, KL_COEFFICIENT if online else None),
        loss="token_mean" if spec.algorithm == "grpo" else None,
        temperature=1.0 if online else None,
        lora_rank=None if spec.tuning == "full" else LORA_RANK,
        save_steps=20 if online else 100,  # a step of an online algorithm takes minutes
        eval_steps=20 if online else 0,
        seed=42,
    )


def kl_coefficient(spec: ProjectSpec) -> float:
    """Chosen or usual; 0 where there is no KL term."""
    usual = details(spec).kl_coefficient
    return (usual or 0.0) if spec.kl_coefficient is None else spec.kl_coefficient

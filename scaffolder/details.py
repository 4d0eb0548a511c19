"""What of a run was chosen under a name that every framework shares: what is usual gives way to it,
and what a framework does not have is refused."""

from collections.abc import Iterator

from scaffolder import spec as specs
from scaffolder.batches import HELD_OUT
from scaffolder.plan import TrainingRun
from scaffolder.spec import DETAILS, ProjectSpec
from scaffolder.trainer import Trainer
from scaffolder.vocabulary import OFFLINE

LEARN_THROUGH_KL = {"dpo", "kto"}
"""Algorithms whose loss is a constant where the KL coefficient is 0."""
SAMPLING = ("num_generations", "completion_length", "generation_gpus", "thinking")
"""Answers that only say how responses are made."""


def chosen(spec: ProjectSpec, trainer: Trainer) -> TrainingRun:
    """What is usual, and over it what was chosen."""
    answers = {name: getattr(spec, name) for name in DETAILS}
    said = {name: value for name, value in answers.items() if value is not None}
    return trainer.training.model_copy(update=said)


def refused(spec: ProjectSpec, trainer: Trainer) -> Iterator[str]:
    """Why what was chosen cannot be had here, each with what to do."""
    for name in DETAILS:
        value = getattr(spec, name)
        if value is not None and getattr(trainer.training, name) is None:
            why = trainer.unavailable.get(name) or _missing(name, spec)
            yield f"{name} = {value}: {why}; leave it out (--set {name}=null)"
    if spec.scheduler and trainer.training.scheduler and spec.scheduler not in trainer.schedulers:
        offered = ", ".join(trainer.schedulers)
        yield f"scheduler = {spec.scheduler}: {spec.framework} has {offered} here"
    if spec.kl_coefficient == 0 and spec.algorithm in LEARN_THROUGH_KL:
        yield f"kl_coefficient = 0: {spec.algorithm} learns only through it; 0.1 is usual"
    if trainer.whole_epochs and spec.epochs != int(spec.epochs):
        yield f"epochs = {spec.epochs:g}: {spec.framework} counts whole epochs"


def _missing(name: str, spec: ProjectSpec) -> str:
    if name == "lora_rank" and spec.tuning == "full":
        return "all weights are trained, and no adapter; --tuning lora has one"
    if name == "temperature" and spec.algorithm in OFFLINE:
        return f"{spec.algorithm} generates nothing"
    if name == "loss":
        return f"only grpo has it; what the loss of {spec.algorithm} is a mean over is part of it"
    if name == "kl_coefficient":
        return f"{spec.algorithm} of {spec.framework} has no KL term"
    return f"{spec.framework} has no such setting for {spec.algorithm}"


def unused(spec: ProjectSpec, trainer: Trainer) -> Iterator[str]:
    """What was chosen and has no effect, a sentence each."""
    said = [name for name in SAMPLING if getattr(spec, name) != specs.default(name)]
    if said and spec.algorithm in OFFLINE:
        yield f"{spec.algorithm} generates nothing: {', '.join(said)} has no effect."
    elif "num_generations" in said and trainer.responses not in {None, spec.num_generations}:
        words = f"{spec.algorithm} takes {trainer.responses} response to a prompt"
        yield f"{words}: num_generations has no effect."


def followed(spec: ProjectSpec, trainer: Trainer, responses: int) -> Iterator[str]:
    """What it costs to follow held-out prompts.

    Args:
        responses: of an optimizer step.
    """
    each = chosen(spec, trainer).eval_steps
    if each:
        share = 100 * HELD_OUT / each / responses
        yield (
            f"Each {each} steps at most {HELD_OUT} held-out prompts are answered too, up to "
            f"{share:.2g} % more responses; --set eval_steps=0 leaves them out."
        )

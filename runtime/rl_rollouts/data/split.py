"""Which prompts are held out for evaluation."""

from .rollout import Rollout
from .same import prompt_hash


def held_out(rollout: Rollout, share: float) -> bool:
    """Whether the prompt of a rollout is on the held-out side.

    A pure function of what it says: no prompt is ever on both sides, whatever tasks it stands in
    and whatever the order of the input, and it stays where it is when others are added.
    """
    return prompt_hash(rollout) < share * 2**64

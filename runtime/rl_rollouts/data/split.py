"""Which prompts are held out for evaluation."""

from collections.abc import Sequence

from .rollout import Message
from .same import hash_of_same


def held_out(prompt: Sequence[Message], share: float) -> bool:
    """Whether a prompt is on the held-out side.

    A pure function of what it says: no prompt is ever on both sides, whatever tasks it stands in
    and whatever the order of the input, and it stays where it is when others are added.
    """
    return hash_of_same(prompt) < share * 2**64

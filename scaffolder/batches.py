"""How many rows make an optimizer step where nothing was chosen."""

from scaffolder.numbers import round_up

ROWS = 32
RESPONSES = 256
"""Of an online algorithm, at least. Published recipes of GRPO update with 256 prompts x 5 responses
and more."""
RESPONSES_OF_A_GPU = 32
"""At least: with fewer it waits more than it computes."""
HELD_OUT = 256
"""Held-out prompts that are answered at an evaluation while training, at most, once each."""


def rows_of_a_step(step: int) -> int:
    """A multiple of what all GPUs take at once."""
    return round_up(ROWS, step)


def responses_of_a_step(gpus: int, step: int) -> int:
    """The same in whole groups of responses: it grows with the GPUs that train."""
    return round_up(max(RESPONSES, RESPONSES_OF_A_GPU * gpus), step)

"""Keep the rollouts worth training on.

    python filter_rollouts.py --input rollouts.jsonl --output filtered.jsonl --min_reward 0.7

Kept lines are copied byte for byte. Lines that cannot be used go to rejected.jsonl beside the
output, with file, line, byte offset and reason; one table says how many each rule removed.
"""

from rl_rollouts.commands import filter_command
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run


def keep(rollout: Rollout) -> bool:
    """Whether a rollout stays, beside the rules of the command line (--help). It has a prompt, a
    completion, a reward, tools, metadata and more: see Rollout."""
    return True


if __name__ == "__main__":
    run(lambda: filter_command(__doc__, keep=keep))

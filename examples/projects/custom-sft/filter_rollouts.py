"""Keep the rollouts worth training on.

    python filter_rollouts.py --input rollouts.jsonl --output filtered.jsonl --min_reward 0.7

Kept lines are copied byte for byte. Lines that cannot be used go to rejected.jsonl beside the
output, with file, line and reason.
"""

from dataprep.commands import clean_up_when_terminated, options_of, parser_of
from dataprep.errors import run
from dataprep.filter import Rules
from dataprep.pipeline import filter_rollouts


def main() -> None:
    clean_up_when_terminated()
    parser = parser_of(__doc__)
    parser.add_argument("--min_reward", type=float, help="lowest reward that is kept")
    parser.add_argument("--max_reward", type=float, help="highest reward that is kept")
    parser.add_argument("--agents", nargs="+", default=[], help="names of agents to keep")
    parser.add_argument("--keep_truncated", action="store_true", help="cut off at the token limit")
    parser.add_argument("--keep_masked", action="store_true", help="masked by the environment")
    parser.add_argument("--keep_failed", action="store_true", help="failed in the environment")
    arguments = parser.parse_args()
    rules = Rules(
        min_reward=arguments.min_reward,
        max_reward=arguments.max_reward,
        agents=tuple(arguments.agents),
        keep_truncated=arguments.keep_truncated,
        keep_masked=arguments.keep_masked,
        keep_failed=arguments.keep_failed,
    )
    filter_rollouts(options_of(arguments), rules)


if __name__ == "__main__":
    run(main)

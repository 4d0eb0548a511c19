"""What can go wrong, with what to do about it.

UserError       the user can mend it; printed without a traceback
Unusable        one rollout is set aside
  Unreadable    its line is no JSON object
"""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can mend. `exit_code` is 2 for wrong input, 1 for a failed run."""

    def __init__(self, problem: str, remedy: str, *, exit_code: int = 2) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.exit_code = exit_code


class Unusable(Exception):
    """One rollout that cannot be trained on; the message is the reason in `rejected.jsonl`."""


class Unreadable(Unusable):
    """A line that is no JSON object. Many of them mean that the file is not what it should be."""


def run(main: Callable[[], None]) -> None:
    """Call a script's main function; print what the user can mend without a traceback."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)

"""What can go wrong, with what to do about it.

UserError       the user can mend it; printed without a traceback
Unusable        one line is left out, with the reason
  Damaged       it is no rollout: not JSON, of another form, without a reward
  SetAside      it is one, but training on it as it stands would teach something false
"""

import sys
from collections.abc import Callable
from functools import partial


class UserError(Exception):
    """Something the user can mend. `exit_code` is 2 for wrong input, 1 for a failed run."""

    def __init__(self, problem: str, remedy: str, *, exit_code: int = 2) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        """As other processes send it here."""
        return partial(UserError, exit_code=self.exit_code), (self.problem, self.remedy)


class Unusable(Exception):
    """One line that cannot be trained on; the message is the reason in `rejected.jsonl`."""


class Damaged(Unusable):
    """A line that is no rollout. Many of them mean that the file is not what it should be."""


class SetAside(Unusable):
    """A rollout that does not say what the model saw, or not in text. An option may keep it."""


NO_REWARD = "no reward, which is needed here (--reward_key names it, --reward gives one)"
"""Why nothing is made of a rollout where rewards decide."""


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

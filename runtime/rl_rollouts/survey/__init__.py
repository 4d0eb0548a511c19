"""What a stream of rollouts holds, in bounded memory.

`look.py` reads, `survey.py` counts, with `tasks.py`, `uses.py`, `names.py` and `content.py`;
`summary.py` says what was counted, `findings.py` what of it matters. `spread.py` holds numbers,
`bounded.py` what has names or hashes, `samples.py` the rollouts that are shown to a person. Nothing
of this depends on the order of the rollouts, nor on how surveys of parts are merged.

`foreign.py` says what a file is that holds none, `forecast.py` what a trainer will do with the rows
that were made of them.
"""

from .findings import Finding, findings
from .summary import Summary
from .survey import SOLVED_FROM, Survey

__all__ = ["SOLVED_FROM", "Finding", "Summary", "Survey", "findings"]

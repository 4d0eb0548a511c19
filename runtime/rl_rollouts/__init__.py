"""What every project does and nobody edits, called from the project's own scripts.

    errors.py values.py config.py http_json.py hub.py installed.py
                   the ground, on the standard library alone

    data/          one line becomes a rollout, and a rollout becomes rows: pure functions
    engine/        that over files of any size: several processes, Ray, runs that go on
    frameworks/    one file each: its rows, its names in logs, what its checkpoints look like
    models/        folders of models, weights in parts, export, which tokens are learned
    rewards/       rewards to choose from, and one strict way to call one
    evaluation/    responses of models, scored and compared
    smoke/         the tiny model of `make smoke`, and whether it learned
    survey/        what rollouts hold, in bounded memory
    report/        the same as a web page; the curves of a run

    pipeline.py    filter and prepare, from beginning to end
    commands.py    their command lines, with kinds.py for the rows of each kind
    validate.py    whether rows are as schemas/ says
    trainers.py    what a trainer of one's own is

A room imports those above it, and none below it. Each has a map of its own in its `__init__.py`.
Whatever touches files stands in `engine/`; the rest are plain functions over the types of
`data/rollout.py`, and each can be replaced by one of a project's own.
"""

import os
import sys

__version__ = "0.2.0"

if not (sys.stderr and sys.stderr.isatty()):
    # No bars in a log, also none of transformers and datasets: tqdm reads it when it is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")

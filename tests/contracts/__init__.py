"""What each framework itself says to what we render, in an environment of its own.

`make contracts` runs `python -m contracts`: for each folder here an environment with the exact pins
of the adapter, and the folder's `test_*.py` in it. A folder's `__init__.py` says, all optional:

    PACKAGES        names of the adapter's requirements that its tests need, where not all
    REQUIREMENTS    what its tests need beside the adapter's pins
    ENVIRONMENT     variables for pip and for the tests
    NOT_RUN         what cannot be run on a machine without GPUs, and why

Its `extract.py` has `extract()`, which gives the config schema (`make schemas`).
"""

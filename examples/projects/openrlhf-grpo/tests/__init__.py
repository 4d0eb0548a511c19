"""A package, so that no other one called `tests` is found instead; some packages install one."""

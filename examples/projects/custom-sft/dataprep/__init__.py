"""From rollouts to training data.

    read -> normalise -> filter -> group by task -> build -> split -> write

`rollout.py` holds the types, `normalise.py` and `responses.py` turn a NeMo Gym record into them,
`filter.py`, `build.py` and `split.py` are pure functions over them, and `read.py`, `group.py`,
`write.py` and `manifest.py` touch files. `pipeline.py` puts them in order.
"""

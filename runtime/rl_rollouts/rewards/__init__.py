"""How good a response is. All but `check.py` and `recorded.py` need only the standard library, so
that a reward runs in any container.

    ready.py      rewards to choose from in rewards.py          gym.py          those of NeMo Gym
    environments.py   classes whose methods are tools of online training
    checked.py    one strict way to call a reward function
    trial.py      whether it tells responses to the rows of a run apart
    check.py      `make rewards`: how well it gives the recorded rewards
    recorded.py   recorded rollouts as a reward function sees them
"""

"""verl: reinforcement learning at scale."""

from scaffolder.frameworks.verl.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]

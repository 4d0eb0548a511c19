"""The adapter of OpenRLHF."""

from scaffolder.frameworks.openrlhf.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]

"""A trainer of one's own."""

from scaffolder.frameworks.custom.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]

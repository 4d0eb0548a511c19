"""TRL: the trainers of the Hugging Face ecosystem."""

from scaffolder.frameworks.trl.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]

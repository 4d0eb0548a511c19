"""Render complete training projects for post-training language models."""

__version__ = "0.2.0"

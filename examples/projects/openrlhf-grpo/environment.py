"""An environment for online training over several turns: tools that run, and a reward at the end.

    environment: environment:Shop        # in openrlhf_config.yaml

One object is made for each response; `reset` gets the row. All other public methods are shown to
the model as tools (names, types and docstrings become the schemas), and its calls are run
(openrlhf_agent.py). Without a `get_reward`, the reward is that of rewards.py on what the model
wrote last. This one is the corner shop of the sample rollouts; write yours in its place.
"""

from typing import Any

PRICES = {"apple": 3, "bread": 4, "cheese": 9, "coffee": 7, "lamp": 25, "soap": 2, "tea": 5}


class Shop:
    """One visit."""

    def reset(self, **row: Any) -> None:
        """Begin with a row of the training data: task, prompt, ground_truth, metadata."""
        self.task = row["task"]

    def price_of(self, item: str) -> int:
        """
        Price of one item in coins.

        Args:
            item: The name of the item.
        """
        if item not in PRICES:
            raise ValueError(f"there is no {item} here")
        return PRICES[item]

    def multiply(self, a: int, b: int) -> int:
        """
        Product of two numbers.

        Args:
            a: The first number.
            b: The second number.
        """
        return a * b

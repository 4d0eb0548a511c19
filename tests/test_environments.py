"""What a model's calls of an environment's tools give, and what is shown of the tools."""

from typing import Any

import pytest

from rl_rollouts.errors import UserError
from rl_rollouts.rewards.environments import called, load_environment, results, tools_in


class Shop:
    """One visit."""

    def reset(self, **_: Any) -> None:
        """Begin."""

    def get_reward(self) -> float:
        """What it was worth."""
        return 1.0

    def price_of(self, item: str) -> int:
        """Price of an item."""
        return {"apple": 3}[item]

    def list_all(self) -> list[str]:
        """What there is."""
        return ["apple"]

    def _hidden(self) -> str:
        return "secret"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "price_of", "arguments": {"item": "apple"}}', "3"),
        ('{"name": "list_all"}', '["apple"]'),
        ('{"name": "price_of", "arguments": {"item": "pear"}}', "error: 'pear'"),
        ('{"name": "price_of", "arguments": {"thing": 1}}', "error: Shop.price_of() got an"),
        ('{"name": "_hidden"}', "error: there is no tool _hidden"),
        ('{"name": "reset"}', "error: there is no tool reset"),
        ('{"name": "get_reward"}', "error: there is no tool get_reward"),
        ('{"arguments": {}}', "error: this is no call"),
        ("[1]", "error: this is no call"),
        ("{", "error: this is no call"),
    ],
)
def test_a_call_gives_its_result_or_says_what_is_wrong(text: str, said: str) -> None:
    assert called(Shop(), text).startswith(said)


def test_tools_are_the_public_methods() -> None:
    assert tools_in(Shop) == ["list_all", "price_of"]


@pytest.mark.parametrize("name", ["nowhere:Shop", "rl_rollouts.errors:Shop", "rl_rollouts.errors"])
def test_an_environment_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match="There is no environment"):
        load_environment(name)


class Tokenizer:
    """As much of one as is asked."""

    eos_token = "<end>"

    def __init__(self, *, tools: bool) -> None:
        self.tools = tools

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        kept = [each for each in messages if self.tools or each["role"] != "tool"]
        return "".join(f"[{each['role']}]{each['content']}<end>" for each in kept) + "[assistant]"


def test_results_stand_between_two_answers() -> None:
    said = results(Tokenizer(tools=True), ["3", "4"])
    assert said == "[tool]3<end>[tool]4<end>[assistant]", "the answer's end is the model's own"
    with pytest.raises(UserError, match="does not write the results"):
        results(Tokenizer(tools=False), ["3"])

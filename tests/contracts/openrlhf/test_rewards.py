"""Our reward file and agent file in OpenRLHF's own executors, with a model that is scripted."""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openrlhf.utils.agent import SingleTurnAgentExecutor

import openrlhf_rewards
from contracts.openrlhf.conftest import ONLINE, OPENRLHF
from families import QWEN3, with_template
from rl_rollouts.rewards.environments import shown_tools

PROMPT = [{"role": "user", "content": "What do two apples cost?"}]


class Scripted:
    """An engine whose answers are known, as token ids that end as vLLM's do."""

    def __init__(self, tokenizer: Any, *answers: str) -> None:
        self.tokenizer, self.answers = tokenizer, list(answers)
        self.seen: list[str] = []

    async def generate(self, prompt: list[int], *_: Any, **__: Any) -> Any:
        self.seen.append(self.tokenizer.decode(prompt))
        text = self.answers.pop(0)
        ids = [*self.tokenizer(text)["input_ids"], self.tokenizer.eos_token_id]
        made = SimpleNamespace(token_ids=ids, text=text, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[made])


def label(**more: Any) -> str:
    row: dict[str, Any] = {
        "task": "t",
        "prompt": PROMPT,
        "tools": None,
        "ground_truth": 6,
        "metadata": {},
    }
    return json.dumps({**row, "end": ["<|im_end|>"], "rewards": "rewards:score", **more})


@pytest.fixture
def tokenizer(model: Path) -> Any:
    return with_template(model, QWEN3)


def executed(executor: Any, tokenizer: Any, label: str, *answers: str) -> tuple[Any, Scripted]:
    tools = shown_tools("environment:Shop")
    prompt = tokenizer.apply_chat_template(
        PROMPT, tools=tools, tokenize=False, add_generation_prompt=True
    )
    engine, sampling = Scripted(tokenizer, *answers), SimpleNamespace(max_tokens=64, logprobs=None)
    given = (prompt, label, sampling, 4096, tokenizer, engine)
    return asyncio.run(executor.execute(*given)), engine


def single() -> Any:
    return SingleTurnAgentExecutor([str(OPENRLHF / "openrlhf_rewards.py")])


def agent() -> Any:
    """As OpenRLHF loads it."""
    import importlib.util

    path = ONLINE / "openrlhf_agent.py"
    spec = importlib.util.spec_from_file_location("agent_module", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AgentExecutor()


@pytest.mark.parametrize(("answer", "reward"), [("<think>7</think>It is 6.", 1.0), ("7", 0.0)])
def test_a_response_gets_the_reward_of_rewards_py(
    answer: str, reward: float, tokenizer: Any
) -> None:
    for executor in (single(), agent()):
        done, _ = executed(executor, tokenizer, label(), answer)
        assert float(done["reward"]) == float(done["scores"]) == reward


def test_tools_run_over_several_turns(tokenizer: Any) -> None:
    call = '<tool_call>\n{"name": "price_of", "arguments": {"item": "apple"}}\n</tool_call>'
    wrong = '<tool_call>\n{"name": "steal", "arguments": {}}\n</tool_call>'
    answers = (f"I look.\n{call}", wrong, "They cost 6.")
    done, engine = executed(agent(), tokenizer, label(environment="environment:Shop"), *answers)
    assert done["reward"] == 1.0 and len(done["action_ranges"]) == 3
    assert "price_of" in engine.seen[0], "the tools are shown"
    assert "<|im_start|>tool\n3<|im_end|>" in engine.seen[1]
    assert "error: there is no tool steal" in engine.seen[2]
    assert engine.seen[1].count("<|im_end|>\n<|im_start|>tool") == 1, "the turn ends once"
    told = [tokenizer.decode(done["observation_tokens"][a:b]) for a, b in done["action_ranges"]]
    assert [each.removesuffix("<|im_end|>") for each in told] == list(answers)


@pytest.mark.parametrize("body", ["1 / 0", "return 'good'", "return float('nan')"])
def test_a_reward_that_fails_ends_the_run(
    body: str, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenRLHF catches every Exception there, and goes on with no reward."""
    name = f"broken_{abs(hash(body))}"
    text = f"def score(prompt, response, ground_truth, metadata):\n    {body}\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for executor in (single(), agent()):
        with pytest.raises(BaseException, match="broken_") as raised:
            executed(executor, tokenizer, label(rewards=name), "6")
        assert not isinstance(raised.value, Exception)
    del sys.path[0]


def test_a_label_that_is_none_of_ours_ends_the_run(tokenizer: Any) -> None:
    with pytest.raises(BaseException, match="can be asked with"):
        executed(single(), tokenizer, "42", "6")
    with pytest.raises(openrlhf_rewards.RewardFailed, match="does not give a prompt back"):
        openrlhf_rewards.reward_func(["other text"], ["prompt"], [label()])


@pytest.mark.alone
def test_what_a_reward_raises_comes_through_ray(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engines are asynchronous actors of Ray; the trainer asks them with ray.get."""
    import ray

    (tmp_path / "broken.py").write_text("def score(a, b, c, d):\n    raise ValueError('boom')\n")
    variables = {"PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])}
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    ray.init(num_cpus=1, runtime_env={"env_vars": variables}, include_dashboard=False)
    try:

        @ray.remote
        class Engine:
            async def respond(self, path: str, text: str) -> Any:
                executor = SingleTurnAgentExecutor([path])
                await asyncio.sleep(0)
                (found,) = await executor._fetch_rewards_via_func(["p6"], ["p"], [text])
                return found

        engine: Any = Engine.remote()  # type: ignore[attr-defined]
        path = str(OPENRLHF / "openrlhf_rewards.py")
        with pytest.raises(ray.exceptions.RayError) as raised:
            ray.get(engine.respond.remote(path, label(rewards="broken:score")), timeout=120)
        assert "boom" in str(raised.value)
    finally:
        ray.shutdown()

"""`rewards.py` through verl's own loader and reward managers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from verl import DataProto

import verl_data
from contracts.rendering import variant
from contracts.verl.conftest import VERL, prepared
from verl_checks import load_tokenizer
from verl_settings import read


@pytest.mark.parametrize(("algorithm", "manager"), [("grpo", "naive"), ("dapo", "dapo")])
def test_a_response_gets_the_reward_of_rewards_py(
    algorithm: Any, manager: str, model: Path, tmp_path: Path
) -> None:
    from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls

    rows = prepared(tmp_path, "prompts")
    config = variant("verl", algorithm, model=str(model)).config().replace("refuse", "drop")
    (tmp_path / "c.yaml").write_text(config)
    settings = read(tmp_path / "c.yaml", rows)
    assert settings.config.reward.reward_manager.name == manager
    assert settings.config.reward.custom_reward_function.path == str(VERL / "verl_rewards.py")
    tokenizer = load_tokenizer(settings)
    row = verl_data.Prompts(
        list(settings.config.data.train_files), tokenizer, settings.config.data
    )[0]
    truth = row["reward_model"]["ground_truth"]
    compute = get_custom_reward_fn(settings.config)

    async def rewarded(answer: str) -> Any:
        """As the reward loop does it: for one response, with what its row had."""
        made = resolve_reward_manager_cls(settings.config)(
            config=settings.config, tokenizer=tokenizer, compute_score=compute
        )
        ids = torch.tensor([tokenizer.encode(answer)])
        data = DataProto.from_dict(
            tensors={"responses": ids, "attention_mask": torch.ones_like(ids)},
            non_tensors={
                name: [row[name]] for name in ("data_source", "reward_model", "extra_info")
            },
        )
        return await made.run_single(data)

    right = asyncio.run(rewarded(f"<think>maybe 7?</think>It is {truth}."))
    wrong = asyncio.run(rewarded("I cannot say"))
    assert (right["reward_score"], wrong["reward_score"]) == (1.0, 0.0)
    assert right["reward_extra_info"]["acc"] == 1.0, "by which dapo chooses prompts"


def test_the_toy_reward_is_that_of_the_project(tmp_path: Path) -> None:
    """verl installs a package called `tests` of its own, which would be found first."""
    import importlib.util

    assert importlib.util.find_spec("verl") is not None
    import subprocess
    import sys

    from contracts.environment import variables
    from contracts.verl.conftest import BASE, LIBRARY

    words = "import verl_rewards; print(verl_rewards.load_score('rl_rollouts.smoke.toy').__doc__)"
    environment = {**variables("verl"), "PYTHONPATH": f"{VERL}:{LIBRARY.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", words], cwd=BASE, env=environment, text=True, capture_output=True
    )
    assert "a little more of the right letters" in done.stdout, done.stderr

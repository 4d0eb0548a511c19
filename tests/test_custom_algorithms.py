"""dpo and grpo of the custom trainer, packing, chunks, and all of it against TRL."""

import math
import shutil
from array import array
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from custom_data import Example, Item, collate, forward_passes
from custom_loss import LOSSES
from custom_model import Policy, World, check_policy
from custom_runs import (
    Custom,
    assistant,
    log,
    losses,
    pair_row,
    prompt_row,
    torchrun,
    user,
    write_rows,
)
from custom_settings import Settings
from rl_rollouts.errors import UserError

pytestmark = pytest.mark.long
ALONE = World(0, 1, torch.device("cpu"))


def settings(**keys: Any) -> Settings:
    return Settings(model_name_or_path="m", output_dir=Path(), **keys)


def item(*lengths: int) -> Item:
    return tuple(Example(array("i", range(1, n + 1)), bytes([0] + [1] * (n - 1))) for n in lengths)


# Packing


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("lengths", [[5] * 8, [60, 1, 1, 1, 30, 30, 2, 60], [64] * 8])
def test_packing_loses_nothing_and_keeps_all_processes_busy(
    lengths: list[int], processes: int
) -> None:
    items = [item(n) for n in lengths]
    for micro in (1, 2):
        options = settings(global_batch_size=8, max_length=64, packing=True, micro_batch_size=micro)
        shares = [forward_passes(items, options, rank, processes) for rank in range(processes)]
        assert len({len(share) for share in shares}) == 1
        passes = [part for share in shares for part in share]
        assert all(passes)
        assert sorted(id(each) for part in passes for each in part) == sorted(map(id, items))
        assert max(sum(len(each.tokens) for (each,) in part) for part in passes) <= 64 * micro
        fewest = processes * math.ceil(sum(lengths) / 64 / micro / processes)
        assert len(passes) == fewest or max(lengths) > 32


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_sequences_do_not_see_each_other(
    tiny_qwen: Path, attention: str, window: int | None
) -> None:
    """Also where attention reaches back only some tokens."""
    layers = ["full_attention", "sliding_attention"] if window else ["full_attention"] * 2
    near = {"use_sliding_window": bool(window), "sliding_window": window, "layer_types": layers}
    load = partial(AutoModelForCausalLM.from_pretrained, tiny_qwen, **near)
    policy = Policy(load(attn_implementation=attention), settings(loss_chunk=0, packing=True))
    assert policy.apart == (attention == "sdpa")
    items = [item(7), item(12), item(5), item(9)]
    together = policy(collate(items, settings(packing=True)))
    model = load(attn_implementation="eager")
    alone = [each for one in items for each in reference(model, one)]
    assert len(alone) == 6 + 11 + 4 + 8
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)
    padded = Policy(load(attn_implementation=attention), settings(loss_chunk=0))
    apart = padded(collate(items, settings()))
    assert torch.allclose(apart, torch.stack(alone), atol=1e-5)


TINY: dict[str, Any] = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1}


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        # Divides its logits after its output layer.
        (
            transformers.GraniteConfig(
                **TINY, intermediate_size=16, num_attention_heads=2, logits_scaling=8.0
            ),
            {"packing": False},
        ),
        # Carries a state from token to token.
        (transformers.MambaConfig(**TINY, state_size=4), {"loss_chunk": 0, "packing": True}),
    ],
    ids=["logits", "state"],
)
def test_models_that_neither_chunks_nor_packing_fit_are_refused(
    config: Any, keys: dict[str, Any]
) -> None:
    policy = Policy(AutoModelForCausalLM.from_config(config), settings(**keys))
    with pytest.raises(UserError, match="Set packing: false, or loss_chunk: 0"):
        check_policy(policy, settings(**keys), ALONE)
    without = settings(loss_chunk=0)
    check_policy(Policy(policy.model, without), without, ALONE)


def reference(model: Any, one: Item) -> list[torch.Tensor]:
    """Log-probabilities of all tokens but the first, from the model's own logits."""
    (example,) = one
    tokens = torch.tensor([list(example.tokens)])
    scores = model(tokens).logits[0].log_softmax(-1)
    return [scores[at, token] for at, token in enumerate(tokens[0, 1:])]


def test_packing_equals_no_packing(custom: Custom) -> None:
    options = {"global_batch_size": 8, "max_length": 64}
    custom(**options, micro_batch_size=2, output_dir="padded")
    custom(**options, packing=True, output_dir="packed")
    assert losses("packed") == pytest.approx(losses("padded"), abs=1e-4)
    assert len(losses("packed")) == 4


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_chunks_and_recomputing_do_not_change_the_mathematics(
    custom: Custom, algorithm: str
) -> None:
    if algorithm == "dpo":
        write_rows(PAIRS)
    custom(algorithm=algorithm, loss_chunk=0, output_dir="whole")
    chunked = {"loss_chunk": 3, "activation_checkpointing": True, "packing": True}
    custom(algorithm=algorithm, **chunked, output_dir="chunked")
    assert losses("chunked") == pytest.approx(losses("whole"), abs=1e-4)
    norms = [[line["grad_norm"] for line in log(each)] for each in ("whole", "chunked")]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


# Preferences

PAIRS = [
    pair_row(
        [user(f"what is {n} plus {n}?")],
        [assistant(f"the number {n + n}")],
        [assistant(f"{n} is what assistant")],
    )
    for n in range(12)
]


def test_dpo_learns_to_prefer(custom: Custom) -> None:
    write_rows(PAIRS)
    code, out, _ = custom(algorithm="dpo", max_steps=20, learning_rate=2e-3, packing=True)
    assert code == 0 and "dpo in 1 process(es)" in out
    first, last = log()[0], log()[-1]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert last["loss"] < 0.3 and last["rewards/accuracies"] == 1.0
    assert last["rewards/margins"] == pytest.approx(
        last["rewards/chosen"] - last["rewards/rejected"], abs=1e-5
    )


def test_dpo_in_two_processes_is_dpo_in_one(custom: Custom) -> None:
    write_rows(PAIRS)
    options: dict[str, Any] = {"algorithm": "dpo", "max_steps": 5, "learning_rate": 2e-3}
    custom(**options, output_dir="one")
    torchrun(**options, packing=True, output_dir="two")
    assert losses("two") == pytest.approx(losses("one"), abs=1e-4)


def test_dpo_without_a_pull_is_refused(custom: Custom) -> None:
    write_rows(PAIRS)
    code, _, err = custom(algorithm="dpo", beta=0)
    assert code == 2 and "set beta: 0.1" in err


# Rewards

PROMPTS = [prompt_row([user(f"what is {n} plus {n}?")]) for n in range(12)]
GRPO: dict[str, Any] = {
    "algorithm": "grpo",
    "rewards": "rl_rollouts.smoke.toy:score",
    "num_generations": 8,
    "max_new_tokens": 12,
    "global_batch_size": 32,
    "micro_batch_size": 8,
    "lr_scheduler": "constant",
    "warmup_ratio": 0,
    "learning_rate": 3e-3,
    "max_steps": 40,
}


def rewards(output: str = "out") -> tuple[float, float]:
    """Mean of the first and of the last fifth."""
    values = [line["reward"] for line in log(output)]
    fifth = len(values) // 5
    return sum(values[:fifth]) / fifth, sum(values[-fifth:]) / fifth


@pytest.mark.parametrize("processes", [1, 2])
def test_grpo_raises_the_reward(custom: Custom, processes: int) -> None:
    write_rows(PROMPTS)
    said = torchrun(**GRPO, processes=processes, packing=True)
    assert f"grpo in {processes} process(es)" in said
    first, last = rewards()
    assert last > first + 0.2, (first, last)
    assert {"reward_std", "frac_reward_zero_std", "completions/mean_length"} <= set(log()[0])
    assert log()[0]["completions/max_length"] <= 12


def test_grpo_with_a_pull_stays_nearer(custom: Custom) -> None:
    write_rows(PROMPTS)
    for pull in (0.0, 1.0):
        custom(**{**GRPO, "max_steps": 12}, beta=pull, output_dir=f"pull-{pull:g}")
    assert "kl" not in log("pull-0")[-1]
    kl = [line["kl"] for line in log("pull-1")]
    assert kl[0] == pytest.approx(0, abs=1e-5) and max(kl) > 1e-4
    assert rewards("pull-1")[1] < rewards("pull-0")[1]


def test_grpo_goes_on_as_the_unbroken_run(custom: Custom) -> None:
    write_rows(PROMPTS)
    options = {**GRPO, "max_steps": 6, "save_steps": 3}
    custom(**options, output_dir="whole")
    shutil.copytree("whole/checkpoint-3", "broken/checkpoint-3")
    custom("--resume", **options, output_dir="broken")
    whole = [(line["reward"], line["loss"]) for line in log("whole")]
    assert [(line["reward"], line["loss"]) for line in log("broken")] == whole[3:]


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("raises", "raise KeyError('gold')", "raised KeyError: 'gold'"),
        ("is_nan", "return float('nan')", "returned nan"),
        ("is_list", "return [1.0]", "is a list and no number"),
    ],
)
def test_a_reward_that_is_none_stops_before_the_model_loads(
    custom: Custom, monkeypatch: pytest.MonkeyPatch, name: str, body: str, said: str
) -> None:
    write_rows(PROMPTS)
    text = f"def score(prompt, response, ground_truth, metadata):\n    {body}\n"
    Path(f"reward_that_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    code, out, err = custom(**{**GRPO, "rewards": f"reward_that_{name}:score"})
    assert code == 1 and said in err and "grpo in" not in out


def test_rows_with_tools_are_refused_or_dropped(custom: Custom) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    write_rows([*PROMPTS, prompt_row([user("use it")], tools=[tool])])
    code, _, err = custom("--check_only", **GRPO)
    assert code == 2 and "1 rows of training_data.jsonl have tools" in err
    code, out, _ = custom("--check_only", **GRPO, rows_with_tools="drop")
    assert code == 0 and "13 prompts read" in out and "1 with tools dropped, 12 to train on" in out


def test_prompts_that_leave_no_room_are_dropped_and_counted(custom: Custom) -> None:
    write_rows([*PROMPTS, prompt_row([user("what " * 90)])])
    code, out, _ = custom("--check_only", **GRPO, max_length=100)
    assert code == 0 and "1 longer than max_length - max_new_tokens = 88 tokens dropped" in out
    code, _, err = custom("--check_only", **{**GRPO, "max_new_tokens": 100}, max_length=100)
    assert code == 2 and "leave no room" in err


def test_groups_have_to_fill_a_step(custom: Custom) -> None:
    write_rows(PROMPTS)
    code, _, err = custom(
        "--check_only", **{**GRPO, "global_batch_size": 12, "micro_batch_size": 4}
    )
    assert code == 2 and "in groups of 8 responses" in err and "to 8 or 16" in err


def test_a_token_that_rose_too_far_is_learned_no_further() -> None:
    logprobs = torch.tensor([0.0, 0.0, 0.0], requires_grad=True)
    batch = {
        "counts": torch.tensor([2, 1]),
        "advantages": torch.tensor([1.0, -1.0]),
        # exp(0.5) = 1.65 times likelier than when it was sampled; as likely; 1.65 times, and bad
        "sampled": torch.tensor([-0.5, 0.0, -0.5]),
    }
    found = LOSSES["grpo"](logprobs, None, batch, settings(algorithm="grpo"))
    torch.autograd.backward(found["loss"])
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([0.0, -1.0, math.exp(0.5)])
    assert found["clip_ratio"].item() == 1

"""What a run has where nothing was chosen, read in rendered configs and in frameworks' schemas."""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from contracts.rendering import Variant, variant  # noqa: E402
from scaffolder.frameworks import discover  # noqa: E402
from scaffolder.vocabulary import OFFLINE  # noqa: E402

MACHINE: Mapping[str, Any] = {"model": "org/m-8b", "gpus_per_node": 8}
"""Of the runs whose configs are read."""
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
OWN_WORDS = {
    "dapo": "token_mean",
    "token-mean": "token_mean",
    "grpo": "response_mean",
    "seq-mean-token-mean": "response_mean",
}
"""What frameworks call what a loss is a mean over."""


class Run(NamedTuple):
    """One run, and the keys that decide it: those of its config, over the framework's defaults; or
    those defaults alone."""

    of: Variant
    keys: Mapping[str, Any]

    @property
    def framework(self) -> str:
        return self.of.spec.framework

    @property
    def algorithm(self) -> str:
        return self.of.spec.algorithm

    @property
    def online(self) -> bool:
        return self.algorithm not in OFFLINE

    @property
    def processes(self) -> int:
        assert self.of.plan is not None
        return self.of.plan.world_size

    def meant(self, name: str) -> Any:
        """By a name that all frameworks share; in their own words where there is no common one."""
        assert self.of.plan is not None
        known = discover()[self.framework].meanings(self.of.spec, self.of.plan)
        if name not in known:
            return None
        value = known[name].read(self.keys)  # type: ignore[arg-type]
        return self.keys.get(known[name].keys[0]) if value is None else value

    def key(self, **keys: str) -> Any:
        """By the framework's own key for it, with the part that offline algorithms leave out in
        brackets."""
        key = keys.get(self.framework, "")
        before, _, rest = key.rpartition("]")
        return self.keys.get(before.lstrip("[") + rest if self.online else rest)


def learning_rate(run: Run) -> Any:
    return run.meant("learning_rate")


def betas(run: Run) -> Any:
    if run.framework == "trl":
        return [run.keys["adam_beta1"], run.keys["adam_beta2"]]
    return run.key(verl=f"[{ACTOR}.]optim.betas", openrlhf="[actor.]adam.betas")


def kl(run: Run) -> Any:
    """0 where a switch leaves it out."""
    if run.framework == "verl" and run.online:
        switches = {"algorithm.use_kl_in_reward": "algorithm.kl_ctrl.kl_coef"}
        switches[f"{ACTOR}.use_kl_loss"] = f"{ACTOR}.kl_loss_coef"
        return sum(run.keys[coef] for switch, coef in switches.items() if run.keys[switch])
    return run.meant("kl_coefficient")


def clip(run: Run) -> Any:
    """Below 1 and above it."""
    if not run.online:
        return None
    if run.framework == "openrlhf":
        return run.keys["actor.eps_clip_low_high"] or [run.keys["actor.eps_clip"]] * 2
    low, high = run.meant("clip_low"), run.meant("clip_high")
    return [low, low if high is None else high]


def loss(run: Run) -> Any:
    word = run.key(
        trl="[loss_type]", verl=f"[{ACTOR}.loss_agg_mode]", openrlhf="[actor.loss_agg_mode]"
    )
    word = run.keys["loss"] if (run.framework, run.algorithm) == ("custom", "grpo") else word
    return OWN_WORDS.get(word, word) if run.online else None


def batch(run: Run) -> Any:
    """Of an optimizer step: rows, or prompts x responses."""
    if run.framework == "trl":
        each, times = "per_device_train_batch_size", "gradient_accumulation_steps"
        rows = run.keys[each] * run.keys[times] * run.processes
    else:
        rows = run.meant("global_batch_size")
    group = responses(run)
    return f"{rows // group} x {group}" if run.online else rows


def responses(run: Run) -> Any:
    own = {"verl": f"[{ROLLOUT}.n]", "openrlhf": "[rollout.n_samples_per_prompt]"}
    return run.key(**own, trl="[num_generations]", custom="[num_generations]")


def updates(run: Run) -> Any:
    """Optimizer steps with the responses that were generated at once."""
    if run.framework == "verl" and run.online:
        return run.keys["data.train_batch_size"] // run.keys[f"{ACTOR}.ppo_mini_batch_size"]
    if run.framework == "openrlhf" and run.online:
        generated = run.keys["rollout.batch_size"] * responses(run)
        return max(1, generated // run.keys["train.batch_size"])
    return 1 if run.online else None


def eval_steps(run: Run) -> Any:
    """0 where a switch leaves them out."""
    if run.framework == "trl":
        return run.keys["eval_steps"] if run.keys["eval_strategy"] != "no" else 0
    own = {"verl": "trainer.test_freq", "openrlhf": "eval.steps"}
    return run.keys.get(own.get(run.framework, ""))


def named(name: str) -> Callable[[Run], Any]:
    return lambda run: run.meant(name)


SETTINGS: Mapping[str, tuple[str, Callable[[Run], Any]]] = {
    "learning_rate": ("Learning rate, all weights", learning_rate),
    "learning_rate_lora": ("Learning rate, LoRA", learning_rate),
    "critic_learning_rate": ("Learning rate of the critic", named("critic_learning_rate")),
    "scheduler": ("Scheduler", named("scheduler")),
    "warmup": ("Warm-up, share of the steps", named("warmup")),
    "weight_decay": ("Weight decay", named("weight_decay")),
    "betas": ("Betas of Adam", betas),
    "max_grad_norm": ("Largest gradient norm", named("max_grad_norm")),
    "lora_rank": ("Rank of LoRA", named("lora_rank")),
    "lora_alpha": ("Alpha of LoRA", named("lora_alpha")),
    "loss": ("What the loss is a mean over", loss),
    "clip": ("Clipping of the ratio, below and above 1", clip),
    "kl_coefficient": ("KL coefficient, beta of dpo and kto", kl),
    "batch": ("Batch of an optimizer step: rows, or prompts x responses", batch),
    "updates": ("Optimizer steps with what is generated at once", updates),
    "temperature": ("Temperature", named("temperature")),
    "sequence_length": ("Longest row, tokens", named("sequence_length")),
    "completion_length": ("Longest response, tokens", named("completion_length")),
    "epochs": ("Passes over the data", named("epochs")),
    "save_steps": ("Steps between checkpoints", named("save_steps")),
    "eval_steps": ("Steps between evaluations on what is held out; 0 or -1: none", eval_steps),
}
"""By the names that `defaults.yaml` has for them."""


def planned_grpo(framework: str, size: Mapping[str, Any]) -> Variant:
    """With the first way of generating with which it fits."""
    ways = (None, *discover()[framework].generations)
    tried = (variant(framework, "grpo", **size, generation=way) for way in ways)
    return next(each for each in tried if each.plan)


@cache
def run(framework: str, algorithm: str, tuning: str) -> tuple[Run, Run]:
    """As it is rendered, and with the framework's defaults alone."""
    made, adapter = variant(framework, algorithm, **MACHINE, tuning=tuning), discover()[framework]
    assert made.plan is not None, made.reasons
    schema = adapter.schema()
    assert schema is not None
    tree = {"verl": "ppo_trainer" if made.plan.generation else "sft_trainer_engine"}
    keys = schema.keys(tree.get(framework, algorithm))
    defaults = {name: key.default for name, key in keys.items()}
    return Run(made, {**defaults, **flat(yaml.safe_load(made.config()))}), Run(made, defaults)


def flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, dict)
        found |= flat(value, f"{above}{key}.") if inner else {above + key: value}
    return found

"""For grpo: responses to prompts, written by the model as it is now, and how good they are."""

from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.distributed as dist
import transformers
from torch.distributed.tensor import DTensor

from custom_checkpoint import export_model
from custom_data import Example, Item, Prompt
from custom_model import Policy, World, meta_model
from custom_settings import Settings
from rl_rollouts.errors import UserError
from rl_rollouts.http_json import NoAnswer, ask
from rl_rollouts.models.generation import end_tokens, write
from rl_rollouts.rewards.checked import judge, load_score

SAMPLING = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Against what a model's generation_config may say: tokens are to come from the model's own
distribution, which is what the loss knows."""
AT_ONCE = 32
"""Responses that transformers writes at once: the keys and values of more take much memory."""
Generator = Callable[[Sequence[Prompt]], list[Example]]
"""Takes the weights as they are now, and writes one response to each of this process's prompts,
which may be there several times; all processes call it."""


class Rollouts:
    """Makes the items of a step: responses in groups of one prompt, with their advantages."""

    def __init__(self, settings: Settings, world: World, policy: Policy, tokenizer: Any) -> None:
        self.settings, self.world, self.decode = settings, world, tokenizer.decode
        self.score, self.ends = load_score(settings.rewards), end_tokens(policy.model, tokenizer)
        kind = Server if settings.vllm_server_url else InProcess
        self.generate: Generator = kind(settings, world, policy, tokenizer)

    def __call__(self, prompts: list[Prompt]) -> tuple[list[Item], dict[str, float]]:
        """The items of a step over all processes, and what is to be logged of them."""
        wanted = [prompt for prompt in prompts for _ in range(self.settings.num_generations)]
        share = len(wanted) // self.world.size
        mine = wanted[self.world.rank * share :][:share]
        written = self.generate(mine)
        judged = [(w, self.judge(p, w)) for p, w in zip(mine, written, strict=True)]
        parts: list[Any] = [None] * self.world.size
        dist.all_gather_object(parts, judged)
        written = [each for part in parts for each, _ in part]
        rewards = torch.tensor([r for part in parts for _, r in part], dtype=torch.float64)
        groups = rewards.view(-1, self.settings.num_generations)
        spread = groups.std(dim=1, keepdim=True)
        scale = spread + 1e-4 if self.settings.scale_rewards else 1.0
        advantages = (groups - groups.mean(dim=1, keepdim=True)) / scale
        pairs = zip(written, advantages.flatten().tolist(), strict=True)
        items: list[Item] = [(each._replace(advantage=advantage),) for each, advantage in pairs]
        lengths = [sum(each.trained) for each in written]
        cut = [each.tokens[-1] not in self.ends for each in written]
        return items, {
            "reward": rewards.mean().item(),
            "reward_std": spread.mean().item(),
            "frac_reward_zero_std": (spread < 1e-8).double().mean().item(),
            "completions/mean_length": sum(lengths) / len(lengths),
            "completions/max_length": max(lengths),
            "completions/clipped_ratio": sum(cut) / len(cut),
        }

    def judge(self, prompt: Prompt, written: Example) -> float:
        text = self.decode(written.tokens[len(prompt.tokens) :], skip_special_tokens=True)
        return judge(prompt.row, text, self.score)


def answered(prompt: Prompt, tokens: list[int], sampled: Any = None) -> Example:
    """A prompt and what was written to it, of which all is learned."""
    trained = bytes(len(prompt.tokens)) + b"\1" * len(tokens)
    return Example(prompt.tokens + array("i", tokens), trained, sampled=sampled)


class InProcess:
    """Generates with transformers: for small models, since each process needs all weights."""

    def __init__(self, settings: Settings, world: World, policy: Policy, tokenizer: Any) -> None:
        self.settings, self.world, self.policy, self.tokenizer = settings, world, policy, tokenizer
        self.model: Any = policy.model
        if world.size > 1:
            # A sharded model would gather its weights for each token, all processes in step.
            # Empty until its weights are copied: made on a CPU it would be there once a process.
            self.model = meta_model(policy.model.config, getattr(torch, settings.dtype))
            self.model.to_empty(device=world.device).tie_weights()
            self.model.generation_config = policy.model.generation_config
            for own, made in zip(self.model.buffers(), policy.model.buffers(), strict=True):
                own.copy_(made)

    @torch.no_grad()
    def __call__(self, prompts: Sequence[Prompt]) -> list[Example]:
        if self.world.size > 1:
            own = self.model.state_dict()
            for name, weight in self.policy.model.state_dict().items():
                own[name].copy_(weight.full_tensor() if isinstance(weight, DTensor) else weight)
        chosen = SAMPLING | {"do_sample": True, "temperature": self.settings.temperature}
        chosen["max_new_tokens"] = self.settings.max_new_tokens
        self.model.eval()
        written, asked = [], [p.tokens for p in prompts]
        with self.world.autocast(self.settings):
            for first in range(0, len(asked), AT_ONCE):
                part = asked[first : first + AT_ONCE]
                written += write(self.model, self.tokenizer, part, **chosen)
        self.policy.train()
        return [answered(*pair) for pair in zip(prompts, written, strict=True)]


class Server:
    """Generates on a vLLM server, through its OpenAI-compatible interface.

    New weights reach it as files: they are written to `weights_dir`, and the server is told to read
    them, which needs VLLM_SERVER_DEV_MODE=1 there.
    """

    def __init__(self, settings: Settings, world: World, policy: Policy, tokenizer: Any) -> None:
        self.settings, self.world, self.policy, self.tokenizer = settings, world, policy, tokenizer
        self.folder = (settings.weights_dir or settings.output_dir / "server-weights").absolute()
        self.url = str(settings.vllm_server_url).rstrip("/")
        transformers.utils.logging.disable_progress_bar()  # one for each time weights are written
        self.name = self.call("/v1/models")["data"][0]["id"]

    def __call__(self, prompts: Sequence[Prompt]) -> list[Example]:
        # bfloat16 is what servers compute in, and half the bytes.
        export_model(self.policy, self.tokenizer, self.folder, "bfloat16", self.world)
        if self.world.rank == 0:
            path = {"weights_path": str(self.folder)}
            self.call("/collective_rpc", {"method": "reload_weights", "kwargs": path})
            if not self.call("/reset_prefix_cache", {})["success"]:
                raise self.failed("did not drop what it had computed with the old weights.")
        dist.barrier()
        with ThreadPoolExecutor(min(len(prompts), 256)) as pool:
            return list(pool.map(self.respond, prompts))

    def respond(self, prompt: Prompt) -> Example:
        body = {
            "model": self.name,
            "prompt": list(prompt.tokens),
            "max_tokens": self.settings.max_new_tokens,
            "temperature": self.settings.temperature,
            "logprobs": 0,
            "return_token_ids": True,
            **SAMPLING,
        }
        choice = self.call("/v1/completions", body, retries=5)["choices"][0]
        return answered(prompt, choice["token_ids"], tuple(choice["logprobs"]["token_logprobs"]))

    def call(self, path: str, body: Any = None, retries: int = 0) -> Any:
        try:
            return ask(self.url + path, body, timeout=1800, retries=retries)
        except NoAnswer as problem:
            raise self.failed(f"does not answer {path}: {problem}") from None

    def failed(self, problem: str) -> UserError:
        remedy = "Start it as launch/server.sh does, and look into its log."
        return UserError(f"The server {self.url} {problem}", remedy, exit_code=1)

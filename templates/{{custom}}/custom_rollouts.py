"""For grpo: responses to prompts, written by the model as it is now, and how good they are."""

import json
import time
import urllib.error
import urllib.request
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import torch
import transformers
from torch.distributed.tensor import DTensor

from custom_chat import Example
from custom_checkpoint import export_model
from custom_data import Dataset, Item, Prompt, step_rows
from custom_model import Policy, World
from custom_settings import Settings
from dataprep.errors import UserError
from rewards_checked import answer_of, load_score, reward_of

PLAIN = {"top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Against what a model's generation_config may say: tokens are to come from the model's own
distribution, which is what the loss knows."""


class Written(NamedTuple):
    """One response."""

    tokens: list[int]
    """With its end token, if it came to an end."""
    sampled: tuple[float, ...] | None = None
    """Log-probability of each token, where a server sampled them."""


class Generator(Protocol):
    """What writes responses."""

    def update(self) -> None:
        """Take the weights as they are now; all processes call it."""

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        """One response to each of this process's prompts, which may be there several times."""


class Rollouts:
    """Makes the items of a step: responses in groups of one prompt, with their advantages."""

    def __init__(
        self, data: Dataset, settings: Settings, world: World, policy: Policy, tokenizer: Any
    ) -> None:
        self.prompts, self.settings, self.world = data.prompts, settings, world
        self.decode, self.score = tokenizer.decode, load_score(settings.rewards)
        self.ends = end_tokens(policy.model, tokenizer)
        kind = Server if settings.vllm_server_url else InProcess
        self.generator: Generator = kind(settings, world, policy, tokenizer)

    def __call__(self, step: int) -> tuple[list[Item], dict[str, float]]:
        """The items of a step (from 0) over all processes, and what is to be logged of them."""
        chosen = [self.prompts[i] for i in step_rows(len(self.prompts), self.settings, step)]
        wanted = [prompt for prompt in chosen for _ in range(self.settings.num_generations)]
        share = len(wanted) // self.world.size
        mine = wanted[self.world.rank * share :][:share]
        self.generator.update()
        written = self.generator.write(mine)
        judged = [
            (each, self.judge(prompt, each)) for prompt, each in zip(mine, written, strict=True)
        ]
        gathered = [pair for part in self.world.gather(judged) for pair in part]
        rewards = torch.tensor([reward for _, reward in gathered], dtype=torch.float64)
        groups = rewards.view(-1, self.settings.num_generations)
        spread = groups.std(dim=1, keepdim=True)
        advantages = groups - groups.mean(dim=1, keepdim=True)
        if self.settings.scale_rewards:
            advantages /= spread + 1e-4
        items: list[Item] = [
            (example_of(prompt, each, advantage),)
            for prompt, (each, _), advantage in zip(
                wanted, gathered, advantages.flatten().tolist(), strict=True
            )
        ]
        lengths = [len(each.tokens) for each, _ in gathered]
        cut = [each.tokens[-1] not in self.ends for each, _ in gathered]
        return items, {
            "reward": rewards.mean().item(),
            "reward_std": spread.mean().item(),
            "frac_reward_zero_std": (spread < 1e-8).double().mean().item(),
            "completions/mean_length": sum(lengths) / len(lengths),
            "completions/max_length": max(lengths),
            "completions/clipped_ratio": sum(cut) / len(cut),
        }

    def judge(self, prompt: Prompt, written: Written) -> float:
        text = self.decode(written.tokens, skip_special_tokens=True)
        return reward_of(
            prompt.messages, answer_of(text), prompt.ground_truth, prompt.metadata, self.score
        )


def example_of(prompt: Prompt, written: Written, advantage: float) -> Example:
    tokens = prompt.tokens + array("i", written.tokens)
    trained = bytes(len(prompt.tokens)) + b"\1" * len(written.tokens)
    return Example(tokens, trained, advantage=advantage, sampled=written.sampled)


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a response."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {token for token in [*ends, tokenizer.eos_token_id] if token is not None}


class InProcess:
    """Generates with transformers: for small models, since each process needs all weights."""

    def __init__(self, settings: Settings, world: World, policy: Policy, tokenizer: Any) -> None:
        self.settings, self.world, self.policy = settings, world, policy
        self.ends = sorted(end_tokens(policy.model, tokenizer))
        self.pad = self.ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.model = policy.model
        if world.size > 1:
            # A sharded model would gather its weights for each token, all processes in step.
            dtype = getattr(torch, settings.dtype)
            self.model = type(policy.model)(policy.model.config).to(world.device, dtype).eval()
            self.model.generation_config = policy.model.generation_config

    def update(self) -> None:
        if self.world.size > 1:
            own = self.model.state_dict()
            for name, weight in self.policy.model.state_dict().items():
                own[name].copy_(weight.full_tensor() if isinstance(weight, DTensor) else weight)

    @torch.no_grad()
    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        longest = max(len(prompt.tokens) for prompt in prompts)
        rows = [[self.pad] * (longest - len(p.tokens)) + list(p.tokens) for p in prompts]
        seen = [[0] * (longest - len(p.tokens)) + [1] * len(p.tokens) for p in prompts]
        self.model.eval()
        with self.world.autocast(self.settings):
            output = self.model.generate(
                input_ids=torch.tensor(rows, device=self.world.device),
                attention_mask=torch.tensor(seen, device=self.world.device),
                max_new_tokens=self.settings.max_new_tokens,
                do_sample=True,
                temperature=self.settings.temperature,
                **PLAIN,
                top_k=0,
                eos_token_id=self.ends,
                pad_token_id=self.pad,
            )
        self.policy.train()
        return [Written(self.ended(each)) for each in output[:, longest:].tolist()]

    def ended(self, tokens: list[int]) -> list[int]:
        """Without the padding that follows the end of a shorter response."""
        last = next((n for n, token in enumerate(tokens, 1) if token in self.ends), None)
        return tokens[:last]


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
        models = self.call("/v1/models", None)["data"]
        self.name = models[0]["id"]

    def update(self) -> None:
        # bfloat16 is what servers compute in, and half the bytes.
        export_model(self.policy, self.tokenizer, self.folder, "bfloat16", self.world)
        if self.world.main:
            path = {"weights_path": str(self.folder)}
            self.call("/collective_rpc", {"method": "reload_weights", "kwargs": path})
            if not self.call("/reset_prefix_cache", {})["success"]:
                raise self.failed("did not drop what it had computed with the old weights.")
        self.world.wait()

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        with ThreadPoolExecutor(min(len(prompts), 256)) as pool:
            return list(pool.map(self.ask, prompts))

    def ask(self, prompt: Prompt) -> Written:
        answer = self.call(
            "/v1/completions",
            {
                "model": self.name,
                "prompt": list(prompt.tokens),
                "max_tokens": self.settings.max_new_tokens,
                "temperature": self.settings.temperature,
                **PLAIN,
                "top_k": -1,
                "logprobs": 0,
                "return_token_ids": True,
            },
            tries=4,
        )
        choice = answer["choices"][0]
        return Written(choice["token_ids"], tuple(choice["logprobs"]["token_logprobs"]))

    def call(self, path: str, body: Any, tries: int = 1) -> Any:
        """POST, or GET without a body; what it answers, if anything."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self.url + path, data, headers)
            with urllib.request.urlopen(request, timeout=1800) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:500]
            raise self.failed(f"answers {error.code} to {path}: {said}") from None
        except OSError as error:
            if tries > 1:
                time.sleep(8 / tries)
                return self.call(path, body, tries - 1)
            raise self.failed(f"does not answer {path}: {error}") from None
        return json.loads(text) if text else None

    def failed(self, problem: str) -> UserError:
        return UserError(
            f"The server {self.url} {problem}",
            "Start it as launch/server.sh does, and look into its log.",
            exit_code=1,
        )

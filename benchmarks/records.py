"""The shapes of a rollout record as NeMo Gym writes it, and of the items in its conversation.

Source: NeMo Gym 0.5.0, `nemo_gym/openai_utils.py` (request, response and item types) and
`nemo_gym/rollout_collection.py` (what is stamped on a row).
"""

from random import Random
from typing import Any

from passages import LONGEST, Corpus, corpora

Json = dict[str, Any]

TYPESET = 0.12
"""Share of the prose that holds characters beyond ASCII."""
MODEL = "Qwen/Qwen3-30B-A3B-Instruct-2507"


class Writer:
    """Writes the parts of records, all from one source of randomness."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._corpora = corpora()
        numbers = Random("tokens")
        self._token_ids = [numbers.randrange(150_000) for _ in range(60_000)]
        self._log_probs = [-numbers.expovariate(3.0) for _ in range(60_000)]

    def text(self, kind: str, median: int, spread: float = 0.7) -> str:
        """A text whose length in characters is log-normal around the median."""
        if kind == "prose" and self.random.random() < TYPESET:
            kind = "typeset"
        length = int(median * self.random.lognormvariate(0.0, spread))
        corpus: Corpus = self._corpora[kind]
        return corpus.slice(self.random, min(max(length, 8), LONGEST))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pass_rate(self) -> float:
        """How often a task is solved: many are nearly always or nearly never."""
        return self.random.betavariate(0.5, 0.6)

    def number(self, below: int) -> int:
        return int(self.random.random() * below)

    def id(self, prefix: str) -> str:
        return f"{prefix}_{self.random.getrandbits(128):032x}"

    def message(self, text: str) -> Json:
        part: Json = {"annotations": [], "text": text, "type": "output_text", "logprobs": None}
        return {
            "id": self.id("msg"),
            "content": [part],
            "role": "assistant",
            "status": "completed",
            "type": "message",
        }

    def reasoning(self, text: str) -> Json:
        return {
            "id": self.id("rs"),
            "summary": [{"text": text, "type": "summary_text"}],
            "type": "reasoning",
            "encrypted_content": None,
        }

    def call(self, name: str, arguments: str) -> Json:
        return {
            "arguments": arguments,
            "call_id": self.id("call"),
            "name": name,
            "type": "function_call",
            "id": self.id("fc"),
            "status": "completed",
        }

    def result(self, call: Json, output: str) -> Json:
        return {
            "call_id": call["call_id"],
            "output": output,
            "type": "function_call_output",
            "id": None,
            "status": None,
        }

    def token_ids(self, item: Json, prompt: int, written: int) -> None:
        """Put token ids and log-probabilities on an item, as a training run's model server does."""
        start = self.number(len(self._token_ids) // 2)
        item["prompt_token_ids"] = self._token_ids[start : start + prompt]
        item["generation_token_ids"] = self._token_ids[-written:]
        item["generation_log_probs"] = self._log_probs[start : start + written]

    def rollout(self, request: Json, output: list[Json], reward: float, **extra: Any) -> Json:
        """A row as an agent returns it; `extra` is what its verifier adds."""
        response = self._response(request, output)
        return {
            "responses_create_params": request,
            "response": response,
            "reward": reward,
            **extra,
        }

    def _response(self, request: Json, output: list[Json]) -> Json:
        """The model's answer, which repeats much of the request."""
        read, written = self.number(9000) + 60, self.number(4000) + 20
        return {
            "id": self.id("resp"),
            "created_at": 1_780_000_000.0 + self.number(10**7),
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": MODEL,
            "object": "response",
            "output": output,
            "parallel_tool_calls": request["parallel_tool_calls"],
            "temperature": request["temperature"],
            "tool_choice": request["tool_choice"],
            "tools": request["tools"],
            "top_p": request["top_p"],
            **UNSET_IN_RESPONSE,
            "status": "completed",
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": read // 2},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": written // 3},
                "total_tokens": read + written,
            },
        }


def _unset(names: str) -> Json:
    return dict.fromkeys(names.split())


UNSET_IN_REQUEST = _unset(
    "background include instructions max_tool_calls metadata model previous_response_id prompt "
    "reasoning service_tier store text top_logprobs truncation user stream"
)
UNSET_IN_RESPONSE = _unset(
    "background conversation max_output_tokens max_tool_calls previous_response_id prompt "
    "prompt_cache_key reasoning safety_identifier service_tier store top_logprobs truncation user"
)


def request(
    conversation: list[Json] | str, tools: list[Json] | None = None, **settings: Any
) -> Json:
    """What the model was asked; settings that the user left alone are null."""
    return {
        "input": conversation,
        **UNSET_IN_REQUEST,
        "max_output_tokens": 16384,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": tools or [],
        "top_p": 0.95,
        **settings,
    }


def said(role: str, content: str) -> Json:
    return {"content": content, "role": role, "type": "message"}

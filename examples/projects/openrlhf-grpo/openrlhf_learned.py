"""What OpenRLHF learns of rows, as its own dataset classes make sequences of them."""

from array import array
from collections.abc import Sequence
from typing import Any

from openrlhf_data import parts, template_of, told
from rl_rollouts.engine.stored import Row
from rl_rollouts.frameworks.openrlhf.settings import Settings
from rl_rollouts.models.after_prompt import AfterPrompt
from rl_rollouts.models.chat_masks import Chat, MaskedChat, RowError, refusals
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.rewards.environments import shown_tools

WHOLE = 10**6
"""Tokens that no row has."""
REWRITES = (
    "the chat template writes what comes before a turn of the model differently once that turn "
    "follows, and OpenRLHF would cut it in the wrong place"
)


class Upstream:
    """Prompt, completions and tools of an offline row -> the sequences that OpenRLHF trains on.

    Its own dataset classes make them; what they would silently get wrong is refused.
    """

    def __init__(self, settings: Settings, tokenizer: Any) -> None:
        self.judged, self.pairs = settings.algorithm == "rm", settings.algorithm != "sft"
        self.multiturn = bool(getattr(settings.arguments.data, "multiturn", False))
        self.tokenizer = tokenizer
        self.tokenizer.chat_template = template_of(settings, tokenizer)
        self.longest = int(settings.arguments.data.max_len)

    def __call__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> list[MaskedChat]:
        """The sequences of a row, not cut.

        Raises:
            RowError: when the chat template does not take it, or OpenRLHF would cut it wrongly.
        """
        with refusals():
            for side in sides:
                self._demand_prefixes(told([*prompt, *side], tools), len(prompt))
            made = self._made(WHOLE, prompt, sides, tools)
            items = made[0]
        if not self.pairs:
            return [_shifted(items[0][0], items[2][0])]
        asked = 0 if self.judged else int(items[4])
        return [_after(items[place][0], asked) for place in (0, 2)][: len(sides)]

    def drops(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> bool:
        """Whether OpenRLHF leaves a row out, since its prompt leaves no room for an answer."""
        made = self._process(self.longest, prompt, sides, tools)[1]
        return made["prompt"] is None

    def _demand_prefixes(self, messages: Chat, asked: int) -> None:
        """See that what comes before each trained turn is written the same with what follows."""
        render = self.tokenizer.apply_chat_template
        whole = render(messages, tokenize=False)
        turns = [at for at, each in enumerate(messages) if each["role"] == "assistant"]
        if not turns:
            raise RowError("it has no turn of the model; leave it out")
        trained = turns if self.multiturn else [asked] if self.pairs else turns[-1:]
        for at in trained:
            before = render(messages[:at], tokenize=False, add_generation_prompt=True)
            until = render(messages[: at + 1], tokenize=False) if self.multiturn else before
            if not (whole.startswith(before) and whole.startswith(until)):
                way = "; set data.multiturn: false, and prepare again" if self.multiturn else ""
                raise RowError(REWRITES + way)

    def _made(self, longest: int, prompt: Chat, sides: Sequence[Chat], tools: Any) -> Any:
        data, made = self._process(longest, prompt, sides, tools)
        data.prompts = [made["prompt"]]
        if self.pairs:
            data.chosens, data.rejects = [made["chosen"]], [made["reject"]]
            data.extras = [made["extra"]]
        else:
            data.responses, data.prompt_ids_lens = [made["response"]], [made["prompt_ids_len"]]
            data.response_ranges = [made["response_ranges"]]
        if made["prompt"] is None:
            raise RowError("nothing is left of it to learn; leave it out")
        return data

    def _process(self, longest: int, prompt: Chat, sides: Sequence[Chat], tools: Any) -> Any:
        """A dataset of OpenRLHF without rows, and what it makes of one."""
        from openrlhf.datasets import RewardDataset, SFTDataset

        data: Any = object.__new__(RewardDataset if self.pairs else SFTDataset)
        data.tokenizer, data.max_length, data.input_template = self.tokenizer, longest, None
        data.apply_chat_template = self.tokenizer.apply_chat_template
        if self.pairs:
            data.is_dpo, data.prompt_key = not self.judged, "prompt"
            data.chosen_key, data.rejected_key = "chosen", "rejected"
            row = {"chosen": list(sides[0]), "rejected": list(sides[-1])}
            return data, data.process_data({"prompt": told(prompt, tools), **row})
        data.multiturn, data.pretrain_mode = self.multiturn, False
        data.input_key, data.output_key = "messages", None
        return data, data.process_data({"messages": told([*prompt, *sides[0]], tools)})


def _shifted(ids: Any, mask: Any) -> MaskedChat:
    """OpenRLHF marks the token before the one that is learned."""
    marks = [0, *(int(each) for each in mask[:-1])]
    return MaskedChat(array("i", ids.tolist()), bytes(marks))


def _after(ids: Any, asked: int) -> MaskedChat:
    return MaskedChat(array("i", ids.tolist()), bytes(asked) + b"\1" * (len(ids) - asked))


class Taken:
    """The rows that OpenRLHF is given, and what becomes of the others."""

    def __init__(self, settings: Settings, tokenizer: Any) -> None:
        self.settings, self.tokenizer, data = settings, tokenizer, settings.arguments.data
        self.shown = shown_tools(settings.own["environment"]) if settings.online else None
        self.upstream = None if settings.online else Upstream(settings, tokenizer)
        if self.upstream is None:
            new = settings.arguments.rollout.max_new_tokens
            room = data.max_len - (new or 1)
            limit = Limit("data.max_len - rollout.max_new_tokens", room, "dropped")
            asked = AfterPrompt(tokenizer, options=settings.template_options)
            self.found = Learned(asked, tokenizer, limit, what="prompts")
        else:
            limit = Limit("data.max_len", data.max_len, "cut")
            judged = settings.algorithm == "rm"
            self.found = Learned(self.upstream, tokenizer, limit, whole=judged)

    def takes(self, place: str, row: Row) -> bool:
        """Whether a row is trained on; it is counted."""
        prompt, sides, tools = parts(self.settings, row)
        if self.settings.online and tools and not self.settings.own["environment"]:
            self.found.skip("with tools")
            return False
        if self.upstream is None:
            return bool(self.found.add(place, prompt, [], self.shown))
        refused = len(self.found.refused)
        left = self.found.add(place, prompt, sides, tools)
        if left is None or len(self.found.refused) > refused:
            return False
        return self.settings.algorithm == "rm" or not self.upstream.drops(prompt, sides, tools)

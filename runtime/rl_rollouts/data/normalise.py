"""One record of a rollout file becomes one `Rollout`, or a reason why it cannot."""

import math
from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import Any, Literal

import msgspec
import xxhash
from msgspec.structs import replace

from ..errors import Damaged, SetAside
from . import chats, responses
from .beside import learned_part
from .content import NOTHING
from .conversation import Conversation, Gap
from .fate import fate_of, is_masked
from .forms import answer_of, is_input, settle_form
from .items import Item
from .reasoning import CLOSE, OPEN, Reasoning
from .record import Metadata, Record, Request, Response, demand_text, parse, values_of
from .reward import reward_of
from .rollout import ABSENT, NULL, Head, Message, Rollout, raw
from .same import hash_of_same, said, same_text
from .straight import straight

_role = attrgetter("role")


class Shape(msgspec.Struct, frozen=True):
    """What a rollout should look like. The defaults never train on a lie."""

    reasoning: Reasoning = "keep"
    images: Literal["drop", "keep"] = "drop"
    """`keep` leaves references to images in the content; `drop` sets the rollout aside."""
    incomplete: Literal["drop", "cut"] = "drop"
    """Where the record lacks what the model saw or the end of what it wrote: set the rollout
    aside, or keep what stands before."""
    tokens: bool = False
    """Whether token ids and log-probabilities are read."""
    reward: float | None = None
    """Of records that have none."""
    reward_key: str | None = None
    """Where the reward stands; a dot goes one level down. None: under `reward`."""
    keys: tuple[tuple[str, str], ...] = ()
    """Other names of what is read, see `named.py`."""


def normalise(line: bytes, shape: Shape = Shape()) -> Rollout:  # noqa: B008 (frozen)
    """Read one line in one of the forms of `forms.py`.

    Raises:
        Damaged: with the reason why it is no rollout.
        SetAside: with the reason why it cannot be trained on.
    """
    record = parse(line)
    demand_text(line)
    return rollout_of(record, head_of(record, line, shape), line, shape)


def rollout(**record: Any) -> Rollout:
    """A rollout of plain values, as a line with these keys gives it: for formats of one's own.

        rollout(prompt="What is 3 x 4?", response="12", reward=1.0, ground_truth="12")
        rollout(messages=[{"role": "user", "content": ...}, ...], tools=[...], reward=0.5)

    Raises:
        Damaged, SetAside: with the reason why it is none.
    """
    return normalise(bytes(raw(record)), Shape(images="keep"))


def head_of(record: Record, line: bytes, shape: Shape) -> Head:
    """What a record says about itself, once it is in a form that is read as it is.

    Raises:
        Damaged: when it is in no form that is known, or its reward is no number.
    """
    if not isinstance(record.responses_create_params, Request):
        settle_form(record, partial(values_of, line))
    given = record.reward
    reward = None if given is None else given.value
    if type(reward) is not float or not math.isfinite(reward) or shape.reward_key is not None:
        reward = reward_of(record, line, shape.reward_key, shape.reward)
    truncated, failed = fate_of(record)
    return Head(reward, _agent(record), truncated, is_masked(record), failed)


def rollout_of(record: Record, head: Head, line: bytes, shape: Shape) -> Rollout:
    """The conversation and everything else.

    Raises:
        Damaged, SetAside: as `normalise` does.
    """
    if record.chosen is not None:
        return _pair(record, head, line, shape)
    chat = None
    both = None if shape.tokens else straight(record)
    if both is None:
        chat = _conversation(record, shape)
        first, end = _learned(chat, is_input(record))
        both = chat.messages[:first], chat.messages[first:end]
    prompt, completion = both
    digest = hash_of_same(prompt)
    task = _task(record, head.agent, prompt, digest)
    if shape.reasoning != "keep":
        place([*prompt, *completion], shape.reasoning)
    rollout = Rollout(
        head.reward,
        head.agent,
        head.truncated,
        head.masked,
        head.failed,
        prompt=prompt,
        completion=completion,
        task=task,
        tools=responses.chat_tools(_tools(record)),
        ground_truth=_ground_truth(record),
        facts=Metadata(line),
        prompt_hash=digest if shape.reasoning == "keep" else None,
    )
    if chat is not None and (chat.notes or record.turn_rewards is not None):
        _add_turns(rollout, record, chat, len(prompt))
    return rollout


def _pair(record: Record, head: Head, line: bytes, shape: Shape) -> Rollout:
    """The chosen side of a preference, with the rejected one beside it.

    Raises:
        Damaged: where the two answer different prompts.
    """
    alone = {"chosen": None, "rejected": None, "prompt": None, "completion": None}
    better, worse = (
        rollout_of(replace(record, messages=side, **alone), head, line, shape)
        for side in (record.chosen, record.rejected)
    )
    if not worse.completion or said(better.prompt) != said(worse.prompt):
        raise Damaged("the chosen and the rejected answer have different prompts")
    better.reward, worse.reward = 1.0, 0.0
    better.worse = worse
    return better


def _conversation(record: Record, shape: Shape) -> Conversation:
    """All messages, of a record in any form."""
    chat = Conversation(images=shape.images == "keep", tokens=shape.tokens)
    try:
        if isinstance(record.responses_create_params, Request):
            _read_gym(chat, record)
        else:
            _read_chat(chat, record)
        chat.close()
    except RecursionError:
        raise Damaged("the record is nested too deeply") from None
    except Gap:
        if shape.incomplete == "drop" or chat.given is None:
            raise
        chat.cut()
    return chat


def _read_gym(chat: Conversation, record: Record) -> None:
    """A NeMo Gym rollout of v0.3 to main: responses_create_params, response."""
    request, response = record.responses_create_params, record.response
    assert isinstance(request, Request)
    if request.instructions not in NOTHING:
        chat.extend([Item(role="system", content=request.instructions)])
    chat.extend(chats.expanded(_items(request.input)))
    chat.end_of_prompt()
    if response is None:
        return
    if not isinstance(response, Response):
        raise Damaged(f"the response is a {type(response).__name__}, not an object")
    chat.extend(chats.expanded(responses.last_snapshot(_items(response.output))))


def _read_chat(chat: Conversation, record: Record) -> None:
    """`messages`, or `prompt` and `completion` or `response`, as text or as messages."""
    if record.messages is not None:
        chat.end_of_prompt()
        if isinstance(record.messages, str) and chats.written(record.messages) is None:
            raise Damaged("messages is text, not a list of messages")
        chat.extend(list(chats.items_of(_items(record.messages))))
        return
    answer = record.response if record.completion is None else record.completion
    if record.prompt is None:
        raise Damaged("a response without a prompt")
    chat.extend(list(chats.items_of(_items(record.prompt))))
    chat.end_of_prompt()
    if isinstance(answer, Response):
        chat.extend(list(chats.items_of(responses.message_of(answer))))
    else:
        chat.extend(list(chats.items_of(_items(answer, role="assistant"))))


def _items(value: Any, role: str = "user") -> list[Any]:
    """A conversation; plain text is one message, and so is an object with a role."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return chats.written(value) or [Item(role=role, content=raw(value))]
    if value is None:
        return []
    if isinstance(value, dict) and "role" in value:
        return [msgspec.json.decode(msgspec.json.encode(value), type=Item)]
    raise Damaged(f"a conversation is a {type(value).__name__}, not a list")


def _learned(chat: Conversation, is_input: bool) -> tuple[int, int]:
    """Where the completion begins and ends."""
    messages = chat.messages
    if is_input or "assistant" not in map(_role, messages):
        if not messages:
            raise SetAside("the prompt is not in the record")
        if is_input or chat.given == 0:
            return len(messages), len(messages)
    first, end = _beginning(chat), len(messages)
    if chat.unlearned:
        turns = [at for at in range(first, end) if messages[at].role == "assistant"]
        first, end = learned_part(turns, chat.unlearned, end)
    return first, end


def _beginning(chat: Conversation) -> int:
    """Where the completion begins: at the model's first turn in what came back."""
    messages = chat.messages
    first = chat.given or 0
    for message in messages[first:]:
        if message.role == "assistant":
            break
        first += 1
    for message in messages[first:]:
        if message.role == "assistant" and (message.tool_calls or message.content not in NOTHING):
            break
    else:
        raise SetAside("the model wrote nothing")
    if first == 0:
        raise SetAside("the prompt is not in the record")
    return first


def _agent(record: Record) -> str | None:
    reference = record.agent_ref
    name = reference.get("name") if isinstance(reference, dict) else record.agent
    return name if isinstance(name, str) else None


def _task(record: Record, agent: str | None, prompt: list[Message], digest: int) -> str:
    """What the prompt says, for each agent and number that NeMo Gym stamped: the numbers of two
    runs say nothing about each other, and rollouts of one task have one prompt."""
    index = record.index
    if index is None and record.messages is not None:
        index = record.task_id
    if type(index) is int or type(index) is str:
        return f"{agent or ''}:{index}:{digest:016x}"
    return f"prompt:{xxhash.xxh3_128_hexdigest(same_text(prompt))}"


def number_of(task: str) -> str | None:
    """Agent and number of a task that has them."""
    number, _, _ = task.rpartition(":")
    return None if number in {"", "prompt"} else number


def _tools(record: Record) -> msgspec.Raw:
    """Of the request; some records have them on the response or beside it."""
    request, response = record.responses_create_params, record.response
    if isinstance(request, Request) and len(request.tools) > len(b"null"):
        return request.tools
    if isinstance(response, Response) and len(response.tools) > len(b"null"):
        return response.tools
    if len(record.tools) <= len(b"null") and (record.info or record.functions is not NULL):
        return responses.other_tools(record)
    return record.tools


def _ground_truth(record: Record) -> msgspec.Raw:
    for found in (record.expected_answer, record.ground_truth, record.verifier_metadata):
        if found and found != NULL:
            return found
    return answer_of(record)


def _add_turns(rollout: Rollout, record: Record, chat: Conversation, first: int) -> None:
    """Token ids and rewards of the model's turns in the completion, each only if whole.

    Rewards are a list beside the reward, or stand on the turns; a turn without one earned nothing.
    """
    turns = [at for at in range(first, len(chat.messages)) if chat.messages[at].role == "assistant"]
    noted = [chat.notes.get(at, (None, None)) for at in turns]
    tokens = [found for found, _ in noted if found is not None]
    rewards: Any = record.turn_rewards
    if rewards is None and any(reward is not None for _, reward in noted):
        rewards = [0.0 if reward is None else reward for _, reward in noted]
    rollout.turn_tokens = tokens if len(tokens) == len(turns) else None
    rollout.turn_rewards = _numbers(rewards, len(turns))


def _numbers(values: Any, count: int) -> list[float] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    try:
        return [float(number) for number in numbers] if len(numbers) == count else None
    except OverflowError:
        return None


def place(messages: Iterable[Message], where: Reasoning) -> None:
    """Put the reasoning of messages where it is wanted."""
    if where == "keep":
        return
    for message in messages:
        if message.reasoning and where == "tags":
            message.content = raw(f"{OPEN}\n{message.thought}\n{CLOSE}\n\n{message.text}")
        message.reasoning = ABSENT

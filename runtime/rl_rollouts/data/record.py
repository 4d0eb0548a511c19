"""One line of a rollout file, decoded as far as it is read; the rest is skipped.

A rollout is mostly what nobody trains on: schemas of tools stored twice, token ids, diagnostics.
Typed decoding passes over those at the speed of reading. Where an object is expected, anything
else is accepted here too, so that the reason is found where the line is understood.
"""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any

import msgspec

from ..errors import Damaged
from .items import Item, Plain, Written
from .rollout import ABSENT, NULL

Odd = list[Any] | str | float | bool | None
"""What stands where an object belongs."""


Items = list[Item | Odd] | dict[str, Any] | str | float | bool | None


_decoded: list[Any] = []
"""Requests, responses and rewards of the record at hand. JSON decoders keep the last of two equal
keys without a word; here each of them leaves its value, without a step to Python."""


class Request(msgspec.Struct):
    """`responses_create_params`: what the model was asked."""

    input: Items = None
    instructions: msgspec.Raw = ABSENT
    tools: msgspec.Raw = NULL

    __post_init__ = _decoded.append  # type: ignore[misc]


class PlainRequest(Request):
    """A request of plain items."""

    input: list[Plain] | str | None = None  # type: ignore[assignment]


class Response(msgspec.Struct):
    """`response`: what came back. Of a chat message only role and content are there, of an answer
    of OpenAI's chat API its choices."""

    output: Items = None
    tools: msgspec.Raw = NULL
    error: Any = None
    status: Any = None
    incomplete_details: Any = None
    role: Any = None
    content: msgspec.Raw = ABSENT
    choices: msgspec.Raw = ABSENT

    __post_init__ = _decoded.append  # type: ignore[misc]


class PlainResponse(Response):
    """A response of plain items."""

    output: list[Plain | Odd] | None = None  # type: ignore[assignment]


class WrittenResponse(Response):
    """A response of which nothing but plain parts came back."""

    output: list[Written | Odd] | None = None  # type: ignore[assignment]


class Reward:
    """Whatever stands as the reward."""

    def __init__(self, value: Any) -> None:
        _decoded.append(self)
        self.value = value


class Record(msgspec.Struct, rename={"failure": "_ng_failure_class", "index": "_ng_task_index"}):
    """The fields of all the forms that are understood; `normalise.py` tells them apart."""

    responses_create_params: Request | Odd = None
    response: Response | list[Item | Odd] | str | float | bool | None = None
    messages: Items = None
    prompt: Items = None
    completion: Items = None
    reward: Reward | None = None
    tools: msgspec.Raw = NULL
    agent_ref: Any = None
    agent: Any = None
    index: Any = None
    task_id: Any = None
    mask_sample: Any = None
    failure: Any = None
    finish_reason: Any = None
    stop_reason: Any = None
    truncated: Any = None
    is_truncated: Any = None
    error: msgspec.Raw = ABSENT
    instance_config: msgspec.Raw = ABSENT
    info: msgspec.Raw = ABSENT
    functions: msgspec.Raw = NULL
    turn_rewards: Any = None
    conversations: msgspec.Raw = ABSENT
    system: msgspec.Raw = ABSENT
    system_prompt: msgspec.Raw = ABSENT
    chosen: Items = None
    rejected: Items = None
    label: Any = None
    question: msgspec.Raw = ABSENT
    answer: msgspec.Raw = ABSENT
    instruction: msgspec.Raw = ABSENT
    input: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT
    expected_answer: msgspec.Raw = ABSENT
    ground_truth: msgspec.Raw = ABSENT
    verifier_metadata: msgspec.Raw = ABSENT


class Plainly(Record):
    """A record of NeMo Gym of which all items are plain."""

    responses_create_params: PlainRequest | None = None
    response: PlainResponse | None = None


class Usual(Record):
    """The same as most are."""

    responses_create_params: PlainRequest | None = None
    response: WrittenResponse | None = None


def _decoder(form: type[Record]) -> Callable[[bytes], Record]:
    return msgspec.json.Decoder(form, dec_hook=lambda _, value: Reward(value)).decode


_decode, _decode_plain, _decode_usual = _decoder(Record), _decoder(Plainly), _decoder(Usual)
_decode_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
READ = {
    "responses_create_params", "response", "messages", "prompt", "completion", "reward", "tools",
    "agent_ref", "mask_sample", "turn_rewards", "conversations", "chosen", "rejected",
}  # fmt: skip
"""Keys that are not metadata."""


NAMES = {
    Request: "responses_create_params",
    PlainRequest: "responses_create_params",
    Response: "response",
    PlainResponse: "response",
    WrittenResponse: "response",
    Reward: "reward",
}


READ_ONCE = ("messages", "prompt", "completion", "chosen", "rejected")
_read_once = attrgetter(*READ_ONCE)
UNREAD = (None,) * len(READ_ONCE)


def parse(data: bytes) -> Record:
    """Decode one line. NaN and Infinity, which Python writes, are read as text.

    Raises:
        Damaged: when it is no JSON object.
    """
    _decoded.clear()
    try:
        record = _decode_usual(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = _parse_any(data)
    if len(_decoded) > _kept(record):
        held = [id(record.responses_create_params), id(record.response), id(record.reward)]
        twice = next(type(value) for value in _decoded if id(value) not in held)
        raise Damaged(f"the key {NAMES[twice]} stands twice in the record")
    if _read_once(record) != UNREAD:
        for name in READ_ONCE:
            if getattr(record, name) is not None and data.count(b'"%s"' % name.encode()) > 1:
                _demand_once(data, name)
    return record


def _kept(record: Record) -> int:
    """How many of the values that were decoded are in the record."""
    asked = isinstance(record.responses_create_params, Request)
    return asked + isinstance(record.response, Response) + (record.reward is not None)


def is_utf8(data: bytes) -> bool:
    try:
        data.isascii() or data.decode()
    except UnicodeDecodeError:
        return False
    return True


def demand_text(data: bytes) -> None:
    """Refuse what is no UTF-8 before it is passed on: what is not decoded has not been checked."""
    if not is_utf8(data):
        raise Damaged("the line is not UTF-8")


def metadata_of(data: bytes) -> dict[str, msgspec.Raw]:
    """What stands on a record beside the rollout itself; a line that `parse` accepts."""
    return {
        key: value
        for key, value in values_of(data).items()
        if key not in READ and not key.startswith("_ng_")
    }


def values_of(data: bytes) -> dict[str, msgspec.Raw]:
    """All values of a line that `parse` accepts, not decoded."""
    try:
        return _decode_values(data)
    except msgspec.DecodeError:
        return _decode_values(_rewritten(data))


class Metadata(msgspec.Struct, gc=False):
    """The same, read when it is asked for, and once for all copies of a rollout."""

    data: bytes
    found: dict[str, msgspec.Raw] | None = None

    def __call__(self) -> dict[str, msgspec.Raw]:
        if self.found is None:
            self.found = metadata_of(self.data)
        return self.found


def _parse_any(data: bytes) -> Record:
    """A record of any form."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _decoded.clear()
        return _decode_plain(data)
    _decoded.clear()
    try:
        return _decode(data)
    except UnicodeDecodeError:
        raise Damaged("the line is not UTF-8") from None
    except RecursionError:
        raise Damaged("the line is nested too deeply") from None
    except msgspec.DecodeError as error:
        return _parse_leniently(data, str(error))


def _parse_leniently(data: bytes, problem: str) -> Record:
    """What Python writes and JSON does not know; a line that is no JSON ends here."""
    _decoded.clear()
    try:
        return _decode(_rewritten(data))
    except RecursionError:
        raise Damaged("the line is nested too deeply") from None
    except msgspec.ValidationError:
        raise Damaged(f"the line is no JSON object: {problem}") from None
    except msgspec.DecodeError:
        # All else that Python accepts has been rewritten.
        raise Damaged("half of a surrogate pair, which is no character") from None
    except ValueError:
        raise Damaged(f"the line is not JSON: {problem}") from None


def _rewritten(data: bytes) -> bytes:
    """The same record as strict JSON."""
    record = json.loads(
        data, parse_constant=str, parse_float=_finite, object_pairs_hook=_demand_single
    )
    return json.dumps(record).encode()


def _demand_once(data: bytes, name: str) -> None:
    try:
        pairs = json.loads(data, object_pairs_hook=list)
    except UnicodeDecodeError:
        raise Damaged("the line is not UTF-8") from None
    except RecursionError:
        raise Damaged("the line is nested too deeply") from None
    if [key for key, _ in pairs].count(name) > 1:
        raise Damaged(f"the key {name} stands twice in the record")


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _demand_single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Damaged(f"the key {twice} stands twice in an object")
    return record

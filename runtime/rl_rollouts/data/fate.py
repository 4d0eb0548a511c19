"""What became of a rollout, in the words of the tools that write them: whether it was cut off, went
wrong, or is not to be trained on."""

import re
from typing import Any

import msgspec

from .items import Item
from .record import Record, Response
from .responses import Choice
from .rollout import ABSENT

CUT_OFF = {
    "length", "max_tokens", "max_output_tokens", "max_new_tokens", "model_length", "incomplete",
    "model_context_window_exceeded",
}  # fmt: skip
"""Reasons to stop that cut the model off, in any case. Source: the APIs of OpenAI, Anthropic, vLLM,
Google and Mistral."""
WENT_WRONG = {"error", "content_filter", "abort", "aborted", "cancelled", "failed", "timeout"}
NUMBER = re.compile(rb"-?[0-9]").match
"""An error that is a number is a measure, as of a distance; it says nothing about a failure."""
EMPTY = (ABSENT, *map(msgspec.Raw, (b"null", b"false", b'""', b"{}", b"[]")))


def fate_of(record: Record) -> tuple[bool, bool]:
    """Whether a rollout was truncated, and whether it failed."""
    stops: tuple[Any, ...] = record.finish_reason, record.stop_reason
    cut = record.is_truncated is True or record.truncated is True
    failed = record.failure is not None or _is_failure(record.error)
    response = record.response
    if isinstance(response, Response):
        details = response.incomplete_details
        reason = details.get("reason") if type(details) is dict else None
        cut = cut or reason == "max_output_tokens" or response.status == "incomplete"
        if response.choices:
            stops = (*stops, *_of_choices(response))
        failed = failed or bool(response.error)
        if response.status is not None and response.status != "completed":
            failed = failed or _lower(response.status) in WENT_WRONG
    else:
        stops = (*stops, *_of_last_turn(record))
    if stops != (None, None):
        found = set(map(_lower, stops))
        cut, failed = cut or bool(found & CUT_OFF), failed or bool(found & WENT_WRONG)
    return cut, failed


def is_masked(record: Record) -> bool:
    """Whether the environment says that a rollout is not to be trained on.

    Source: `_extract_mask_sample_flags`, with which NVIDIA's own trainer reads `instance_config`.
    """
    if record.mask_sample or not record.instance_config:
        return bool(record.mask_sample)
    if bytes(record.instance_config).find(b"mask_sample") < 0:
        return False
    found = msgspec.json.decode(record.instance_config)
    return isinstance(found, dict) and bool(found.get("mask_sample"))


def _is_failure(error: msgspec.Raw) -> bool:
    return error not in EMPTY and NUMBER(error) is None


def _of_choices(response: Response) -> list[Any]:
    """Why the answers of a chat API stopped."""
    try:
        choices = msgspec.json.decode(response.choices, type=list[Choice])
    except msgspec.DecodeError:
        return []
    return [choice.finish_reason for choice in choices]


def _of_last_turn(record: Record) -> tuple[Any, ...]:
    """Why the last message of a chat stopped, where that stands on it."""
    for messages in (record.completion, record.messages):
        if isinstance(messages, dict):
            return messages.get("finish_reason"), messages.get("stop_reason")
        if isinstance(messages, list) and messages and isinstance(messages[-1], Item):
            return messages[-1].finish_reason, messages[-1].stop_reason
    return None, None


def _lower(reason: Any) -> str | None:
    return reason.lower() if isinstance(reason, str) else None

"""Questions to servers: JSON over HTTP, asked again where that may help."""

import http.client
import json
import random
import time
from typing import Any
from urllib import error, request

LONGEST_PAUSE = 30.0
"""Seconds between two attempts."""


class NoAnswer(Exception):
    """The message says why there is none."""


class Refused(NoAnswer):
    """The server does not take this request (4xx), however often it is sent."""


def ask(
    address: str, body: Any = None, *, timeout: float, retries: int = 0, pause: float = 0.5
) -> Any:
    """POST a body, or GET without one.

    Args:
        timeout: seconds that one attempt may take.
        retries: attempts after the first, when there is no connection, no answer in time, or an
            error of the server (5xx).
        pause: seconds before the second attempt; doubled for each further one, 30 at most.

    Returns:
        The JSON of the answer; None of an empty one.

    Raises:
        NoAnswer: when there is none in the end, or it is no JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    asked = request.Request(address, data, {"Content-Type": "application/json"})
    problem = ""
    for attempt in range(retries + 1):
        if attempt:
            # Not the shared generator: a reward must not change what a trainer draws.
            time.sleep(_random.uniform(0.5, 1) * min(LONGEST_PAUSE, pause * 2 ** (attempt - 1)))
        try:
            with request.urlopen(asked, timeout=timeout) as answer:
                return _decoded(answer.read())
        except error.HTTPError as failure:
            problem = f"{failure.code} {failure.reason}: {_beginning(failure)}"
            if failure.code < 500:
                raise Refused(problem) from None
        except TimeoutError:
            problem = f"no answer in {timeout:g} seconds"
        except (OSError, http.client.HTTPException) as failure:
            problem = str(getattr(failure, "reason", failure)) or type(failure).__name__
    raise NoAnswer(f"{retries + 1} attempts; the last: {problem}" if retries else problem)


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        shown = content[:300].decode("utf-8", "replace")
        raise NoAnswer(f"no JSON: {shown}") from None


def _beginning(failure: error.HTTPError) -> str:
    """Of what the server said about its error."""
    try:
        return failure.read(300).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return "no more was said"


_random = random.SystemRandom()

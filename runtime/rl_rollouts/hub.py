"""Models by their names: a folder, or an id of Hugging Face, which may be out of reach.

Left alone, its library tries five times for each file, with a line each, and says at last that
something is wrong with the connection.
"""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from .errors import UserError

FAILURES = (OSError, ValueError, KeyError, RuntimeError)
"""What transformers, peft and tokenizers raise where they cannot load something."""
OFFLINE = "HF_HUB_OFFLINE"
PATIENCE = 10.0
"""Seconds for a connection."""
ANOTHER = "Give a Hugging Face id that you may read, or a local folder."
NOT_YET = "Train first (`make train`) if training is to write it, or give another path."


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Whatever loads a model or a part of it; what goes wrong is said once, in words.

    Raises:
        UserError: when it cannot be loaded.
    """
    demand_there(name)
    alone = ask_nobody_in_vain(name)
    log = logging.getLogger("huggingface_hub.utils._http")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    except FAILURES as error:
        if alone and not _cached(name):
            raise _missing(name, alone) from None
        reason, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"Cannot load {name}: {reason}", ANOTHER) from None
    finally:
        log.setLevel(before)


def demand_there(name: str) -> None:
    """See that a name which can only be a path is one: ids have one slash at most.

    Raises:
        UserError: when nothing is there.
    """
    path = name[:1] in {"/", ".", "~"} or name.count("/") > 1
    if path and not Path(name).expanduser().exists():
        raise UserError(f"There is no {name}.", NOT_YET)


def ask_nobody_in_vain(name: str) -> str:
    """Keep this process and those that it starts from a network that is not there.

    Returns:
        Why only this machine is asked for the model; nothing where that is not so.
    """
    if Path(name).exists():
        return ""
    if os.environ.get(OFFLINE, "").upper() in {"1", "ON", "YES", "TRUE"}:
        return f"{OFFLINE} is set"
    host = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if host.hostname is None or getproxies().keys() & {"https", "all"} or _answers(host):
        return ""
    os.environ[OFFLINE] = "1"
    if constants := sys.modules.get("huggingface_hub.constants"):
        vars(constants)[OFFLINE] = True
    return f"{host.hostname} cannot be reached"


def _answers(host: SplitResult) -> bool:
    port = host.port or (80 if host.scheme == "http" else 443)
    try:
        socket.create_connection((str(host.hostname), port), PATIENCE).close()
    except OSError:
        return False
    return True


def _cached(name: str) -> bool:
    """Whether something of it was downloaded once."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, "models--" + name.replace("/", "--")).exists()


def _missing(name: str, why: str) -> UserError:
    from huggingface_hub import constants

    return UserError(
        f"{name} is not on this machine (in {constants.HF_HUB_CACHE}), and {why}.",
        f"Where there is a network, `hf download {name} --local-dir FOLDER`; bring the folder here "
        "and give its path in place of the name.",
    )

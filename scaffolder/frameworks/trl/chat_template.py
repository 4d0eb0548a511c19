"""Whether a model's chat template can mark what the model wrote, as far as that is seen from here.

The template is looked for in a local folder and in the Hugging Face cache; nothing is downloaded.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from scaffolder.machine import model_folders

MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
"""As TRL 1.16.0 looks for them (`has_generation_markers`)."""


class Judgement(NamedTuple):
    """What was found out about a chat template."""

    marks_turns: bool | None
    """Whether the loss can fall on the model's own words alone; None when it was not seen."""
    words: str


def judge(model: str, known: Mapping[str, str]) -> Judgement:
    """Look at the chat template of a model, given as a folder or a Hugging Face id.

    Args:
        known: SHA-256 of templates that the framework replaces by ones with marks, by name.
    """
    names = {digest: name for name, digest in known.items()}
    for folder in model_folders(model):
        text = _template_in(folder)
        if text is None:
            continue
        if MARKS.search(text):
            return Judgement(True, "The model's chat template marks what the model writes.")
        if name := names.get(sha256(text.encode()).hexdigest()):
            words = f"The model's chat template is one that TRL can mark ({name})."
            return Judgement(True, words)
        return Judgement(False, "The model's chat template does not mark what the model writes.")
    return Judgement(None, "The model's chat template was not there to look at.")


def _template_in(folder: Path) -> str | None:
    try:
        return (folder / "chat_template.jinja").read_text("utf-8")
    except (OSError, ValueError):
        pass
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    template = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template}
        template = named.get("default")
    return template if isinstance(template, str) else None

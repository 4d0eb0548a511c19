"""The committed schema is what the installed TRL says."""

import hashlib

import pytest

from contracts.extraction import extract, text, written
from scaffolder.frameworks import discover


def test_the_committed_schema_is_what_trl_says() -> None:
    assert text(extract("trl")) == written("trl").read_text("utf-8"), "run `make schemas`"


@pytest.mark.parametrize("algorithm", discover()["trl"].algorithms)
def test_it_has_exactly_the_keys_of_trls_parser(algorithm: str) -> None:
    from trl import TrlParser

    from trl_settings import classes_of

    schema = discover()["trl"].schema()
    assert schema is not None
    actions = {action.dest for action in TrlParser(classes_of(algorithm))._actions}
    assert set(schema.keys(algorithm)) == actions - {"help"} | {"env"}


def test_a_packaged_template_is_recognised_by_its_hash() -> None:
    from trl.chat_template_utils import qwen3_chat_template

    schema = discover()["trl"].schema()
    assert schema is not None
    found = hashlib.sha256(qwen3_chat_template.encode()).hexdigest()
    assert schema.chat_templates["qwen3"] == found

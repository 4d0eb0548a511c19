"""The committed schema is what the installed verl says."""

from contracts.extraction import extract, text, written


def test_the_committed_schema_is_what_verl_says() -> None:
    assert text(extract("verl")) == written("verl").read_text("utf-8"), "run `make schemas`"

"""The committed schema is what the installed OpenRLHF says."""

from contracts.extraction import extract, text, written


def test_the_committed_schema_is_what_openrlhf_says() -> None:
    assert text(extract("openrlhf")) == written("openrlhf").read_text("utf-8"), "run `make schemas`"

"""The committed schema is what the installed verl says."""

from contracts.extraction import SCHEMAS, extract, text
from scaffolder.frameworks import discover


def test_the_committed_schema_is_what_verl_says() -> None:
    path = SCHEMAS / f"verl-{discover()['verl'].version}.json"
    assert text(extract("verl")) == path.read_text("utf-8"), "run `make schemas`"

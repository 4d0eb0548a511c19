"""docs/defaults.md says what is rendered, and why it is not what a framework or a recipe has."""

import re

import pytest

from conftest import ROOT
from contracts.rendering import variant
from defaults_page import about, reason, rows, told, updated
from defaults_read import SETTINGS, clip, kl, loss, run
from scaffolder.frameworks import discover, names
from scaffolder.vocabulary import LOSSES

PAGE = (ROOT / "docs" / "defaults.md").read_text("utf-8")
ROWS = tuple(rows())


def test_the_page_says_what_is_rendered() -> None:
    assert updated() == PAGE, "run `make examples`"
    combined = {(row.framework, row.algorithm) for row in ROWS}
    assert combined == {(n, word) for n, each in discover().items() for word in each.algorithms}


def test_a_config_that_says_something_else_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    own, theirs = run("trl", "grpo", "full")
    changed = own._replace(keys={**own.keys, "loss_type": "grpo"})
    monkeypatch.setattr("defaults_page.run", lambda *_: (changed, theirs))
    assert "response_mean" in {row.rendered for row in rows() if row.setting == "loss"}


def test_where_ours_differ_a_reason_stands_there() -> None:
    missing = [row for row in ROWS if row.differs and not reason(row)]
    assert not missing
    assert set(told()["reasons"]) <= set(SETTINGS)


def test_each_reason_is_one_for_something() -> None:
    differing = [row for row in ROWS if row.differs]
    for setting, said in told()["reasons"].items():
        for words, why in said.items():
            about_it = [row for row in differing if row.setting == setting and about(words, row)]
            assert any(reason(row) == why for row in about_it), (setting, words)


def test_each_recipe_is_shown() -> None:
    shown = {(row.source, row.setting) for row in ROWS if row.recipe}
    for name, recipe in told()["recipes"].items():
        assert {(name, setting) for setting in recipe["values"]} <= shown, name


def losses() -> dict[str, dict[str, str]]:
    """The table of losses: by what its lines are about, and the framework."""
    table = PAGE.split("## The loss of grpo")[1].split("## Settings")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in line] for line in lines]
    by_title = {each.title: name for name, each in discover().items()}
    frameworks = [by_title[title] for title in head[1:]]
    return {line[0].strip("`"): dict(zip(frameworks, line[1:], strict=True)) for line in body}


@pytest.mark.parametrize("framework", names())
def test_grpo_is_one_loss_in_every_framework(framework: str) -> None:
    own, _ = run(framework, "grpo", "full")
    assert (loss(own), clip(own), kl(own)) == ("token_mean", [0.2, 0.2], 0)
    for word in LOSSES:
        config = variant(framework, "grpo", loss=word, model="org/m-0.6b").config()
        lines = {line.strip() for line in config.splitlines()}
        assert losses()[f"loss={word}"][framework].strip("`") in lines


@pytest.mark.parametrize("framework", names())
def test_the_table_of_losses_has_keys_that_there_are(framework: str) -> None:
    schema = discover()[framework].schema()
    assert schema is not None
    keys = [key for each in schema.algorithms for key in schema.keys(each).items()]
    known = {part for name, _ in keys for part in (name, *name.split("."))}
    known |= {name.rpartition(".")[0] for name, _ in keys}
    known |= {str(choice) for _, key in keys for choice in key.choices}
    said = " ".join(cells[framework] for cells in losses().values())
    words = re.findall(r"`([a-z_.]+)(?:: [\w-]+)?`", said)
    assert len(words) >= 5 and not {word for word in words if not word.endswith(".py")} - known

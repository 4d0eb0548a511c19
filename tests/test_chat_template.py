"""How the loss of sft is decided: by the chat template, where it can be looked at."""

import json
from pathlib import Path

import pytest
import yaml

from projects import render

MARKED = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"


def config_of(folder: Path, model: str) -> str:
    words = ("--framework", "trl", "--algorithm", "sft", "--model", model)
    text = (render(folder, *words) / "trl_config.yaml").read_text("utf-8")
    assert text.count("assistant_only_loss") == 1
    return text


def known() -> str:
    """One of TRL's own templates, which it knows how to mark."""
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    return (folder / "qwen3.jinja").read_text("utf-8")


@pytest.mark.parametrize("form", ["file", "text", "named"])
@pytest.mark.parametrize(
    ("template", "marked", "said"),
    [
        (MARKED, True, "marks what the model writes"),
        (None, True, "one that TRL can mark (qwen3)"),
        (PLAIN, False, "does not mark what the model writes"),
    ],
    ids=["marked", "known", "plain"],
)
def test_the_template_of_a_folder_decides(
    tmp_path: Path, template: str | None, marked: bool, said: str, form: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    text = template or known()
    if form == "file":
        (model / "chat_template.jinja").write_text(text, "utf-8")
    else:
        others = [{"name": "tool_use", "template": ""}, {"name": "default", "template": text}]
        content = {"chat_template": text if form == "text" else others}
        (model / "tokenizer_config.json").write_text(json.dumps(content), "utf-8")
    written = config_of(tmp_path, str(model))
    assert yaml.safe_load(written)["assistant_only_loss"] is marked
    assert said in written
    assert ("each turn of the model is a row of its own" in " ".join(written.split())) != marked


def test_a_model_in_the_cache_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "hub" / "models--org--m-1b"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "chat_template.jinja").write_text(PLAIN)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert "does not mark" in config_of(tmp_path, "org/m-1b")


def test_a_model_that_is_elsewhere_is_left_to_the_check(tmp_path: Path) -> None:
    written = config_of(tmp_path, "org/m-1b")
    assert "was not there to look at" in written
    assert yaml.safe_load(written)["assistant_only_loss"] is True
    assert "`make check` looks at" in written

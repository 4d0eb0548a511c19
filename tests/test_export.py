"""`export.py`: whole models, LoRA weights, reward models, and checkpoints in parts."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch.distributed.checkpoint.state_dict_saver import save
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
)

import tiny
from conftest import BASE, Result
from inside import inside

pytestmark = pytest.mark.long

SCRIPT = BASE / "export.py"
ASKED = [{"role": "user", "content": "What do I pay?"}]
ZERO = """
import torch
def get_fp32_state_dict_from_zero_checkpoint(checkpoint_dir, tag=None):
    return {"module." + name: each for name, each in torch.load(checkpoint_dir + "/w.pt").items()}
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    base = tiny.build(folder / "base")
    GenerationConfig(do_sample=True, temperature=0.6, eos_token_id=2).save_pretrained(base)
    tiny.copied(base, folder / "trained")
    return folder


@pytest.fixture
def export(models: Path, tmp_path: Path) -> Callable[..., Result]:
    def call(checkpoint: str | Path, more: str = "--dtype float32") -> Result:
        words = f"--checkpoint {models / checkpoint} --output {tmp_path / 'exported'} {more}"
        done = inside(SCRIPT, models, words)
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".export")]
        assert not left
        return done

    return call


def weights(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def logits(model: Any, folder: Path) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template(ASKED, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        found: torch.Tensor = model(**inputs).logits
    return found


def test_a_whole_model_is_cast(export: Any, tmp_path: Path, models: Path) -> None:
    done = export("trained", "")
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "exported"
    saved, meant = weights(exported), weights(models / "trained")
    assert saved.keys() == meant.keys() and "lm_head.weight" not in saved, "tied: written once"
    assert all(torch.equal(each, meant[name].bfloat16()) for name, each in saved.items())
    assert json.loads((exported / "config.json").read_text())["dtype"] == "bfloat16"
    assert json.loads((exported / "generation_config.json").read_text())["temperature"] == 0.6
    assert AutoTokenizer.from_pretrained(exported).chat_template
    again = export("trained")
    assert again.returncode == 2 and "is there already" in again.stderr
    assert weights(exported).keys() == saved.keys()


def test_lora_weights_are_merged(export: Any, tmp_path: Path, models: Path) -> None:
    import peft

    tiny.with_lora(models / "trained", models / "lora")
    done = export("lora")
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "exported"
    assert not (exported / "adapter_config.json").exists()
    base = AutoModelForCausalLM.from_pretrained(models / "trained")
    before = logits(base, models / "trained")
    meant = logits(peft.PeftModel.from_pretrained(base, models / "lora"), models / "trained")
    found = logits(AutoModelForCausalLM.from_pretrained(exported), exported)
    assert torch.allclose(found, meant, atol=1e-4) and not torch.allclose(found, before, atol=0.1)
    assert (exported / "chat_template.jinja").exists(), "from the base"
    assert json.loads((exported / "generation_config.json").read_text())["temperature"] == 0.6


def test_the_base_of_lora_weights_can_be_given(export: Any, models: Path) -> None:
    lora = tiny.with_lora(models / "trained", models / "moved")
    config = lora / "adapter_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "base_model_name_or_path": "/gone/model"}))
    assert "There is no /gone/model" in export("moved").stderr
    assert export("moved", f"--base {models / 'trained'}").returncode == 0


def test_lora_weights_without_peft(
    export: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.with_lora(models / "base", models / "other")
    monkeypatch.setitem(sys.modules, "peft", None)
    done = export("other")
    assert done.returncode == 2 and "pip install peft" in done.stderr


@pytest.mark.parametrize("lora", [False, True])
def test_a_reward_model_stays_one(export: Any, tmp_path: Path, models: Path, lora: bool) -> None:
    name = f"judge-{lora}"
    make = tiny.with_lora if lora else tiny.reward_model
    make(models / "base", models / name, **({"reward": True} if lora else {}))
    done = export(name)
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "exported"
    config = json.loads((exported / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForSequenceClassification"]
    judge = AutoModelForSequenceClassification.from_pretrained(exported)
    assert judge.num_labels == 1 and logits(judge, exported).shape == (1, 1)
    assert "score.weight" in weights(exported)


@pytest.mark.parametrize("place", ["pytorch_model_fsdp_0", "."])
def test_what_fsdp_leaves_in_parts_is_joined(
    export: Any, tmp_path: Path, models: Path, place: str
) -> None:
    """Of transformers' Trainer in a folder of its own, and of a trainer of one's own."""
    model = AutoModelForCausalLM.from_pretrained(models / "trained")
    checkpoint = models / f"run-{place.strip('.')}" / "checkpoint-2"
    parts = {"model": model.state_dict(), "optimizer": {"step": torch.tensor(2)}}
    save(parts, checkpoint_id=checkpoint / place)
    done = export(checkpoint)
    assert done.returncode == 2 and "--base" in done.stderr
    done = export(checkpoint, f"--dtype float32 --base {models / 'base'}")
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "exported"
    saved, meant = weights(exported), weights(models / "trained")
    assert saved.keys() == meant.keys()
    assert all(torch.equal(each, meant[name]) for name, each in saved.items())
    assert (exported / "chat_template.jinja").exists()
    assert json.loads((exported / "generation_config.json").read_text())["temperature"] == 0.6
    found = logits(AutoModelForCausalLM.from_pretrained(exported), exported)
    assert torch.allclose(found, logits(model, exported))


def test_a_torn_checkpoint_in_parts(export: Any, models: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(models / "base")
    checkpoint = models / "torn" / "checkpoint-1"
    save({"model": model.state_dict()}, checkpoint_id=checkpoint / "pytorch_model_fsdp_0")
    part = next((checkpoint / "pytorch_model_fsdp_0").glob("*.distcp"))
    part.write_bytes(part.read_bytes()[:1000])
    done = export(checkpoint, f"--base {models / 'base'}")
    assert done.returncode == 2 and "is not whole" in done.stderr
    part.unlink()
    assert "is not whole" in export(checkpoint, f"--base {models / 'base'}").stderr


def test_the_parts_of_another_model_are_refused(export: Any, models: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(models / "base")
    state = {f"odd.{name}": each for name, each in model.state_dict().items()}
    checkpoint = models / "odd" / "checkpoint-1"
    save({"model": state}, checkpoint_id=checkpoint / "pytorch_model_fsdp_0")
    done = export(checkpoint, f"--base {models / 'base'}")
    assert done.returncode == 2 and "is not one of" in done.stderr


def test_what_deepspeed_leaves_is_joined_by_its_script(
    export: Any, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = models / "zero" / "checkpoint-3"
    (checkpoint / "global_step3").mkdir(parents=True)
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json", "chat_template.jinja"):
        (checkpoint / name).write_bytes((models / "trained" / name).read_bytes())
    model = AutoModelForCausalLM.from_pretrained(models / "trained")
    torch.save(model.state_dict(), checkpoint / "w.pt")
    script = checkpoint / "zero_to_fp32.py"
    script.write_text("from deepspeed.utils import logger\n")
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    done = export(checkpoint)
    assert done.returncode == 2 and "pip install deepspeed" in done.stderr
    script.write_text(ZERO)
    assert export(checkpoint).returncode == 0
    saved, meant = weights(tmp_path / "exported"), weights(models / "trained")
    assert all(torch.equal(each, meant[name]) for name, each in saved.items())


def test_a_full_disk_leaves_nothing(
    export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    done = export("trained")
    assert done.returncode == 1 and "No space left" in done.stderr
    assert not list(tmp_path.iterdir())

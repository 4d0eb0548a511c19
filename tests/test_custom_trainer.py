"""The custom trainer trains: losses, gradients, precision, schedules."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

import custom_loop
import custom_loss
from custom_data import collate, load_dataset
from custom_runs import (
    MARKED,
    Custom,
    assistant,
    log,
    losses,
    sft_row,
    torchrun,
    user,
    weights,
    write_rows,
)
from custom_settings import Settings
from rl_rollouts.models.folders import load_tokenizer

pytestmark = pytest.mark.long


def test_training_lowers_the_loss_and_the_model_reloads(custom: Custom, tiny_qwen: Path) -> None:
    code, out, _ = custom(max_steps=30, weight_decay=0.1, tracker="tensorboard", logging_steps=2)
    assert code == 0
    assert losses()[-1] < losses()[0] / 2
    assert [line["step"] for line in log()] == list(range(2, 31, 2))
    assert "step 30/30  loss " in out
    assert any(Path("out/tensorboard").iterdir())
    before, after = weights(tiny_qwen), weights("out/final")
    assert before.keys() == after.keys()
    assert not torch.equal(before["model.norm.weight"], after["model.norm.weight"])
    reloaded = transformers.AutoTokenizer.from_pretrained("out/final")
    assert reloaded.chat_template == MARKED
    assert Path("out/final/generation_config.json").exists()


def test_the_shared_embedding_is_stored_once(custom: Custom) -> None:
    from safetensors import safe_open

    assert custom()[0] == 0
    with safe_open("out/final/model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names


def test_the_loss_is_the_one_of_transformers(custom: Custom, tiny_qwen: Path) -> None:
    custom(global_batch_size=11, max_steps=1)
    settings = Settings(model_name_or_path=str(tiny_qwen), output_dir=Path())
    tokenizer = load_tokenizer(str(tiny_qwen))
    items = load_dataset(Path("training_data.jsonl"), tokenizer, settings).rows
    batch = collate(items, settings)
    labels = batch["tokens"].masked_fill(~batch["trained"], -100)
    network = transformers.AutoModelForCausalLM.from_pretrained(tiny_qwen)
    theirs = network(batch["tokens"], labels=labels).loss
    assert losses() == pytest.approx([theirs.item()], abs=1e-5)


def test_accumulation_does_not_change_the_mathematics(custom: Custom) -> None:
    custom(global_batch_size=8, micro_batch_size=1, output_dir="one")
    custom(
        global_batch_size=8, micro_batch_size=4, output_dir="four", activation_checkpointing=True
    )
    assert losses("one") == pytest.approx(losses("four"), abs=1e-4)
    assert len(losses("one")) == 4


def test_a_resumed_run_is_the_unbroken_run(custom: Custom, tiny_qwen: Path) -> None:
    shutil.copytree(tiny_qwen, "dropout")
    config = json.loads(Path("dropout/config.json").read_text())
    Path("dropout/config.json").write_text(json.dumps(config | {"attention_dropout": 0.2}))
    options = {"max_steps": 6, "save_steps": 2, "model_name_or_path": "./dropout"}
    custom(**options, output_dir="whole", keep_checkpoints=9)
    shutil.copytree("whole/checkpoint-4", "broken/checkpoint-4")
    Path("broken/.checkpoint-6.partial").mkdir()
    lines = Path("whole/log.jsonl").read_text().splitlines(keepends=True)
    Path("broken/log.jsonl").write_text("".join(lines[:5]) + '{"step": 6, "lo')

    assert custom("--resume", **options, output_dir="broken", keep_checkpoints=1)[0] == 0

    assert losses("broken") == losses("whole")
    unbroken, resumed = weights("whole/final"), weights("broken/final")
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    assert [p.name for p in Path("broken").glob("checkpoint-*")] == ["checkpoint-6"]


def test_resume_starts_fresh_without_checkpoint_and_is_done_when_done(custom: Custom) -> None:
    assert custom("--resume")[0] == 0
    written = Path("out/final/model.safetensors").stat().st_mtime_ns
    code, out, _ = custom("--resume")
    assert code == 0
    assert "nothing to do" in out
    assert Path("out/final/model.safetensors").stat().st_mtime_ns == written


def test_resume_with_other_data_is_refused(custom: Custom) -> None:
    custom(save_steps=2)
    shutil.rmtree("out/final")
    write_rows([sft_row([user("other")], [assistant("data")])])
    code, _, err = custom("--resume", seed=1)
    assert code == 2
    assert "seed was 0 and is now 1" in err
    assert "data_checksum" in err


@pytest.mark.parametrize("packing", [False, True])
def test_two_processes_train_as_one(custom: Custom, packing: bool) -> None:
    options = {"max_steps": 6, "save_steps": 3, "packing": packing, "max_length": 64}
    custom(**options, output_dir="one")
    said = torchrun(**options, micro_batch_size=2, output_dir="two")
    assert "sft in 2 process(es) on cpu" in said
    assert losses("two") == pytest.approx(losses("one"), abs=1e-4)
    one, two = weights("one/final"), weights("two/final")
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    shutil.rmtree("two/final")
    shutil.rmtree("two/checkpoint-6")
    custom("--resume", **options, output_dir="two")  # with another number of processes
    assert losses("two") == pytest.approx(losses("one"), abs=1e-4)


def test_compiled_layers_compute_the_same(custom: Custom) -> None:
    from torch._dynamo.utils import counters

    counters.clear()
    options = {"max_steps": 2, "packing": True}
    custom(**options, output_dir="plain")
    assert not counters["stats"]["unique_graphs"]
    code, _, err = custom(**options, compile=True, output_dir="compiled")
    if " " in torch.__file__:
        assert code == 2 and "because its path has a blank" in err
        return
    assert counters["stats"]["unique_graphs"]
    assert losses("compiled") == pytest.approx(losses("plain"), abs=1e-4)


def test_bfloat16_trains_and_is_the_type_of_the_model(custom: Custom) -> None:
    assert custom(dtype="bfloat16", max_steps=12)[0] == 0
    assert losses()[-1] < losses()[0]
    assert weights("out/final")["model.norm.weight"].dtype == torch.bfloat16


def test_a_loss_that_is_not_finite_stops_the_run(
    custom: Custom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(logprobs: torch.Tensor, *_: object) -> dict[str, torch.Tensor]:
        return {"loss": logprobs.sum() * torch.inf}

    monkeypatch.setitem(custom_loss.LOSSES, "sft", broken)
    code, _, err = custom()
    assert code == 1
    assert "error: Step 1: loss -inf" in err
    assert not Path("out/final").exists()


@pytest.mark.parametrize("scheduler", ["constant", "linear", "cosine"])
def test_the_rate_rises_over_the_warm_up_and_then_falls(scheduler: str, tiny_qwen: Path) -> None:
    settings = Settings(
        model_name_or_path="m",
        output_dir=Path(),
        lr_scheduler=scheduler,
        learning_rate=1.0,
        warmup_ratio=0.2,
    )
    rates = [custom_loop.learning_rate(settings, step, 10) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert (rates[-1] == 1.0) == (scheduler == "constant")
    assert rates[-1] > 0


# What is logged


def test_the_log_says_how_fast_and_with_how_much_memory(custom: Custom, tiny_qwen: Path) -> None:
    from custom_log import flops_of

    assert custom(peak_tflops=0.001, tracker="tensorboard")[0] == 0
    line = log()[-1]
    assert line["tokens_per_second"] > 0 and line["memory_gib"] > 0.1
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_qwen)
    # Of 20 tokens, by hand: two layers of width 2 x 16; the embedding is tied, so it counts.
    by_hand = 6 * model.num_parameters() * 20 + 12 * 2 * 32 * 20 * 20
    assert flops_of(model)(20) == by_hand
    tokens = line["tokens_per_second"] * line["step_seconds"]
    least = 6 * model.num_parameters() * tokens / line["step_seconds"] / 1e9
    assert least < line["mfu"] < 1.2 * least
    custom(output_dir="unknown")
    assert "mfu" not in log("unknown")[-1], "nobody knows the peak of a CPU"


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA A10G", None),
        ("NVIDIA L40S", 362),
        ("NVIDIA L40", None),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 NVL", 835),
    ],
)
def test_the_peak_of_a_gpu_is_known_by_its_name(name: str, teraflops: int | None) -> None:
    from custom_log import known_peak

    assert known_peak(name) == (teraflops and teraflops * 1e12)


def test_of_a_mixture_only_the_experts_that_compute_count() -> None:
    from custom_log import flops_of

    config = transformers.Qwen3MoeConfig(
        vocab_size=64,
        hidden_size=16,
        moe_intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        num_experts=4,
        num_experts_per_tok=1,
        tie_word_embeddings=False,
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    experts = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name)
    assert experts == 4 * 3 * 16 * 8
    computing = model.num_parameters() - 64 * 16 - experts * 3 / 4
    assert flops_of(model)(10) == 6 * computing * 10 + 12 * 16 * 10 * 10

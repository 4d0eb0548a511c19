"""What only a GPU can show of the custom trainer, on one machine with one NVIDIA GPU: `make gpu`.

    python benchmarks/gpu.py                         # all phases, in ten minutes
    python benchmarks/gpu.py --device cpu --tiny     # the same phases small, to see that they run

Models have random weights of real shapes, and are made on the device; no network is used. Each
phase adds its findings to gpu.json when it ends, and one for which no time is left is named as
skipped. benchmarks/gpu.md is written from it; a run on a CPU writes none.
"""

import argparse
import datetime
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CUSTOM, LIBRARY = ROOT / "templates/{{custom}}", ROOT / "runtime"
SAMPLE = ROOT / "templates/{{base}}/tests/sample_rollouts.jsonl"
SECONDS = 600
Found = dict[str, Any]


class Run:
    """One run of all phases, in a folder of its own."""

    def __init__(self, folder: Path, device: str, tiny: bool) -> None:
        self.folder, self.device, self.tiny = folder, device, tiny
        self.end = time.monotonic() + SECONDS
        paths = [ROOT / "templates/{{base}}", LIBRARY, CUSTOM]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        self.environment |= {"HF_HUB_OFFLINE": "1"}
        cpu = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        self.environment |= cpu if device == "cpu" else {}

    def model(self, size: str) -> Path:
        """A Qwen3 of that size, or of two small layers, with the tokenizer of smoke runs."""
        import torch
        import transformers

        from scaffolder.shapes import WELL_KNOWN

        folder = self.folder / f"model-{size}"
        if folder.exists():
            return folder
        words = ["-m", "rl_rollouts.smoke.tiny_model", "--text", str(SAMPLE)]
        self.script(*words, "--output", str(folder))
        if not self.tiny:
            shape = WELL_KNOWN[f"qwen3-{size}"]
            small = transformers.AutoConfig.from_pretrained(folder)
            config = transformers.Qwen3Config(
                vocab_size=shape.vocabulary,
                hidden_size=shape.hidden,
                intermediate_size=shape.ffn,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.kv_heads,
                head_dim=shape.head_dim,
                tie_word_embeddings=shape.tied,
                eos_token_id=small.eos_token_id,
                pad_token_id=small.pad_token_id,
            )
            with torch.device(self.device):
                made: Any = transformers.AutoModelForCausalLM.from_config(config)
            made.save_pretrained(folder)
        return folder

    def script(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        left = max(1.0, self.end - time.monotonic())
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment, timeout=left,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words[:2])}: {done.stderr.strip()[-600:]}")
        return done

    def train(self, name: str, **keys: Any) -> list[dict[str, float]]:
        """A run of the custom trainer; the lines of its log."""
        self.script(*self.command(name, **keys))
        lines = (self.folder / name / "log.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def command(self, name: str, **keys: Any) -> list[str]:
        usual = {"output_dir": name, "packing": True, "logging_steps": 1, "warmup_ratio": 0}
        config = self.folder / f"{name}.yaml"
        config.write_text(json.dumps(usual | keys), "utf-8")
        data = "pairs.jsonl" if keys.get("algorithm") == "dpo" else "rows.jsonl"
        data = "prompts.jsonl" if keys.get("algorithm") == "grpo" else data
        return [str(CUSTOM / "train_custom.py"), "--data_path", data, "--config", config.name]


def write_data(run: Run) -> None:
    """Rows with lengths as chats have them: many short ones, few long ones."""
    chosen = random.Random(0)
    rows: dict[str, list[Found]] = {"rows": [], "pairs": [], "prompts": []}
    for at in range(64 if run.tiny else 2000):
        count = min(60 if run.tiny else 1500, int(chosen.lognormvariate(3 if run.tiny else 5, 1)))
        words = [" ".join(str(chosen.randrange(100)) for _ in range(1 + count)) for _ in range(2)]
        one, other = ([{"role": "assistant", "content": word}] for word in words)
        prompt = [{"role": "user", "content": f"Count from {at}."}]
        base: Found = {"task": str(at), "prompt": prompt, "tools": None, "metadata": {}}
        rows["rows"].append({**base, "completion": one, "reward": 1.0, "tokens": None})
        rewards = {"chosen_reward": 1.0, "rejected_reward": 0.0}
        pair = {"chosen": one, "rejected": other, **rewards}
        rows["pairs"].append({"task": str(at), "prompt": prompt, "tools": None, **pair})
        rows["prompts"].append({**base, "ground_truth": None})
    for name, found in rows.items():
        text = "".join(json.dumps(each) + "\n" for each in found)
        (run.folder / f"{name}.jsonl").write_text(text, "utf-8")


WAYS: dict[str, Found] = {
    "float32": {"packing": False},
    "packed": {},
    "bfloat16": {"dtype": "bfloat16"},
    "checkpointed": {"dtype": "bfloat16", "activation_checkpointing": True},
}


def losses(run: Run) -> Found:
    """Losses of sft and dpo in bfloat16, and packed, are those of float32, not packed."""
    keys: Found = {"max_steps": 3, "global_batch_size": 8, "max_length": 512}
    keys["model_name_or_path"] = str(run.model("0.6b"))
    found: Found = {}
    for algorithm in ("sft", "dpo"):
        curves = {}
        for name, more in WAYS.items():
            lines = run.train(f"{algorithm}-{name}", algorithm=algorithm, **keys, **more)
            curves[name] = [line["loss"] for line in lines]
        for name, curve in curves.items():
            pairs = zip(curve, curves["float32"], strict=True)
            found[f"{algorithm} {name}"] = max(abs(a - b) / abs(b) for a, b in pairs)
    assert all(v < (1e-3 if "packed" in k else 0.02) for k, v in found.items()), found
    return found


def speed(run: Run) -> Found:
    """Tokens a second, MFU and the peak of memory, against the plan."""
    from scaffolder import spec as specs
    from scaffolder.frameworks import get

    found: Found = {}
    rows, steps = (4, 3) if run.tiny else (64, 8)
    for size in ("0.6b", "1.7b"):
        for name, more in {"varlen": {}, "compile": {"compile": True}}.items():
            if run.tiny and name == "compile":
                continue  # minutes of a C++ compiler, for nothing to learn on a CPU
            keys: Found = {"global_batch_size": rows, "max_steps": steps, "dtype": "bfloat16"}
            keys |= {"max_length": 512 if run.tiny else 16384, "activation_checkpointing": True}
            keys["model_name_or_path"] = str(run.model(size))
            last = run.train(f"speed-{size}-{name}", **keys, **more)[-1]
            kept = ("tokens_per_second", "mfu", "memory_gib")
            found[f"{size} {name}"] = {key: last[key] for key in kept if key in last}
        answers = {"project_name": "p", "framework": "custom", "algorithm": "sft"}
        answers |= {"model": f"Qwen/Qwen3-{size.upper()}", "sequence_length": "16384"}
        spec = specs.build({**answers, "global_batch_size": 1})
        memory = get("custom").plan(spec).memory
        found[f"{size} plan, GiB"] = memory.total if memory else None
    return found


def reward(run: Run) -> Found:
    """grpo raises the reward of writing digits, also at a temperature other than 1."""
    found: Found = {}
    for temperature in (1.0, 0.7):
        keys: Found = {"rewards": "rl_rollouts.smoke.toy:score", "num_generations": 16}
        keys |= {"max_new_tokens": 24, "max_length": 512, "global_batch_size": 32}
        keys |= {"max_steps": 20 if run.tiny else 40, "lr_scheduler": "constant"}
        keys |= {"learning_rate": 3e-3 if run.tiny else 1e-5, "temperature": temperature}
        model = str(run.model("0.6b"))
        name = f"grpo-{temperature}"
        lines = run.train(name, algorithm="grpo", model_name_or_path=model, **keys)
        rewards = [line["reward"] for line in lines]
        found[str(temperature)] = [sum(rewards[:5]) / 5, sum(rewards[-5:]) / 5]
    assert all(after > before for before, after in found.values()), found
    return found


def ended(run: Run) -> Found:
    """SIGTERM twice leaves a whole checkpoint, from which the run goes on."""
    keys: Found = {"model_name_or_path": str(run.model("0.6b")), "max_length": 512}
    keys |= {"max_steps": 5000, "global_batch_size": 4, "save_steps": 5000}
    command = run.command("ended", **keys)
    log = run.folder / "ended/log.jsonl"
    with subprocess.Popen(
        [sys.executable, *command], cwd=run.folder, env=run.environment, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None and not (log.exists() and log.read_text("utf-8")):
            time.sleep(0.2)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=max(1.0, run.end - time.monotonic()))
    (checkpoint,) = (run.folder / "ended").glob("checkpoint-*")
    step = int(checkpoint.name.rpartition("-")[2])
    run.script(*command, "--resume", "--set", f"max_steps={step + 2}")
    steps = [json.loads(line)["step"] for line in log.read_text("utf-8").splitlines()]
    assert process.returncode == 143 and steps == list(range(1, step + 3)), (step, steps)
    return {"step": step}


def used(run: Run) -> Found:
    """The trained model is evaluated and exported."""
    model = str(run.folder / "sft-bfloat16/final")
    prompts = ["--prompts", "prompts.jsonl", "--rewards", "rl_rollouts.smoke.toy:score"]
    base = ROOT / "templates/{{base}}"
    limits = ["--limit", "4", "--max_new_tokens", "16", "--output", "evaluation.jsonl"]
    run.script(str(base / "evaluate.py"), "--model", model, *prompts, *limits)
    run.script(str(base / "export.py"), "--checkpoint", model, "--output", "exported")
    return {"responses": len((run.folder / "evaluation.jsonl").read_text("utf-8").splitlines())}


PHASES: tuple[Callable[[Run], Found], ...] = (losses, ended, used, speed, reward)
NOT_YET = (
    "TRL beside it, FSDP2 on a mesh of one, LoRA of 8B, the loop against the kernel, and what is "
    "said when memory runs out: no phase has them yet."
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="two small layers, few rows")
    parser.add_argument("--output", type=Path, default=Path("gpu"), help="a folder for all of it")
    chosen = parser.parse_args()
    import torch

    if chosen.device == "cuda" and not torch.cuda.is_available():
        print(
            "error: this machine shows no NVIDIA GPU to torch, and nothing was measured.\n"
            "Run it where there is one; --device cpu --tiny only shows that its phases run.",
            file=sys.stderr,
        )
        return 2
    chosen.output.mkdir(parents=True)
    run = Run(chosen.output.resolve(), chosen.device, chosen.tiny)
    write_data(run)
    return phases(run, torch.cuda.get_device_name(0) if chosen.device == "cuda" else "a CPU")


def phases(run: Run, card: str) -> int:
    """All of them; 1 where one failed."""
    import torch

    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    said: Found = {"date": today, "card": card, "torch": torch.__version__, "phases": {}}
    said["python"] = platform.python_version()
    for phase in PHASES:
        began, found = time.monotonic(), dict[str, Any]()
        if began > run.end - (0 if run.tiny else 30):
            found["skipped"] = "no time was left"
        else:
            try:
                found["found"] = phase(run)
            except Exception as error:
                found["failed"] = f"{type(error).__name__}: {error}"
        found["seconds"] = round(time.monotonic() - began, 1)
        said["phases"][phase.__name__] = found
        (run.folder / "gpu.json").write_text(json.dumps(said, indent=2), "utf-8")
        print(phase.__name__, json.dumps(found), flush=True)
    if run.device == "cuda" and not run.tiny:
        (ROOT / "benchmarks/gpu.md").write_text(page(said), "utf-8")
    return int(any("failed" in found for found in said["phases"].values()))


def page(said: Found) -> str:
    rows = [
        f"| {name} | {json.dumps(found.get('found') or found)} | {found['seconds']} |"
        for name, found in said["phases"].items()
    ]
    head = f"{said['date']}, {said['card']}, torch {said['torch']}, Python {said['python']}."
    table = "\n".join(["| phase | found | seconds |", "|---|---|---|", *rows])
    return f"# On a GPU\n\n{head} `make gpu`. {NOT_YET}\n\n{table}\n"


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(LIBRARY)]
    raise SystemExit(main())

"""The planner's memory against torch's own tracker: FSDP2 with fake tensors, at real sizes.

    python benchmarks/memory_plan.py            # all, to benchmarks/memory.md
    python benchmarks/memory_plan.py 8B 1 8     # one: size, rows of 4096 tokens, processes

Fake tensors have shapes and no storage, so no GPU and little memory are needed. What is seen is
what torch allocates for weights, gradients, AdamW and activations of the custom trainer's set-up
(float32 states, bfloat16 computation, float32 sums, activation checkpointing, the head in chunks),
with gradients of two micro batches accumulated.
Not seen are CUDA's context, fragmentation and the buffers of NCCL: `memory.OVERHEAD` of the plan.
It is no measurement on a GPU.
"""

import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOKENS = 4096
CASES = (
    ("0.6B", 1, 8), ("0.6B", 8, 8), ("1.7B", 4, 8), ("8B", 1, 8), ("8B", 4, 8), ("8B", 4, 64),
    ("32B", 1, 8), ("32B", 1, 32), ("70B", 1, 64),
)  # fmt: skip


def planned(size: str, rows: int, world: int) -> dict[str, float]:
    """The estimate of the planner for the custom trainer, without what no tracker sees."""
    from scaffolder import spec as specs
    from scaffolder.frameworks.custom.adapter import COST
    from scaffolder.memory import estimate_memory
    from scaffolder.shapes import shape_of

    model = "meta-llama/Llama-3.3-70B-Instruct" if size == "70B" else f"Qwen/Qwen3-{size}"
    answers = {"project_name": "p", "framework": "custom", "algorithm": "sft", "model": model}
    spec = specs.build({**answers, "sequence_length": TOKENS})
    shape = shape_of(model)
    assert shape is not None
    options: Any = {"micro_batch": rows, "sharding": "fsdp2", "processes": world}
    found = estimate_memory(shape.billions, spec, COST, **options)
    return {"states": found.states, "peak": found.total - found.overhead}


def tracked(size: str, rows: int, world: int) -> dict[str, float]:
    """What FSDPMemTracker sees of one process."""
    import torch
    import torch.distributed as dist
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.testing._internal.distributed.fake_pg import FakeStore

    sys.path[:0] = [str(ROOT / "templates/{{custom}}"), str(ROOT / "runtime")]
    from custom_loss import in_chunks
    from custom_model import layers_of

    store: Any = FakeStore()
    dist.init_process_group("fake", rank=0, world_size=world, store=store)
    mesh = init_device_mesh("cpu", (world,))

    class Policy(torch.nn.Module):
        """As that of custom_model.py, without what is taken out of a batch by value."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any) -> Any:
            found = self.model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state
            head = self.model.get_output_embeddings()
            hidden = found.view(-1, found.shape[-1])
            return in_chunks(hidden, head.weight, None, tokens.view(-1), 1024, 1.0)

    with FakeTensorMode():
        model = random_model(size)
        model.activation_checkpointing_enable()
        policy = Policy(model)
        rules = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for module in [*layers_of(model), policy]:
            fully_shard(module, mesh=mesh, mp_policy=rules)
        optimizer = torch.optim.AdamW(policy.parameters(), foreach=False)
        tracker = FSDPMemTracker(policy, optimizer)
        batch = torch.zeros(rows, TOKENS, dtype=torch.long)
        policy.train()
        with tracker:
            for micro in range(3):  # the first makes the states, the others accumulate
                policy(batch).sum().backward()
                tracker.reset_mod_stats()
                if micro != 1:
                    optimizer.step()
                    optimizer.zero_grad()
        peak = max(each["Total"] for each in tracker.get_tracker_snapshot("peak").values())
    weights = sum(parameter.numel() for parameter in policy.parameters())
    return {"states": weights * 16 / world / 2**30, "peak": peak / 2**30}


def random_model(size: str) -> Any:
    """A model of that shape; inside FakeTensorMode it has no storage."""
    import torch
    import transformers

    from scaffolder.shapes import WELL_KNOWN

    name = "llama-3.3-70b" if size == "70B" else f"qwen3-{size.lower()}"
    shape = WELL_KNOWN[name]
    kind: Any = transformers.LlamaConfig if size == "70B" else transformers.Qwen3Config
    config = kind(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
    )
    torch.nn.init.normal_ = lambda tensor, *_, **__: tensor
    return transformers.AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="sdpa"
    )


def one(size: str, rows: int, world: int) -> dict[str, Any]:
    began = time.monotonic()
    found = {"planned": planned(size, rows, world), "tracked": tracked(size, rows, world)}
    return {"case": [size, rows, world], **found, "seconds": round(time.monotonic() - began)}


def main(words: list[str]) -> None:
    if words:
        print(json.dumps(one(words[0], int(words[1]), int(words[2]))))
        return
    lines = []
    for case in CASES:  # each in a process of its own: a process group is made once
        command = [sys.executable, __file__, *map(str, case)]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        lines.append(line(found))
        print(lines[-1], flush=True)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    (ROOT / "benchmarks/memory.md").write_text(page(lines, today), "utf-8")


def line(found: dict[str, Any]) -> str:
    size, rows, world = found["case"]
    cells = [size, f"{rows} x {TOKENS}", str(world)]
    for what in ("states", "peak"):
        plan, seen = found["planned"][what], found["tracked"][what]
        cells += [f"{plan:.1f}", f"{seen:.1f}", f"{100 * (plan / seen - 1):+.0f} %"]
    return f"| {' | '.join(cells)} |"


def page(lines: list[str], today: str) -> str:
    import torch
    import transformers

    head = "| model | tokens a GPU | GPUs | states, plan | tracked | | peak, plan | tracked | |"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    about = (__doc__ or "").split("\n\n", 2)[2].strip()
    title = "# The memory plan against torch's tracker"
    table = "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *lines])
    said = f"{today}, {versions}, GiB a GPU, `python benchmarks/memory_plan.py`."
    return f"{title}\n\n{said}\n\n{about}\n\n{table}\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])

"""The words a user may say, as types. Plain typing, so that shell completion stays fast.

The names are the field's own; `WORDS` says each in a few words.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Algorithm = Literal[
    "sft", "dpo", "kto", "rm", "grpo", "rloo", "ppo", "reinforce_pp", "dapo", "gspo"
]
"""What is done with the data. The first four read it, the others generate."""

DatasetKind = Literal["sft", "preference", "unpaired", "prompts", "trajectories"]
"""What one row of the prepared data holds."""

Pattern = Literal["direct", "continuous", "staged"]
"""`direct`: data in, model out. `continuous`: generate, train, generate. `staged`: named stages."""

Topology = Literal["local", "slurm", "ray", "kubernetes"]
"""Where the GPUs are."""

Tracker = Literal["tensorboard", "wandb", "mlflow", "none"]
"""Where the loss curve goes."""

Tuning = Literal["full", "lora", "qlora"]
"""What is trained: all weights, or adapters of low rank beside frozen ones (qlora: in 4 bits)."""

Sharding = Literal["ddp", "fsdp2", "zero2", "zero3", "megatron"]
"""What the training processes share: nothing, or weights, gradients and optimizer states; with
megatron also the work on each row."""

Scheduler = Literal["cosine", "linear", "constant"]
"""How the learning rate falls after the warm-up."""

Loss = Literal["token_mean", "response_mean"]
"""What the loss of grpo is a mean over."""

Generation = Literal[
    "transformers", "vllm_colocate", "sglang_colocate", "vllm_server", "vllm_async"
]
"""What writes the responses of online algorithms: the trainer itself, vLLM or SGLang on the GPUs of
the trainer, or vLLM on GPUs of its own, where it may go on while the trainer works."""

RowsWithTools = Literal["refuse", "drop", "environment"]
"""What online training does with rows that speak of tools: stop, leave them out, or run the tools
in an environment of the project."""

Thinking = Literal["off", "on"]
"""Whether models that can reason before they answer do so."""

Wish = Literal[
    "scale",
    "few_gpus",
    "tools",
    "hugging_face",
    "readable",
    "own_system",
    "cpu",
    "pip",
    "amd",
]
"""What may matter to somebody who chooses a framework. A fact of an adapter grades it: 2 in full, 1
in part, 0 not. A wish without a fact is not known. What the grades take:

    scale         2: its own repository documents hundreds of GPUs; 1: several machines
    few_gpus      2: adapters beside weights in 4 bits; 1: adapters
    tools         2: projects for online training bring tools that run; 1: it can be set up so
    hugging_face  2: its trainer is that of transformers; 1: it reads and writes such models
    readable      2: all of the trainer is in the project; 1: a class that the project makes
    own_system    2: the project trains with any trainer that fulfils a protocol
    cpu           2: `make smoke` trains without a GPU
    pip           2: pip alone installs all of it; 1: some of it, or after a compilation
    amd           2: its projects install on AMD GPUs; 1: only the framework itself does
"""

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
OFFLINE: frozenset[str] = frozenset({"sft", "dpo", "kto", "rm"})
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)
TUNINGS: tuple[Tuning, ...] = get_args(Tuning)
SHARDINGS: tuple[Sharding, ...] = get_args(Sharding)
GENERATIONS: tuple[Generation, ...] = get_args(Generation)
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)
LOSSES: tuple[Loss, ...] = get_args(Loss)
ROWS_WITH_TOOLS: tuple[RowsWithTools, ...] = get_args(RowsWithTools)
WISHES: tuple[Wish, ...] = get_args(Wish)
ONLINE_WISHES: frozenset[Wish] = frozenset({"tools"})
"""Those that say nothing about algorithms which only read data."""
COLOCATED: frozenset[str] = frozenset({"vllm_colocate", "sglang_colocate"})
WORDS: dict[str, str] = {
    "not decided": "show what each framework can do",
    "sft": "supervised fine-tuning on the best rollouts",
    "dpo": "preferences: better against worse rollout of a task",
    "kto": "good and bad rollouts without pairs",
    "rm": "a reward model",
    "grpo": "online, groups of samples compared",
    "rloo": "online, leave-one-out baseline",
    "ppo": "online, with a critic",
    "reinforce_pp": "online, REINFORCE++",
    "dapo": "GRPO with a loss over tokens and wider clipping",
    "gspo": "GRPO with sequence-level ratios",
    "local": "this machine",
    "slurm": "a Slurm cluster",
    "ray": "a running Ray cluster",
    "kubernetes": "a Kubernetes cluster",
    "full": "all weights",
    "lora": "adapters beside frozen weights, for less memory",
    "qlora": "the same, with the frozen weights in 4 bits",
    "vllm_colocate": "vLLM on the GPUs that train",
    "sglang_colocate": "SGLang on the GPUs that train",
    "vllm_server": "vLLM on GPUs of its own",
    "vllm_async": "vLLM on GPUs of its own, which generates while the others train",
    "transformers": "the trainer itself, which is slow",
    "direct": "data in, model out",
    "continuous": "generate, train, generate with the new model, and again",
    "staged": "named stages that can be resumed",
    "cosine": "half a cosine, to zero",
    "linear": "a straight line, to zero",
    "constant": "not at all",
    "token_mean": "all tokens of a step count alike",
    "response_mean": "each response counts alike, whatever its length",
    "scale": "models and clusters beyond one machine",
    "few_gpus": "one or few GPUs with little memory",
    "tools": "tools over several turns in online training",
    "hugging_face": "the Hugging Face ecosystem",
    "readable": "reading and changing all of the trainer",
    "own_system": "a training system of my own, or one that is not open",
    "cpu": "trying the whole path without a GPU",
    "pip": "installation with pip alone",
    "environment": "the model calls them, and environment.py runs them",
    "drop": "rows with tools are left out",
    "refuse": "training stops at them, until this is chosen in the config",
    "amd": "AMD GPUs",
}
"""What the words mean."""
NEAREST: Mapping[str, tuple[str, ...]] = {
    "sft": ("dpo", "kto"),
    "dpo": ("kto", "rm", "sft"),
    "kto": ("dpo", "sft", "rm"),
    "rm": ("dpo", "kto", "sft"),
    "grpo": ("dapo", "gspo", "rloo", "reinforce_pp", "ppo"),
    "rloo": ("grpo", "reinforce_pp", "dapo", "gspo", "ppo"),
    "reinforce_pp": ("rloo", "grpo", "ppo", "dapo", "gspo"),
    "ppo": ("reinforce_pp", "grpo", "rloo", "gspo", "dapo"),
    "dapo": ("grpo", "gspo", "rloo", "reinforce_pp", "ppo"),
    "gspo": ("grpo", "dapo", "rloo", "reinforce_pp", "ppo"),
    "slurm": ("ray", "local", "kubernetes"),
    "ray": ("slurm", "local", "kubernetes"),
    "kubernetes": ("ray", "slurm", "local"),
    "local": ("ray", "slurm", "kubernetes"),
    "staged": ("continuous", "direct"),
    "continuous": ("staged", "direct"),
    "direct": ("staged", "continuous"),
    "full": ("lora", "qlora"),
    "lora": ("qlora", "full"),
    "qlora": ("lora", "full"),
    "ddp": ("zero2", "fsdp2", "zero3"),
    "zero2": ("zero3", "fsdp2", "ddp"),
    "zero3": ("fsdp2", "zero2", "megatron"),
    "fsdp2": ("zero3", "zero2", "megatron"),
    "megatron": ("fsdp2", "zero3"),
    "vllm_colocate": ("sglang_colocate", "vllm_server", "vllm_async", "transformers"),
    "sglang_colocate": ("vllm_colocate", "vllm_server", "vllm_async", "transformers"),
    "vllm_server": ("vllm_async", "vllm_colocate", "sglang_colocate", "transformers"),
    "vllm_async": ("vllm_server", "vllm_colocate", "sglang_colocate", "transformers"),
    "transformers": ("vllm_colocate", "vllm_server", "sglang_colocate", "vllm_async"),
    "environment": ("drop", "refuse"),
    "drop": ("refuse",),
}
"""What is nearest to each word by what it means, the nearest first: algorithms by the data they
read and what they compare, tuning and sharding by what they keep in memory, generation by where,
rows with tools by how many are learned from."""

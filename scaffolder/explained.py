"""What each answer means: the question of the wizard, a line of `--help`, and what `?` says.

The one place where they are put in words. Limits and defaults stand in `spec.py`.
"""

from typing import NamedTuple


class Answer(NamedTuple):
    short: str
    """A line."""
    more: str
    """What helps to decide."""
    asks: str = ""
    """The question; one that is asked only when details are changed says its name."""
    also: tuple[str, ...] = ()
    """What others call it."""


ANSWERS = {
    "rollouts": Answer(
        "Rollouts, a file or folder.",
        "JSON lines with a prompt, what a model did, and a reward, or one of the other forms that "
        "`rl-scaffolder inspect PATH` reads. They need not be there yet: the project is given this "
        "path, and `make train` another one with ROLLOUTS=...",
        "Where are the rollouts? (file or folder)",
        ("data", "dataset", "data_path", "input"),
    ),
    "keys": Answer(
        'Other names in your rollouts: "prompt=problem ground_truth=solution".',
        "On the left the library's names (prompt, response, reward, ground_truth, ...), on the "
        "right those of the records. `rl-scaffolder inspect PATH --keys ...` tries them.",
        also=("columns", "names"),
    ),
    "framework": Answer(
        "Training framework.",
        "The program that trains. `rl-scaffolder compare` says which can do what you want, how "
        "well, and why. A project can be switched to another one later: `rl-scaffolder update "
        "--framework ...`.",
        "Which framework trains?",
    ),
    "algorithm": Answer(
        "What to do with the data.",
        "sft imitates the better rollouts, dpo and kto learn from better and worse ones, rm trains "
        "a model that judges. The others generate while they train, from the prompts alone, and "
        "need a reward in code (rewards.py).",
        "Which algorithm?",
        ("method",),
    ),
    "topology": Answer(
        "Where the GPUs are.",
        "It decides which launch scripts the project has.",
        "Where are the GPUs?",
        ("cluster",),
    ),
    "pattern": Answer(
        "How data, training and generation follow each other.",
        "direct is one training on the data that is there.",
        "Which pattern?",
    ),
    "tuning": Answer(
        "All weights, or adapters.",
        "Adapters (LoRA) take a fraction of the memory, and are merged into the model at export. "
        "All weights learn more where there is much to learn.",
        "Which weights are trained?",
        ("peft", "lora", "adapter"),
    ),
    "generation": Answer(
        "What generates, for online algorithms.",
        "An engine (vLLM, SGLang) generates many times faster than the trainer itself. On the GPUs "
        "that train it shares their memory; a server has GPUs of its own.",
        "What generates the responses?",
        ("engine", "vllm"),
    ),
    "rows_with_tools": Answer(
        "What becomes of rows that speak of tools.",
        "An environment runs what the model calls while it trains; the project's environment.py is "
        "yours to write. Without one such rows are left out, or training refuses them.",
        "What becomes of them?",
        ("tools", "environment"),
    ),
    "nodes": Answer(
        "Machines.",
        "Machines with GPUs that train together, each with as many. The launch script is started "
        "on each of them.",
        "How many machines?",
        ("machines", "num_nodes"),
    ),
    "gpus_per_node": Answer(
        "GPUs of one machine.",
        "Of them all are used. Batches are planned so that they divide over them; the project "
        "can be changed to another number later with `rl-scaffolder update`.",
        "How many GPUs has one machine?",
        ("gpus", "num_gpus", "n_gpus"),
    ),
    "gpu_memory": Answer(
        "Memory of one GPU, GiB.",
        "`nvidia-smi` shows it: an A100 or H100 has 80 (or 40), an RTX 4090 24. What fits is "
        "estimated from it: the micro batch, and how the model is split.",
        "How much memory has one GPU, in GiB?",
        ("memory", "vram"),
    ),
    "model": Answer(
        "Hugging Face id or local folder.",
        "Its size is read from its name or its folder; of another name, give --set "
        "model_billions=... It is downloaded when training starts.",
        "Which model? (Hugging Face id or local folder)",
        ("model_name", "model_name_or_path", "base_model"),
    ),
    "tracker": Answer(
        "Where the loss curve goes.",
        "The curve is always in log.jsonl too, which `make curve` draws.",
        "Where should the loss curve go?",
        ("logger", "report_to"),
    ),
    "directory": Answer(
        "New or empty directory, or a fresh clone.",
        "The project is named after it. A clone with nothing but a README, a licence and a "
        ".gitignore is taken too: nothing in it is overwritten.",
        "Which directory?",
    ),
    "details": Answer(
        "Learning rate, lengths and the like.",
        "What is usual for the algorithm stands there already. All of it can be changed in the "
        "project's config later.",
        "Change learning rate, lengths, ...?",
    ),
    "wishes": Answer(
        "What matters to you.",
        "How far each framework grants it is known, with a source, and counts as points.",
        "What matters to you?",
    ),
    "write": Answer(
        "Write the project.",
        "`yes` writes it, `no` ends here and says how to come back, < goes to the question before.",
        "Write the project?",
    ),
    "project_name": Answer(
        "Name of the project and of its runs.",
        "The name of its directory, as a rule.",
        "",
        ("name",),
    ),
    "sharding": Answer(
        "What the training processes share.",
        "ddp shares nothing and is fastest while the model fits; the others split the model.",
        also=("fsdp", "deepspeed", "zero"),
    ),
    "model_billions": Answer(
        "Size of the model, billions of weights.",
        "Only needed where its name or folder does not say it.",
        also=("size", "parameters"),
    ),
    "sequence_length": Answer(
        "Longest row, tokens.",
        "Prompt and response together. Longer rows are cut or left out, as the config says; memory "
        "for activations grows with it.",
        also=("max_length", "max_seq_length", "context_length", "length"),
    ),
    "global_batch_size": Answer(
        "Rows per optimizer step.",
        "Over all GPUs: sequences, pairs of dpo, responses of online algorithms. It changes what "
        "is learned; the micro batch only memory and speed.",
        also=("batch", "batch_size", "train_batch_size"),
    ),
    "epochs": Answer(
        "Passes over the data.",
        "More than a few make a model learn rows by heart.",
        also=("num_epochs", "num_train_epochs"),
    ),
    "generation_gpus": Answer(
        "GPUs of a generation server.",
        "By default the fewest that hold the model.",
        also=("server_gpus",),
    ),
    "num_generations": Answer(
        "Responses to one prompt.",
        "They are compared with each other: more tell good from bad better, and cost more.",
        also=("group_size", "responses", "rollout_n", "n"),
    ),
    "completion_length": Answer(
        "Longest response, tokens.",
        "What is longer is cut off, and rarely right: look at the lengths of your rollouts.",
        also=("max_completion_length", "max_new_tokens", "response_length"),
    ),
    "thinking": Answer(
        "Whether responses begin with reasoning.",
        "Of models such as Qwen3, which think before they answer unless they are told not to: off "
        "tells them, in training and in evaluation. on needs responses of 8,192 tokens or more; "
        "what is cut off while it thinks is no answer, and is worth nothing.",
        also=("enable_thinking", "reasoning", "think"),
    ),
    "learning_rate": Answer(
        "Highest rate of the optimizer.",
        "Too high, and the loss jumps; too low, and nothing is learned. Adapters take about ten "
        "times that of all weights.",
        also=("lr", "rate"),
    ),
    "scheduler": Answer(
        "How the rate falls after the warm-up.",
        "cosine and linear fall to zero at the end; constant goes on alike, as online algorithms "
        "are used to.",
        also=("lr_scheduler", "lr_scheduler_type", "schedule"),
    ),
    "warmup": Answer(
        "Share of all steps in which the rate rises.",
        "0.03 is three in a hundred.",
        also=("warmup_ratio", "warmup_steps", "warm_up"),
    ),
    "kl_coefficient": Answer(
        "How strongly the model is held to what it was.",
        "The weight of the KL term; beta of dpo and kto. Above 0 a copy of the model is kept.",
        also=("kl", "beta", "kl_coef"),
    ),
    "loss": Answer(
        "What the loss of grpo is a mean over.",
        "token_mean: all tokens of a step count alike, so what is long counts more; the default of "
        "each framework. response_mean: each response counts alike, as in the paper of GRPO, and a "
        "long wrong one is held against the model less for each of its tokens.",
        also=("loss_type", "loss_agg_mode"),
    ),
    "temperature": Answer(
        "At which responses are sampled in training.",
        "1 samples as the model is; lower makes responses to a prompt more alike.",
        also=("sampling_temperature",),
    ),
    "lora_rank": Answer(
        "Rank of adapters.",
        "A higher one learns more and takes more memory; 8 to 64 is usual.",
        also=("rank", "lora_r", "r"),
    ),
    "save_steps": Answer(
        "Steps between checkpoints.",
        "A run that is killed goes on from the newest.",
        also=("save_interval", "save_freq", "checkpoint_steps"),
    ),
    "eval_steps": Answer(
        "Steps between evaluations; 0: none.",
        "On held-out rows, while training. `make evaluate` compares before and after in any case.",
        also=("eval_interval", "evaluation_interval", "test_freq"),
    ),
    "seed": Answer("Of the order of rows and of sampling.", "The same seed, the same order."),
}


def meant(name: str) -> str | None:
    """The answer that others call by this name."""
    return next((answer for answer, each in ANSWERS.items() if name in each.also), None)

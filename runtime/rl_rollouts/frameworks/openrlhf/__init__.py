"""OpenRLHF 0.11.2: its rows, the names of its log, and checkpoints that DeepSpeed wrote in parts.

The flags beside each kind name the columns; `renamed` changes them.

    sft          messages, tools, given       --data.input_key messages
    preference   prompt_messages,             --data.prompt_key prompt_messages
                 chosen_messages,             --data.chosen_key chosen_messages
                 rejected_messages,           --data.rejected_key rejected_messages
                 margin, tools
    prompts      prompt, label, datasource    --data.input_key prompt --data.label_key label

All of them with --data.apply_chat_template. Without --data.multiturn only the last turn of the
model is trained, so that each turn has to be a row of its own. RewardDataset writes texts under the
names `prompt` and `chosen`; where these are columns of messages already, `datasets` 5.2.0 gives the
texts back as lists, hence the longer names.

Source: `openrlhf/datasets/*.py`. It renders chat templates without tools: `train_openrlhf.py` hands
them to the template with the first message.

`settings.py`, `parser.py` and `rules.py` are what a config of its flags says, `outputs.py` what a
run leaves.

The loaders read with `datasets`, which guesses the types in JSONL from the first rows and fails, or
changes texts, where later rows differ. Parquet declares them and is read as it was written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...data.build import Pair
from ...data.rollout import Json, Message, Rollout
from ...data.rows import Row, conversation, json_text, prompt, text_of, until_last_turn
from ...engine.parquet import columns
from ...errors import Unusable, UserError
from ...values import KINDS
from .. import ConfigKeys, Training, count_of, value_of


class Conversation(msgspec.Struct):
    messages: list[Message]
    tools: str
    """JSON text."""
    given: int
    """Messages that come first and are not meant to be learned."""


class Compared(msgspec.Struct):
    prompt_messages: list[Message]
    chosen_messages: list[Message]
    rejected_messages: list[Message]
    margin: float
    """Between the rewards; read by reward models with --model.margin_loss_enable."""
    tools: str
    """JSON text."""


class WholeCompared(msgspec.Struct):
    """Both lists begin with the prompt."""

    chosen_messages: list[Message]
    rejected_messages: list[Message]
    margin: float
    tools: str


class Question(msgspec.Struct):
    prompt: list[Message]
    label: str
    """Handed to the reward function, and all that it gets beside the text."""
    datasource: str
    """The environment; evaluation scores are reported for each."""


def sft(rollout: Rollout) -> Conversation:
    return Conversation(conversation(rollout), json_text(rollout.tools), len(rollout.prompt))


def preference(pair: Pair) -> Compared:
    chosen, rejected = until_last_turn(pair.chosen), until_last_turn(pair.rejected)
    margin = pair.chosen_reward - pair.rejected_reward
    return Compared(pair.prompt, chosen, rejected, margin, json_text(pair.tools))


def whole_preference(pair: Pair) -> WholeCompared:
    """A pair for a config without --data.prompt_key.

    Raises:
        Unusable: where a side has several messages. OpenRLHF takes all but the last one of the
            chosen list as the prompt then, and cuts the rejected one where that prompt would end.
    """
    row = preference(pair)
    sides = row.chosen_messages, row.rejected_messages
    if any(len(side) > 1 for side in sides):
        raise Unusable("a side of the pair has several messages: set --data.prompt_key")
    chosen, rejected = (row.prompt_messages + side for side in sides)
    return WholeCompared(chosen, rejected, row.margin, row.tools)


def prompts(rollout: Rollout, *, only_ground_truth: bool = False) -> Question:
    """One prompt of online RL.

    Args:
        only_ground_truth: make the label the bare ground truth, for reward functions and servers
            that exist already; otherwise it is all that `rewards.score` wants, as JSON text.
    """
    label = text_of(rollout.ground_truth) if only_ground_truth else json_text(prompt(rollout))
    return Question(rollout.prompt, label, rollout.agent or "rollouts")


def reward_arguments(label: str) -> Json:
    """What `rewards.score` wants beside the response, from the label of a row.

    Raises:
        UserError: when the label is not what `prompts` makes.
    """
    try:
        row = msgspec.json.decode(label)
        return {name: row[name] for name in ("prompt", "ground_truth", "metadata")}
    except (msgspec.DecodeError, TypeError, KeyError):
        raise UserError(
            f"The label {label!r:.80} is none that rewards.py can be asked with.",
            "Prepare the rows with prepare_for_openrlhf.py.",
        ) from None


def tools_of(row: Mapping[str, Any]) -> Any:
    """Those of a row, which stand as JSON text: of a prompt in its label."""
    if "label" in row:
        return msgspec.json.decode(row["label"]).get("tools")
    text = row.get("tools")
    return msgspec.json.decode(text) if isinstance(text, str) and text else text


def training(config: Mapping[str, Any], _: Path) -> Training:
    """All of its trainers leave out what fills no step. Source: their data loaders (`drop_last`),
    `prepare_datasets` of ppo_trainer.py."""
    algorithm = str(value_of(config, "algorithm"))
    batch = count_of(config, "train.batch_size", 128)
    if KINDS.get(algorithm) != "prompts":
        epochs = count_of(config, "train.max_epochs", 2 if algorithm == "sft" else 1)
        return Training(algorithm, batch, epochs=epochs, fill="none")
    prompts = count_of(config, "rollout.batch_size", 1024)
    responses = prompts * count_of(config, "rollout.n_samples_per_prompt", 1)
    shown = value_of(config, "environment") is not None
    return Training(
        algorithm,
        prompts,
        responses=responses,
        epochs=count_of(config, "train.num_episodes", 1),
        fill="none",
        updates=responses / batch * count_of(config, "train.max_epochs", 1),
        tools="show" if shown else value_of(config, "rows_with_tools", "refuse"),
        tools_key="rows_with_tools",
    )


ROWS: dict[str, Row] = {"sft": sft, "preference": preference, "prompts": prompts}
COLUMNS = {
    "sft": columns(Conversation),
    "preference": columns(Compared),
    "prompts": columns(Question),
}
REFUSED = {
    "unpaired": "OpenRLHF has no kto trainer. Train dpo on pairs of rollouts, or choose TRL.",
    "trajectories": "OpenRLHF has no trainer that reads rewards of single steps. Train sft on the "
    "better rollouts, dpo on pairs of them, or ppo on the prompts.",
}
CONFIG = ConfigKeys(
    limit=("data.max_len",),
    model=("model.model_name_or_path", "actor.model_name_or_path"),
    fate="cut",
)
LOG_NAMES = {
    "train/loss_mean": "loss",
    "eval/eval gpt_loss": "eval_loss",
    "eval/eval_loss": "eval_loss",
    "train/acc_mean": "accuracy",
    "train/lr": "learning_rate",
    "train/grad_norm": "grad_norm",
    "train/rollout/reward_mean": "reward",
    "train/rollout/reward_std": "reward_std",
    "train/rollout/response_length_mean": "completions/mean_length",
    "train/rollout/truncated_rate": "completions/clipped_ratio",
    "train/policy_loss": "loss",
    "train/actor_grad_norm": "grad_norm",
    "train/actor_lr": "learning_rate",
    "train/kl": "kl",
}


def parts_of(checkpoint: Path) -> Path | None:
    """The folder of a checkpoint of DeepSpeed; None for any other."""
    return checkpoint if any(checkpoint.glob("*_model_states.pt")) else None


def join(folder: Path, target: Path, base: str | None = None) -> None:
    """Write the model of `parts_of` as one.

    Args:
        target: a new folder.
        base: the model that was trained.

    Raises:
        UserError: when it is not known, or the parts cannot be joined.
    """
    if base is None:
        raise UserError(
            f"{folder} holds weights in parts, and neither config nor tokenizer.",
            "Name the model that was trained: --base Qwen/Qwen3-1.7B, say.",
        )
    try:
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        weights = get_fp32_state_dict_from_zero_checkpoint(str(folder.parent), folder.name)
    except Exception as error:
        raise UserError(
            f"DeepSpeed cannot join the parts in {folder}: {error}",
            "Its processes may have been stopped while saving, or DeepSpeed is not installed here.",
        ) from None
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    missing, unknown = model.load_state_dict(weights, strict=False)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    if unknown or set(missing) - tied:
        raise UserError(f"{folder} holds no weights of {base}.", "Name the model that was trained.")
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(base).save_pretrained(target)

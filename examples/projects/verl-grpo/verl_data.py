"""Prepared rows as verl's trainers take them. verl loads this file by its path (data.custom_cls).

Two things of verl's own readers spoil rows with tools. Arrow gives every row of nested columns the
keys of all rows, filled with null, and a model is shown those; here each row is decoded by itself.
And SFT conversations are put through the chat template message by message, which many templates
refuse or answer differently; here a conversation is one text, of which the model's part is trained.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset

PROJECT = str(Path(__file__).resolve().parent)
if PROJECT not in sys.path:
    sys.path.insert(0, PROJECT)

from rl_rollouts.engine.stored import Row, Rows  # noqa: E402
from rl_rollouts.errors import UserError  # noqa: E402
from rl_rollouts.models.after_prompt import AfterPrompt  # noqa: E402
from rl_rollouts.models.chat_masks import Chat, ChatTokenizer, RowError  # noqa: E402
from rl_rollouts.models.learned import Learned, Limit  # noqa: E402


class Prompts(RLHFDataset):  # type: ignore[misc]
    """Prompts of online training."""

    def _read_files_and_tokenize(self) -> None:
        rows = Rows(self.data_files)
        print(f"dataset len: {len(rows)}")
        few = len(rows) if self.max_samples <= 0 else min(self.max_samples, len(rows))
        chosen: Sequence[int] = range(few)
        if self.tool_schemas is None:
            chosen = self._without_tools(rows, chosen)
        longest = self.max_prompt_length if self.filter_overlong_prompts else None
        asked = AfterPrompt(self.tokenizer, options=self.apply_chat_template_kwargs)
        limit = Limit("data.max_prompt_length", longest, "dropped")
        self.found = Learned(asked, self.tokenizer, limit, what="prompts")
        for _ in range(few - len(chosen)):
            self.found.skip("with tools")
        chosen = [i for i in chosen if self._fits(rows[i], f"row {i + 1}")]
        self.found.demand_taken()
        self.dataframe = rows.select(chosen)
        print(f"filter dataset len: {len(self.dataframe)}")

    def _without_tools(self, rows: Rows, chosen: Sequence[int]) -> list[int]:
        """Those that speak of no tools, which the model would not be shown.

        Raises:
            UserError: when there are others, and `rows_with_tools` does not say to drop them.
        """
        kept = [index for index in chosen if not _has_tools(rows[index])]
        others = len(chosen) - len(kept)
        if others and self.config.get("rows_with_tools", "refuse") != "drop":
            raise UserError(
                f"{others} of {len(chosen)} rows have tools, and verl shows the model only those "
                "of its config.",
                "Set actor_rollout_ref.rollout.multi_turn.function_tool_path, or leave these rows "
                "out with data.rows_with_tools: drop.",
            )
        return kept

    def _fits(self, row: Row, place: str) -> bool:
        return bool(self.found.add(place, row[self.prompt_key], [], self.tool_schemas))


def _has_tools(row: Row) -> bool:
    tools = (row.get("extra_info") or {}).get("tools")
    return bool(json.loads(tools) if isinstance(tools, str) else tools)


class Conversations(MultiTurnSFTDataset):  # type: ignore[misc]
    """Conversations of SFT; the loss falls on what the assistant wrote, and nothing else."""

    def _read_files_and_process(self) -> None:
        rows = Rows(self.parquet_files)
        print(f"dataset len: {len(rows)}")
        few = range(min(self.max_samples, len(rows)))
        self.rows = rows.select(few) if self.max_samples > 0 else rows
        self.chat = ChatTokenizer(self.tokenizer)

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self, index: int) -> tuple[Chat, list[Chat], Any]:
        """Messages that are given, those from the first on that is learned, and the tools.

        Raises:
            UserError: when it has no turn.
        """
        row = self.rows[index]
        messages = row[self.messages_key]
        turns = [place for place, each in enumerate(messages) if each["role"] == "assistant"]
        first = next((place for place in turns if place >= row.get("given", 0)), None)
        if first is None:
            raise UserError(
                f"Row {index + 1} has no turn of the model that is learned.", "Leave it out."
            )
        return messages[:first], [messages[first:]], row.get("tools") or None

    def tokens(self, index: int) -> tuple[list[int], bytes]:
        """The tokens of a conversation, and 1 for each that is trained, else 0; not cut.

        Raises:
            UserError: when that cannot be told.
        """
        try:
            (example,) = self.chat(*self.parts(index))
        except RowError as error:
            raise UserError(
                f"Row {index + 1} cannot be trained: {error}.", "Leave it out."
            ) from None
        return list(example.tokens), example.trained

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`input_ids`, `position_ids` and `loss_mask`, each of the length of the row."""
        tokens, trained = self.tokens(index)
        if len(tokens) > self.max_length and self.truncation == "error":
            raise UserError(
                f"Row {index + 1} has {len(tokens)} tokens.", "Raise data.max_length, or cut it."
            )
        cut = slice(-self.max_length, None) if self.truncation == "left" else slice(self.max_length)
        ids = torch.tensor(tokens[cut], dtype=torch.long)
        return {
            "input_ids": ids,
            "position_ids": torch.arange(len(ids)),
            "loss_mask": torch.tensor(list(trained[cut]), dtype=torch.long),
        }

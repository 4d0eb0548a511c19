"""What `make check` says is learned of rows is what the trainers' own batches hold."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import custom_data
import tiny
import trl_checks
import trl_settings
from custom_settings import Settings
from families import FAMILIES, SAID, lost, rows, shipped, with_template
from rl_rollouts.models.learned import Learned
from rollouts import write

QUICK = settings(
    max_examples=3, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
PAIR = ("chosen", "rejected")
LIMITS = (None, 60)
ROWS = 8
Json = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("learned"))


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    import datasets

    datasets.disable_progress_bars()
    datasets.disable_caching()
    yield
    datasets.enable_caching()
    datasets.enable_progress_bars()


class Trl:
    """One of TRL's trainers, asked for the batches that it would train on."""

    def __init__(self, model: Path, folder: Path, algorithm: str, template: str, **more: Any):
        import trl
        from datasets import Dataset

        self.algorithm = trl_settings.ALGORITHMS[algorithm]
        self.tokenizer = with_template(model, template)
        config = getattr(trl, self.algorithm.config)
        options = {"use_cpu": True, "bf16": False, "report_to": "none", **more}
        if algorithm == "kto":
            options["per_device_train_batch_size"] = 2
        self.training = config(output_dir=str(folder), **options)
        sides = self.algorithm.trained
        plain = [{"role": "user", "content": "a"}], [{"role": "assistant", "content": "b"}]
        first = {"prompt": plain[0], **dict.fromkeys(sides, plain[1]), "label": True}
        self.trainer = getattr(trl, self.algorithm.trainer)(
            model=str(model),
            args=self.training,
            train_dataset=Dataset.from_list([first, {**first, "label": False}]),
            processing_class=self.tokenizer,
        )

    def batches(self, given: list[Json], limit: int | None) -> list[Any]:
        """Of each row that is left its sequences: tokens, and whether each is trained."""
        from datasets import Dataset, Features, Json, Value

        self.training.max_length = limit
        if hasattr(self.trainer.data_collator, "max_length"):
            self.trainer.data_collator.max_length = limit
        labelled = [{**row, "label": at % 2 == 0} for at, row in enumerate(given)]
        features = Features(
            {key: Value("bool") if key == "label" else Json() for key in labelled[0]}
        )
        made = self.trainer._prepare_dataset(
            *(Dataset.from_list(labelled, features), self.tokenizer, self.training, "train")
            if self.algorithm.config != "SFTConfig"
            else (
                Dataset.from_list(given, Features({key: Json() for key in given[0]})),
                *(self.tokenizer, self.training, False, None, "train"),
            )
        )
        return [list(self._sequences(row)) for row in made]

    def _sequences(self, row: Json) -> Iterator[tuple[list[int], list[bool]]]:
        batch = self.trainer.data_collator([row])
        for at, tokens in enumerate(batch["input_ids"]):
            kept = batch["attention_mask"][at].bool()
            trained = kept
            if "labels" in batch:
                trained = batch["labels"][at] != -100
            elif "completion_mask" in batch:
                trained = batch["completion_mask"][at].bool()
            yield tokens[kept].tolist(), trained[kept].tolist()


def agrees(found: Learned, given: Json, sides: tuple[str, ...], decode: Any) -> None:
    """What the check says is lost of a row is not in its sequences, and nothing else."""
    sequences = found.learn(given["prompt"], [given[side] for side in sides], given["tools"])
    said = found.left_out(given["prompt"], [given[side] for side in sides], given["tools"])
    missing: dict[str, bool] = dict.fromkeys(SAID, False)
    for side, each in zip(sides, sequences, strict=True):
        kept = [token for token, on in zip(each.tokens, each.trained, strict=True) if on]
        for kind, gone in lost(given, side, decode(kept), decode(list(each.tokens))).items():
            missing[kind] |= gone
    for kind, gone in missing.items():
        known = bool(SAID[kind] & said)
        silent = "turn" in said and kind in {"thought", "call", "arguments"}
        judged = found.left_out.whole and kind == "foreign"
        assert known == gone or silent or judged, f"{kind}: {gone}, said {sorted(said)}: {given}"


KINDS = {
    "sft": {"assistant_only_loss": True},
    "sft-after": {"assistant_only_loss": False},
    "dpo": {},
    "kto": {},
    "rm": {},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_trl_trains_on_what_the_check_says(
    kind: str, family: str, model: Path, tmp_path: Path
) -> None:
    algorithm, options = kind.split("-")[0], KINDS[kind]
    template = shipped(family) or FAMILIES[family]
    if family == "mistral" and options.get("assistant_only_loss"):
        said = "{{- ' ' + m.content + '</s>' }}"
        marked = "{% generation %}" + said + "{% endgeneration %}"
        template = template.replace(said, marked)
    trl = Trl(model, tmp_path, algorithm, template, **options)
    sides, seen = trl.algorithm.trained, []

    @QUICK
    @given(st.randoms(use_true_random=False), st.sampled_from(LIMITS))
    def same(chance: Random, limit: int | None) -> None:
        drawn = [rows(chance, sides) for _ in range(ROWS)]
        trl.training.max_length = limit
        run = SimpleNamespace()
        found = trl_checks.learned_by(run, trl.training, trl.tokenizer, trl.algorithm)
        ours, taken = [], []
        for row in drawn:
            before = len(found.refused)
            left = found.add("row", row["prompt"], [row[side] for side in sides], row["tools"])
            if len(found.refused) > before:
                with pytest.raises(Exception):  # noqa: B017 (whatever the template raises)
                    trl.batches([row], limit)
                continue
            taken.append(row)
            agrees(found, row, sides, trl.tokenizer.decode)
            if left is not None:
                ours.append([(list(each.tokens), list(map(bool, each.trained))) for each in left])
        assert not taken or trl.batches(taken, limit) == ours
        seen.extend(taken)

    same()
    assert len(seen) > 1, "the template takes some"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_custom_trains_on_what_the_check_says(
    algorithm: str, family: str, model: Path, tmp_path: Path
) -> None:
    tokenizer = with_template(model, FAMILIES[family])
    sides = custom_data.COMPLETIONS[algorithm]

    @QUICK
    @given(st.randoms(use_true_random=False))
    def same(chance: Random) -> None:
        drawn = [rows(chance, sides) for _ in range(ROWS)]
        config = Settings.model_validate(
            {"model_name_or_path": "m", "output_dir": "o", "algorithm": algorithm}
        )
        found = custom_data.learned_by(tokenizer, config)
        for row in drawn:
            before = len(found.refused)
            found.add("row", row["prompt"], [row[side] for side in sides], row["tools"])
            if len(found.refused) == before:
                agrees(found, row, sides, tokenizer.decode)
                batch = custom_data.collate(loaded(tmp_path, row, tokenizer, config), config)
                for at, each in enumerate(found.learn(
                    row["prompt"], [row[side] for side in sides], row["tools"]
                )):  # fmt: skip
                    size = len(each.tokens)
                    assert batch["tokens"][at, :size].tolist() == list(each.tokens)
                    assert batch["trained"][at, :size].tolist() == list(map(bool, each.trained))
                    assert not batch["trained"][at, size:].any()

    same()


def loaded(folder: Path, row: Json, tokenizer: Any, config: Settings) -> list[Any]:
    """A row as the custom trainer reads it from its file."""
    rest: Json = {"task": "t", "reward": 1.0, "tokens": None, "metadata": {}}
    if config.algorithm == "dpo":
        rest = {"task": "t", "chosen_reward": 1.0, "rejected_reward": 0.0}
    path = write(folder / "rows.jsonl", {**rest, **row})
    assert json.loads(path.read_text())["prompt"]
    return custom_data.load_dataset(path, tokenizer, config).rows

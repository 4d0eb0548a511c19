"""Train with TRL.

    python train_trl.py --data_path training_data.jsonl --config trl_config.yaml

Every key of the config is TRL's own: those of SFTConfig or DPOConfig and of ModelConfig, and the
few of `Run` below. Each can also be given here, as `--learning_rate 2e-5`, which wins. Launch
several GPUs with `launch/local.sh`.

    --check_only True                      parse the config, read and tokenise the data, and stop
    --resume_from_checkpoint latest        go on after the newest checkpoint in output_dir
"""

import glob
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from dataprep.errors import UserError, run
from dataprep.write import files_of
from trl_checks import check_data, check_output, peek, refuse_unknown, split_option


@dataclass
class Run:
    """What this script is told beside TRL's own keys."""

    algorithm: str = field(metadata={"help": "sft or dpo"})
    data_path: str = field(default="training_data.jsonl", metadata={"help": "rows to train on"})
    eval_data_path: str | None = field(
        default=None, metadata={"help": "held-out rows; only read when eval_strategy is not 'no'"}
    )
    check_only: bool = field(default=False, metadata={"help": "stop before the model is loaded"})


def trainer_of(algorithm: str) -> tuple[Any, Any, list[str]]:
    """TRL's trainer and config of an algorithm, and the columns that it reads."""
    import trl

    if algorithm == "sft":
        return trl.SFTTrainer, trl.SFTConfig, ["prompt", "completion", "tools"]
    if algorithm == "dpo":
        return trl.DPOTrainer, trl.DPOConfig, ["prompt", "chosen", "rejected", "tools"]
    raise UserError(f"The config's algorithm is {algorithm!r}.", "It can be sft or dpo.")


def parse(arguments: list[str]) -> tuple[Run, Any, Any]:
    """Config file and command line through TRL's own parser; unknown keys are refused."""
    path, algorithm = peek(arguments)
    _, config_class, _ = trainer_of(algorithm)
    from trl import ModelConfig, TrlParser

    classes = (Run, config_class, ModelConfig)
    refuse_unknown(path, arguments, classes)
    if "--check_only" in arguments and not _cuda():
        arguments = [*arguments, "--use_cpu", "True"]
    parser = TrlParser(classes)
    parser.error = _refuse
    try:
        run_, training, model = parser.parse_args_and_config(arguments)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"TRL does not accept {path}: {error}", "Change the value.") from None
    return run_, training, model


def _refuse(message: str) -> NoReturn:
    raise UserError(f"TRL does not accept a value: {message}", "Change it.")


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def load(path: str, columns: list[str]) -> Any:
    """Rows as a datasets.Dataset.

    The columns are declared as JSON: left to guess from the beginning of the file, `datasets` 5.2.0
    fails on tools or arguments that look different further down.
    """
    from datasets import Features, Json, load_dataset

    read_numbers_exactly()
    features = Features({column: Json() for column in columns})
    files = [glob.escape(str(file)) for file in files_of(Path(path).resolve())]
    return load_dataset("json", data_files=files, split="train", features=features)


def read_numbers_exactly() -> None:
    """Let `datasets` read and write its JSON columns with Python's own json.

    It uses pandas' ujson, which makes 0.7 in the arguments of a call 0.7000000000000001, and cannot
    read whole numbers beyond 64 bits: the model would be trained on text that nobody wrote.
    """
    from datasets import arrow_writer
    from datasets.features import features
    from datasets.packaged_modules.json import json as reader

    for module in (arrow_writer, features, reader):
        module.ujson_dumps = json.dumps
        module.ujson_loads = json.loads


def train(arguments: list[str]) -> None:
    arguments = [part for word in arguments for part in split_option(word)]
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    run_, training, model = parse(arguments)
    trainer_class, _, columns = trainer_of(run_.algorithm)
    output = Path(training.output_dir)
    check_data(run_, training, model, columns)
    resume = check_output(output, training.resume_from_checkpoint)
    if run_.check_only:
        print("The config and the data are accepted.")
        return
    training.model_init_kwargs = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
        **(training.model_init_kwargs or {}),
    }
    held_out = run_.eval_data_path if training.eval_strategy != "no" else None
    trainer = trainer_class(
        model=model.model_name_or_path,
        args=training,
        train_dataset=load(run_.data_path, columns),
        eval_dataset=load(held_out, columns) if held_out else None,
    )
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        raise UserError(
            f"Stopped; what was saved is in {output}.",
            "Go on with --resume_from_checkpoint latest, or remove the folder.",
            exit_code=130,
        ) from None
    save(trainer, output)


def save(trainer: Any, output: Path) -> None:
    """The final model as a Hugging Face folder, and the loss curve; whole or not at all."""
    partial, final = output / "final.partial", output / "final"
    if trainer.accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(partial))
    trainer.accelerator.wait_for_everyone()
    if trainer.accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        log = "".join(json.dumps(entry) + "\n" for entry in trainer.state.log_history)
        (output / "log.jsonl").write_text(log, "utf-8")
        print(f"The model is in {final}, the loss curve in {output / 'log.jsonl'}.")
    trainer.end()


if __name__ == "__main__":
    run(lambda: train(sys.argv[1:]))

"""Train with TRL.

    python train_trl.py --data_path training_data.jsonl --config trl_config.yaml

Every key of the config is TRL's own (those of the algorithm's config class and of ModelConfig), or
one of the few of `Run` in trl_settings.py. Each can also be given here, as `--learning_rate 2e-5`,
which wins. Launch several GPUs with the script in `launch/`.

    --check_only True                      parse the config, read and tokenise the data, and stop
    --resume_from_checkpoint latest        go on after the newest checkpoint in output_dir
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from rl_rollouts.errors import UserError, run
from rl_rollouts.rewards.checked import load_score
from trl_checkpoints import check_output, marker, remove_broken, save_final, stopper
from trl_checks import check_data, learn, learned_by, load_tokenizer
from trl_data import demand_enough, load, load_prompts
from trl_rewards import load_environment, reward_function, shown_tools
from trl_settings import Algorithm, algorithm_of, parse


def train(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    run_, training, model = parse(arguments)
    algorithm = algorithm_of(run_.algorithm)
    tokenizer = load_tokenizer(run_, training, model, algorithm)
    check_data(run_, training, tokenizer, algorithm)
    resume = check_output(training)
    if run_.check_only:
        print("The config and the data are accepted.")
        return
    stop = stopper()
    trainer = build(run_, training, model, algorithm, tokenizer)
    trainer.add_callback(stop)
    reduce_in_float32(trainer)
    if training.process_index == 0:
        print(f"{run_.algorithm} in {training.world_size} process(es) on {training.device.type}")
    remove_broken(trainer)
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        raise UserError(
            f"Stopped; what was saved is in {training.output_dir}.",
            "Go on with --resume_from_checkpoint latest, or remove the folder.",
            exit_code=130,
        ) from None
    except (ValueError, TypeError, ArithmeticError) as error:
        if trainer.state.global_step:
            raise
        raise refused(error) from error
    if trainer.state.global_step == 0:
        raise UserError(
            "Not one step was trained: the rows do not fill it.",
            "Give more rows, or lower the batch size.",
            exit_code=1,
        )
    if stop.stopped:
        said = f"Stopped after step {trainer.state.global_step}, which is saved."
        raise UserError(said, "Go on with --resume_from_checkpoint latest.", exit_code=143)
    save_final(trainer)
    trainer.end()


def build(run: Any, training: Any, model: Any, algorithm: Algorithm, tokenizer: Any) -> Any:
    """TRL's trainer with everything that it is given."""
    import trl

    training.model_init_kwargs = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
        **(training.model_init_kwargs or {}),
    }
    online: dict[str, Any] = {}
    if algorithm.online:
        online["reward_funcs"] = reward_function(load_score(run.rewards))
    if algorithm.online and run.environment:
        online["environment_factory"] = load_environment(run.environment)
    data = rows(run, training, run.data_path, algorithm, tokenizer)
    if algorithm.online:
        demand_enough(len(data), training)
    held_out = run.eval_data_path if training.eval_strategy != "no" else None
    try:
        return getattr(trl, algorithm.trainer)(
            model=model.model_name_or_path,
            args=training,
            train_dataset=data,
            eval_dataset=followed(rows(run, training, held_out, algorithm, tokenizer), run)
            if held_out
            else None,
            processing_class=tokenizer,
            quantization_config=trl.get_quantization_config(model),
            peft_config=trl.get_peft_config(model),
            callbacks=[marker()],
            **online,
        )
    except UserError:
        raise
    except Exception as error:
        for path in filter(None, (run.data_path, held_out)):  # first, is it a row that is refused?
            learn(run, training, tokenizer, algorithm, Path(path), every=True).demand()
        raise refused(error) from error


def reduce_in_float32(trainer: Any) -> None:
    """Sum gradients over the GPUs in float32. Accelerate has FSDP2 do it in bfloat16, which loses
    more of them the more GPUs there are."""
    import torch

    plugin: Any = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    policy = getattr(plugin, "mixed_precision_policy", None)
    if policy is not None:
        exact = dataclasses.replace(policy, reduce_dtype=torch.float32)
        plugin.mixed_precision_policy = exact


def refused(error: Exception) -> UserError:
    """What TRL, transformers or torch say of the config only when they use it."""
    said = str(error) or type(error).__name__
    return UserError(f"TRL refuses to start: {said}", "Nothing was trained.")


def followed(data: Any, run: Any) -> Any:
    """Of held-out prompts, which are answered at each evaluation, no more than were asked for."""
    return data.select(range(min(len(data), getattr(run, "eval_prompts", len(data)))))


def rows(run: Any, training: Any, path: str, algorithm: Algorithm, tokenizer: Any) -> Any:
    if not algorithm.online:
        return load(path, algorithm.columns)
    found, tools = learned_by(run, training, tokenizer, algorithm), shown_tools(run.environment)
    data = load_prompts(run, path, algorithm.columns, found, tools)
    if training.process_index == 0:
        print(found)
    return data


if __name__ == "__main__":
    run(lambda: train(sys.argv[1:]))

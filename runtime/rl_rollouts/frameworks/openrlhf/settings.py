"""The settings of a run: OpenRLHF's own flags, a few keys of a project's scripts, nothing else.

`ds: {zero_stage: 3}` is the flag `--ds.zero_stage 3`. A true value is a flag alone, a false one and
null are none, a list has several values.
"""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import read_config, refuse, unknown
from ...errors import UserError
from ...values import KINDS
from .parser import flags, parse

OURS = {
    "algorithm": None,
    "output_dir": None,
    "tracker": "tensorboard",
    "launch.nodes": 1,
    "launch.gpus_per_node": 1,
    "rewards": "rewards:score",
    "rows_with_tools": "refuse",
    "environment": None,
    "thinking": False,
}
"""Keys that are no flags, and what counts without them; the last four of online algorithms."""
MANAGED = {
    "ckpt.output_dir": "it is `final` in output_dir",
    "ckpt.path": "it is `checkpoints` in output_dir",
    "ckpt.load_enable": "give --resume",
    "data.apply_chat_template": "rows are conversations, and written with the chat template",
    "data.dataset": "give --data_path",
    "data.dataset_probs": "give --data_path one file",
    "data.dataset_split": "give --data_path",
    "data.output_key": "rows are whole conversations",
    "data.prompt_dataset": "give --data_path",
    "data.prompt_probs": "give --data_path one file",
    "data.prompt_split": "give --data_path",
    "eval.dataset": "set eval.steps; the held-out rows stand beside the others",
    "eval.split": "set eval.steps",
    "local_rank": "torchrun tells it",
    "logger.tensorboard_dir": "it is `tensorboard` in output_dir",
    "logger.wandb.key": "set tracker: wandb, and WANDB_API_KEY in .env",
    "use_ms": "models are read from Hugging Face or from a folder",
}
"""Flags that train_openrlhf.py gives itself, and what to do instead."""
MODULES = {"sft": "train_sft", "dpo": "train_dpo", "rm": "train_rm"}
"""Commands of `openrlhf.cli`; for the others `train_ppo_ray`."""
TRACKERS = ("tensorboard", "wandb", "none")
ALGORITHMS = (*MODULES, "ppo", "grpo", "rloo", "reinforce_pp", "dapo", "gspo")
TEMPLATE = "chat_template.jinja"
"""Beside the rows that OpenRLHF is given, the chat template for them."""


@dataclass(frozen=True)
class Settings:
    """What a run is to do."""

    own: Mapping[str, Any]
    """Of the keys in OURS."""
    given: Mapping[str, Any]
    """Flags by their names, as the config and the command line have them."""
    arguments: Any = field(repr=False)
    """All of them as the trainer gets them, with OpenRLHF's defaults."""
    project: Path
    """The folder that relative names are seen from: Ray's processes stand elsewhere."""

    @property
    def algorithm(self) -> str:
        return str(self.own["algorithm"])

    @property
    def module(self) -> str:
        return MODULES.get(self.algorithm, "train_ppo_ray")

    @property
    def online(self) -> bool:
        return KINDS[self.algorithm] == "prompts"

    @property
    def template_options(self) -> dict[str, Any]:
        """What the chat template of prompts is told."""
        return {"enable_thinking": bool(self.own["thinking"])}

    @property
    def output(self) -> Path:
        """The run's folder."""
        return (self.project / str(self.own["output_dir"])).resolve()

    @property
    def model(self) -> str:
        """The model that is trained."""
        section = self.arguments.actor if self.online else self.arguments.model
        return str(section.model_name_or_path)

    @property
    def follows(self) -> bool:
        """Whether held-out rows are evaluated while it trains."""
        return int(self.arguments.eval.steps) > 0


def read(path: Path, project: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a config.

    Args:
        project: the folder that it is of.
        overrides: `adam.lr=1e-5` each, which win over the file.

    Raises:
        UserError: when it has a key that is none, or OpenRLHF's parser refuses a value.
    """
    written = read_config(path, overrides)
    values = dict(_flat(written.values, ""))
    algorithm = values.get("algorithm")
    if algorithm not in ALGORITHMS:
        raise UserError(
            f"{path}: algorithm is {algorithm!r}.", f"It can be {', '.join(ALGORITHMS)}."
        )
    places = written.leaves | written.places
    _refuse_unknown(values, places, MODULES.get(str(algorithm), "train_ppo_ray"))
    own = {key: values.pop(key, default) for key, default in OURS.items()}
    given = {key: _placed(project, key, value) for key, value in values.items()}
    settings = Settings(own, given, None, project)
    if not own["output_dir"]:
        raise UserError(f"{path} has no output_dir.", "Add it: the folder of the run.")
    if own["tracker"] not in TRACKERS:
        raise UserError(
            f"{path}: tracker is {own['tracker']!r}.", f"It can be {', '.join(TRACKERS)}."
        )
    model = "actor" if settings.online else "model"
    if not given.get(f"{model}.model_name_or_path"):
        raise UserError(f"{path} has no {model}.model_name_or_path.", "Add it.")
    arguments = parse(settings.module, words_of({**given, **_added(settings)}))
    return Settings(own, given, arguments, project)


def _flat(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _refuse_unknown(values: Mapping[str, Any], places: Mapping[str, str], module: str) -> None:
    known, wrong = flags(module) - set(MANAGED) | set(OURS), []
    for key, value in values.items():
        place = next((places[each] for each in (key, key.partition(".")[0]) if each in places), "?")
        if key in MANAGED:
            wrong.append(f"{place}: {key} is set by train_openrlhf.py: {MANAGED[key]}")
        elif key not in known:
            wrong.append(f"{place}: {unknown(key, known)}")
        elif isinstance(value, Mapping):
            wrong.append(f"{place}: {key} is a mapping, and no value")
    if wrong:
        raise refuse(wrong)


def _placed(project: Path, key: str, value: Any) -> Any:
    """Folders and files of the project by their whole paths: Ray's processes stand elsewhere."""
    named = isinstance(value, str) and key.endswith(("name_or_path", "remote_url", "func_path"))
    here = project / value if named and value else None
    return str(here.resolve()) if here is not None and here.exists() else value


def words_of(given: Mapping[str, Any]) -> list[str]:
    """Flags as the words of a command."""
    words: list[str] = []
    for key, value in given.items():
        if value is None or value is False:
            continue
        if isinstance(value, list):
            words += [f"--{key}", *map(str, value)]
        elif value is True:
            words.append(f"--{key}")
        elif str(value).startswith("-"):
            words.append(f"--{key}={value}")
        else:
            words += [f"--{key}", str(value)]
    return words


def _added(settings: Settings) -> dict[str, Any]:
    """What every run has: chat templates; online what scores responses, rewards.py or the
    environment, unless the config says otherwise."""
    if not settings.online:
        return {"data.apply_chat_template": True}
    chosen = ("reward.remote_url", "reward.model_name_or_path", "train.agent_func_path")
    if any(settings.given.get(key) for key in chosen):
        return {}
    if settings.own["environment"]:
        return {"train.agent_func_path": str(settings.project / "openrlhf_agent.py")}
    return {"reward.remote_url": str(settings.project / "openrlhf_rewards.py")}


def flags_of(settings: Settings, data: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
    """All flags of the run.

    Args:
        data: those of its rows, see `openrlhf_data.stage`.
    """
    output = settings.output
    return {
        **settings.given,
        **_added(settings),
        **data,
        "ckpt.output_dir": str(output / "final.partial"),
        "ckpt.path": str(output / "checkpoints"),
        "ckpt.load_enable": resume,
        "logger.tensorboard_dir": str(output / "tensorboard"),
        # Only that there is one counts: WANDB_API_KEY has the real one.
        "logger.wandb.key": "from_env" if settings.own["tracker"] == "wandb" else None,
    }


def command_of(settings: Settings, given: Mapping[str, Any], rank: int, address: str) -> list[str]:
    """The command that trains: OpenRLHF's own, started by torchrun where it does not use Ray.

    Args:
        rank: of this machine.
        address: `host:port` of the first one.
    """
    words = ["-m", f"openrlhf.cli.{settings.module}", *words_of(given)]
    if settings.online:
        return [sys.executable, *words]
    nodes, gpus = settings.own["launch.nodes"], settings.own["launch.gpus_per_node"]
    together = ["--standalone"]
    if nodes > 1:
        host, _, port = address.partition(":")
        together = [f"--nnodes={nodes}", f"--node_rank={rank}"]
        together += [f"--master_addr={host}", f"--master_port={port}"]
    torchrun = ["-m", "torch.distributed.run", *together, f"--nproc_per_node={gpus}"]
    return [sys.executable, *torchrun, *words]


def shown(command: Sequence[str]) -> str:
    """A command as it can be pasted; a chat template, which is long, from the file that has it."""
    words, before = [], ""
    for word in command:
        text = shlex.quote(word)
        if before == "--data.tokenizer_chat_template":
            data = Path(command[command.index("--data.dataset") + 1])
            text = f'"$(cat {shlex.quote(str(data.with_name(TEMPLATE)))})"'
        words.append(text)
        before = word
    return " ".join(words)

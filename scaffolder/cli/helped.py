"""The help of commands that take answers: what they can be, and examples.

What follows from the spec and from discovery is found when help is asked for, so that nothing else
waits for their imports.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

from scaffolder.cli import options
from scaffolder.cli.quick import QuickCommand
from scaffolder.explained import ANSWERS

WIDTH = 78
EXAMPLES = """\
Examples:

  rl-scaffolder new                       # asks, and explains at ?
  rl-scaffolder new mine --rollouts rollouts.jsonl --framework {framework} \\
      --algorithm {algorithm} --yes
  rl-scaffolder new mine --framework {framework} --algorithm {algorithm} \\
      --gpus-per-node 8 --set learning_rate=2e-6 --set epochs=2 --dry-run
  rl-scaffolder new . --answers ../other/.copier-answers.yml   # in a clone
"""


class AnswersCommand(QuickCommand):
    """A command whose options are answers."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from scaffolder import frameworks

        for option in self.params:
            if option.name == "framework":
                option.help = f"{ANSWERS['framework'].short} {', '.join(frameworks.names())}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
        print("What --set takes, and what it is when it is not given:\n")
        print("\n".join(_settable()))
        if self.name == "new":
            usual = frameworks.usual(frameworks.discover())
            algorithm = frameworks.get(usual).algorithms[0]
            print(f"\n{EXAMPLES.format(framework=usual, algorithm=algorithm)}")


def _settable() -> Iterator[str]:
    from scaffolder import spec

    for name in spec.ProjectSpec.model_fields:
        if name in options.FLAGS:
            continue
        takes = spec.takes(name)
        about = f"{ANSWERS[name].short}{f' {takes}.' if takes else ''} [{_default(name)}]"
        wrapper = textwrap.TextWrapper(WIDTH, f"  {name:<18}", " " * 20, break_on_hyphens=False)
        yield wrapper.fill(about)


def _default(name: str) -> str:
    from scaffolder import spec

    if name == "project_name":
        return "that of DIR"
    default = spec.default(name)
    usual = "as usual" if name in spec.DETAILS else "follows from the rest"
    if isinstance(default, str):
        return default
    return usual if default is None else f"{default:g}"

"""Render one project of each framework into examples/projects, where tests hold them as snapshots.

python examples/render_projects.py
"""

import shutil
from pathlib import Path

from scaffolder import render, spec
from scaffolder.frameworks import discover, resolve

PROJECTS = Path(__file__).resolve().parent / "projects"
UNREAD = ("vendor", "tests/sample_rollouts.jsonl", ".python-version")
"""What nobody looks at in a browser: the library's wheel, data, one number."""


def main(folder: Path = PROJECTS) -> None:
    """Each framework with its first algorithm on two GPUs of 80 GiB."""
    for old in folder.glob("*/"):
        shutil.rmtree(old)
    for name, framework in discover().items():
        algorithm = next(iter(framework.algorithms))
        answers = {
            "project_name": f"{name}-{algorithm}",
            "framework": name,
            "algorithm": algorithm,
            "model": "Qwen/Qwen3-1.7B",
            "gpus_per_node": 2,
        }
        chosen = spec.build(answers)
        target = folder / chosen.project_name
        render.create(chosen, resolve(chosen).plan(chosen), target, commit=False)
        for unread in UNREAD:
            found = target / unread
            shutil.rmtree(found) if found.is_dir() else found.unlink()
        print(f"wrote {target}")


if __name__ == "__main__":
    main()

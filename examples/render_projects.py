"""Render one project of each framework into examples/projects, where tests hold them as snapshots.

python examples/render_projects.py
"""

import shutil
from pathlib import Path

from scaffolder import render, spec
from scaffolder.frameworks import discover, resolve

PROJECTS = Path(__file__).resolve().parent / "projects"


def main(folder: Path = PROJECTS) -> None:
    """Each framework with its first algorithm on two GPUs of 80 GiB."""
    shutil.rmtree(folder, ignore_errors=True)
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
        print(f"wrote {target}")


if __name__ == "__main__":
    main()

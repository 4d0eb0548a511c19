"""What would stop a rendered project, or spoil its run, found before a GPU is used.

One file a subject; what only one framework knows stands in its adapter's `checks`.
"""

from pathlib import Path

from scaffolder import frameworks, project
from scaffolder.check import files, keys, launch, rates, rendered, rewards, rows, scripts, versions
from scaffolder.project import Finding

SUBJECTS = (
    rendered.check,
    keys.check,
    rates.check,
    files.check,
    versions.check,
    scripts.check,
    launch.check,
    rewards.check,
    rows.check,
)
WEIGHTS = ("error", "warning", "note")


def check(folder: Path) -> list[Finding]:
    """Everything that is wrong with the project in a folder, errors first.

    Raises:
        NoProject: when there is none.
        InvalidAnswers, BrokenFramework: when its framework is not known, or does not load.
    """
    subject = project.load(folder)
    adapter = frameworks.get(subject.spec.framework)
    found = [finding for look in (*SUBJECTS, *adapter.checks) for finding in look(subject)]
    return sorted(dict.fromkeys(found), key=_order)


def _order(finding: Finding) -> tuple[int, str, int]:
    return WEIGHTS.index(finding.weight), finding.file or "", finding.line or 0

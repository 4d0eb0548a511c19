"""What the trainer will do with the rows, if they or the rollouts are there."""

from collections.abc import Iterator

from scaffolder import forecast, library
from scaffolder.forecast import DATA, Outlook
from scaffolder.project import Finding, Project

BESIDE = ("accelerate_config.yaml",)
"""Configs that say how many processes share a step."""


def check(project: Project) -> Iterator[Finding]:
    """Rows that are refused or do not fill a step, and else how many there are."""
    config = project.configs[0]
    if config.problem is not None:
        return
    errors = library.load("errors")
    try:
        found = _outlook(project)
    except errors.UserError as error:
        yield Finding("error", error.problem, error.remedy, config.file)
        return
    if found is not None and found.problem:
        yield Finding("error", f"{found.problem}", found.remedy, config.file)
    elif found is not None:
        said = "; ".join(" ".join(line.split()) for line in found.lines)
        yield Finding("note", said, "`make check` also knows which are too long.", config.file)


def _outlook(project: Project) -> Outlook | None:
    """Of the prepared rows, else of rollouts that are soon read; None where there are neither."""
    if library.load("engine.write").files_of(project.path / DATA):
        return forecast.of_project(project.path, project.spec)
    path = forecast.soon_read(project.path / project.spec.rollouts)
    if path is None:
        return None
    names = (project.configs[0].file, *BESIDE)
    configs = [file for name in names if (file := project.path / name).is_file()]
    return forecast.outlook(path, project.spec, project.plan, configs)

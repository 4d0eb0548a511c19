"""What the trainer will do with the rows, if they or the rollouts are there."""

from collections.abc import Iterator

from scaffolder import forecast, library
from scaffolder.project import Finding, Project


def check(project: Project) -> Iterator[Finding]:
    """Rows that are refused or do not fill a step, and else how many there are."""
    config = project.configs[0]
    if config.problem is not None:
        return
    errors, odd = library.load("errors"), library.load("frameworks").OddValue
    try:
        found = forecast.outlook_of(project.path, project.spec, project.plan)
    except odd:
        return  # said of the key itself
    except errors.UserError as error:
        yield Finding("error", error.problem, error.remedy, config.file)
        return
    if found is not None and found.problem:
        yield Finding("error", found.problem, found.remedy, config.file)
    elif found is not None:
        said = "; ".join(": ".join(line.split(maxsplit=1)) for line in found.lines)
        yield Finding("note", said, "`make check` also knows which are too long.", config.file)

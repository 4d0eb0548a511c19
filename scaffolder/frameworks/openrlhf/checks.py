"""Checks of a project of OpenRLHF."""

from collections.abc import Iterator

from scaffolder.project import Finding, Project


def check(project: Project) -> Iterator[Finding]:
    yield from ()

"""The released versions of a folder of templates, in a git bundle: one commit and one tag each.

With its history inside the package, a project of any released version can be rendered again as it
was, offline, which is what an update starts from. A package that brings a framework keeps one too:

    python -m scaffolder.history FOLDER VERSION BUNDLE
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scaffolder import git
from scaffolder.errors import AlreadyReleased, UnknownEdition, UserError


@dataclass(frozen=True)
class Source:
    """A folder of templates and where its history is."""

    folder: Path
    version: str
    """That the folder says it has, PEP 440."""
    bundle: Path | None = None
    """Absent, or not there yet, when no version was released."""


class History:
    """A source's versions, as trees in a git repository that the caller made."""

    def __init__(self, source: Source, repository: Path, name: str = "tags") -> None:
        """
        Args:
            name: under which the repository refers to them: `refs/<name>/v0.1.0`.
        """
        self.source = source
        self.repository = repository
        self._references = f"refs/{name}"
        if source.bundle and source.bundle.is_file():
            command = ["-c", "protocol.file.allow=always", "fetch", "--quiet", "--no-tags"]
            all_tags = f"refs/tags/*:{self._references}/*"
            git.git([*command, str(source.bundle.absolute()), all_tags], repository, git.ISOLATED)
        self._released = self._trees_of_releases()
        self._now = git.tree_of(source.folder, repository)

    @property
    def released(self) -> list[str]:
        """Released versions, the oldest first."""
        return list(self._released)

    @property
    def edition(self) -> str:
        """What stands in the folder: a released version, or a development version named by content.

        A development version sorts before the version it leads to, and after the release it
        follows.
        """
        version = self.source.version
        if version not in self._released:
            return f"{version}.dev0+t{self._now[:12]}"
        same = self._released[version] == self._now
        return version if same else f"{version}.post1.dev0+t{self._now[:12]}"

    def tree(self, edition: str) -> str:
        """The id of the tree of a version.

        Raises:
            UnknownEdition: when it is neither released nor what stands there.
        """
        trees = {**self._released, self.edition: self._now}
        if edition not in trees:
            raise UnknownEdition(edition, self.source.version, self.released)
        return trees[edition]

    def release(self) -> bool:
        """Add what stands in the folder to the bundle as its version; whether it was not there.

        Raises:
            AlreadyReleased: when that version was released with other files.
        """
        source = self.source
        if self._released.get(source.version) == self._now:
            return False
        if source.version in self._released:
            raise AlreadyReleased(source.version)
        parents = [f"{self._references}/v{version}" for version in self.released[-1:]]
        message = f"Templates {source.version}"
        commit = git.commit_of(self._now, self.repository, message, parents)
        git.git(["tag", f"v{source.version}", commit], self.repository, git.ISOLATED)
        assert source.bundle is not None
        bundle = ["bundle", "create", "--quiet", str(source.bundle.absolute()), "--tags"]
        git.git(["-c", "pack.threads=1", *bundle], self.repository, git.ISOLATED)
        return True

    def _trees_of_releases(self) -> dict[str, str]:
        from packaging.version import Version

        wanted = ["for-each-ref", "--format=%(refname:strip=2) %(tree)", self._references]
        lines = git.git(wanted, self.repository, git.ISOLATED).splitlines()
        found = {name.removeprefix("v"): tree for name, tree in (line.split() for line in lines)}
        return {version: found[version] for version in sorted(found, key=Version)}


def main(arguments: list[str]) -> int:
    """Release the version of a folder of templates into its bundle."""
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    folder, version, bundle = arguments
    source = Source(Path(folder).resolve(), version, Path(bundle))
    try:
        with tempfile.TemporaryDirectory() as repository:
            git.start(Path(repository), "--bare")
            history = History(source, Path(repository))
            new = history.release()
            count = len(history.released) + new
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{bundle}: {version} {'added' if new else 'was there already'}, {count} version(s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

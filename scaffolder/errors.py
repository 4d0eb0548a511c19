"""Everything that can go wrong through no fault of the code, with what to do about it.

    UserError
    ├── InvalidAnswers        values that cannot be used, all of them at once
    ├── MissingAnswers        values that have no default
    ├── UnsupportedChoice     a combination that no adapter offers, and the nearest that one does
    ├── InfeasiblePlan        arithmetic that does not come out; TooLarge in `instead.py`
    ├── UnreadableAnswers     an answers file that is not one
    ├── DamagedAnswers        a project's own answers, of which some cannot be used
    ├── UnreadableRollouts    a path with no rollouts that can be read
    ├── TargetNotEmpty        a directory that already holds something
    ├── NoProject             a folder that holds no rendered project
    ├── CannotWrite           the file system says no
    ├── CannotPrint           standard output takes no more
    ├── WrongUsage            words that the command line does not know
    ├── MissingProgram        git is not there
    ├── GitFailed             git is there and says no
    ├── NotCommitted          a project with changes that git does not have
    ├── InTheWay              files of the user where an update would write
    ├── UnknownEdition        templates that this version of the tool does not have
    ├── AlreadyReleased       a version of templates whose files have changed since
    ├── BrokenFramework       a third-party framework that does not load
    └── Cancelled             Ctrl-C, or "no" to the last question

Each builds its own message. Only the command line prints them. A traceback is always a bug.
"""

from collections.abc import Sequence
from pathlib import Path


class UserError(Exception):
    """Something the user can mend: what is wrong, point by point, and the remedy."""

    exit_code = 2

    def __init__(self, problem: str, *, reasons: Sequence[str] = (), remedy: str = "") -> None:
        self.problem = problem
        self.reasons = list(reasons)
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [self.problem, *(f"  - {reason}" for reason in self.reasons)]
        return "\n".join([*lines, self.remedy] if self.remedy else lines)


class InvalidAnswers(UserError):
    """One or more answers have a value that cannot be used."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "These answers cannot be used:", reasons=reasons, remedy="Nothing was written."
        )


class MissingAnswers(UserError):
    """Answers without a default were not given, and nobody can be asked."""

    def __init__(self, names: Sequence[str]) -> None:
        flags = " ".join(f"--{name.replace('_', '-')} ..." for name in names)
        super().__init__(
            f"Missing: {', '.join(names)}.",
            remedy=f"Pass {flags}, or give them in a file with --answers, "
            "or run on a terminal without --yes to be asked.",
        )
        self.names = list(names)


class UnsupportedChoice(UserError):
    """The combination is not offered; `nearest` is the closest one that is."""

    def __init__(self, reasons: Sequence[str], nearest: str, elsewhere: Sequence[str] = ()) -> None:
        """
        Args:
            elsewhere: sentences about who offers what is refused.
        """
        listed = "`rl-scaffolder frameworks` lists all of them."
        super().__init__(
            "This combination is not offered:",
            reasons=reasons,
            remedy="\n".join([*elsewhere, f"The nearest that is: {nearest}", listed]),
        )


class InfeasiblePlan(UserError):
    """The sizes do not come out; every reason names numbers that do."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "This cannot be run as asked:", reasons=reasons, remedy="Nothing was written."
        )


class UnreadableAnswers(UserError):
    """The file given with --answers holds no answers."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"Cannot read answers from {path}: {why}.",
            remedy="Give a YAML or JSON file with one `name: value` per answer, "
            "or the .copier-answers.yml of another project.",
        )


class DamagedAnswers(UserError):
    """What a project was made from cannot be made out any more."""

    def __init__(self, path: Path, reasons: Sequence[str]) -> None:
        super().__init__(
            f"The answers in {path} cannot be used:",
            reasons=reasons,
            remedy="Bring the file back from git, or mend these lines. Nothing was changed.",
        )


class UnreadableRollouts(UserError):
    """Rollouts that are not there, or cannot be read."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy=remedy)


class TargetNotEmpty(UserError):
    """The project would land among files that are already there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not an empty directory, and nothing in it was touched.",
            remedy="Choose a new directory, or empty this one.",
        )


class NoProject(UserError):
    """A folder that should hold a rendered project, and does not."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is no project of rl-scaffolder: {why}.",
            remedy="Give the folder that `rl-scaffolder new` wrote.",
        )


class CannotWrite(UserError):
    """The operating system refused to create the project."""

    def __init__(self, path: Path, error: OSError) -> None:
        # shutil.Error lists (source, destination, why) of every file of a folder.
        several = error.args[0] if error.args and isinstance(error.args[0], list) else []
        why = several[0][2] if several else error.strerror or error
        super().__init__(
            f"Cannot write {path}: {why}.",
            remedy="Choose a directory that you may write to, on a disk with free space.",
        )


class CannotPrint(UserError):
    """Standard output takes no more; what was done is its remedy."""

    exit_code = 1

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Cannot print: {error.strerror or error}.")
        self.number = error.errno


class WrongUsage(UserError):
    """An option, an argument or a command that is unknown or missing."""

    def __init__(self, problem: str, command: str) -> None:
        super().__init__(problem, remedy=f"`{command} --help` says what there is.")


class MissingProgram(UserError):
    """A program that the tool calls is not installed."""

    def __init__(self, program: str, purpose: str) -> None:
        super().__init__(
            f"{program} is not installed; it is needed to {purpose}.",
            remedy=f"Install {program} and run the command again.",
        )


class GitFailed(UserError):
    """Git ended with an error."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(
            f"`git {command}` failed:",
            reasons=said.strip().splitlines() or ["it said nothing"],
            remedy="Mend what git says. Nothing was written.",
        )


class NotCommitted(UserError):
    """A project that is not in git as it stands, so that an update could not be taken back."""

    def __init__(self, path: Path, why: str, remedy: str) -> None:
        super().__init__(f"{path} cannot be updated: {why}.", remedy=remedy)


class InTheWay(UserError):
    """Files that git does not know, where an update would write."""

    def __init__(self, said: Sequence[str]) -> None:
        super().__init__(
            "The update would overwrite files that are not in git:",
            reasons=said,
            remedy="Move or commit them. Nothing was changed.",
        )


class UnknownEdition(UserError):
    """A project from templates that are not in the history."""

    def __init__(self, edition: str, version: str, released: Sequence[str]) -> None:
        development = ".dev" in edition
        what = "a development version, which is in no history" if development else "not known here"
        super().__init__(
            f"The project was rendered from templates {edition}: {what}. This is {version}, "
            f"released before: {', '.join(released) or 'none'}.",
            remedy="Render the newest beside it with `rl-scaffolder new DIR --answers "
            "PROJECT/.copier-answers.yml`, and compare the two."
            if development
            else "Install a newer rl-scaffolder (or the newer package that brings the framework).",
        )


class AlreadyReleased(UserError):
    """A version of templates was released before, and looked otherwise."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"Templates {version} are released already, with other files.",
            remedy="Choose the next version number.",
        )


class BrokenFramework(UserError):
    """A package registered a framework that cannot be loaded."""

    def __init__(self, name: str, package: str, error: Exception) -> None:
        super().__init__(
            f"The framework {name!r} of the package {package} does not load: {error}.",
            remedy=f"Update or uninstall {package}.",
        )


class Cancelled(UserError):
    """The user stopped before anything was written."""

    exit_code = 130
    """As shells have it after Ctrl-C."""

    def __init__(self, command: str = "") -> None:
        remedy = f"To go on with what you said:\n\n{command}" if command else ""
        super().__init__("cancelled; nothing was written.", remedy=remedy)

"""The tool's wheel carries that of the library."""

import runpy
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CarryLibrary(BuildHookInterface):  # type: ignore[type-arg]
    """Puts it where `scaffolder/library.py` looks for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # the checkout itself is there
            return
        library = runpy.run_path(str(Path(self.root) / "scaffolder" / "library.py"))
        made: Path = library["main"](Path(self.directory) / "library")
        build_data["force_include"][str(made)] = f"scaffolder/_library/{made.name}"

    def finalize(self, *_: Any) -> None:
        shutil.rmtree(Path(self.directory) / "library", ignore_errors=True)

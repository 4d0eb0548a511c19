"""What a launch script starts, seen by a Python that only writes down how it was called."""

import re
import subprocess
from pathlib import Path

NVIDIA_SMI = "#!/bin/sh\nseq 0 {last}\n"
PYTHON = '#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" "$@" >>"$STARTED"\n'


class Launches:
    """Machines with as many GPUs as were planned, on which scripts are started."""

    def __init__(self, folder: Path, gpus: int) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.started = folder / "started"
        for name, text in (("nvidia-smi", NVIDIA_SMI.format(last=gpus - 1)), ("python", PYTHON)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.expected: str | None = None

    def judge(self, script: Path, runs: bool) -> str | None:
        """Why a script does not start what was planned.

        Args:
            runs: whether to start it; else bash only reads it.
        """
        read = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
        if read.returncode or read.stderr:
            return read.stderr
        if not runs:
            return None
        self.started.unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", str(script)],
            cwd=script.parent,
            env={
                "PATH": f"{self.bin}:/usr/bin:/bin",
                "PYTHON": "python",
                "STARTED": str(self.started),
            },
            capture_output=True,
            text=True,
            timeout=20,
        )
        if done.returncode:
            return f"ended with {done.returncode}: {done.stderr}"
        started = self.started.read_text() if self.started.is_file() else "nothing"
        started = re.sub(r"timeout=\d+", "timeout", started)
        self.expected = self.expected or started
        return None if started == self.expected else f"starts {started}"

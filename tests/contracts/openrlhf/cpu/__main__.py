"""python -m contracts.openrlhf.cpu train_openrlhf.py ...: the script, on a machine without GPUs.

It counts GPUs before it begins, and none is needed here; what it starts finds `sitecustomize.py`.
"""

import os
import runpy
import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])
os.environ["DS_ACCELERATOR"] = "cpu"

script = Path(sys.argv[1])
sys.path.insert(0, str(script.parent))
import openrlhf_checks  # noqa: E402

openrlhf_checks.gpus_here = lambda: 64
sys.argv = sys.argv[1:]
runpy.run_path(str(script), run_name="__main__")

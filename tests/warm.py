"""A Python that has imported torch and more already, for the scripts that tests run.

Importing TRL costs ten seconds, and the tests start some hundred scripts that do. `python(modules)`
gives the path of a program that runs scripts as `python` does. Behind it stands a process that has
imported those modules and makes a copy of itself for each script: with the script's arguments,
environment, folder, files and exit code, in a process of its own. What is not a plain script, and
variables that libraries read when they are imported, go to the real interpreter.

Two programs in one file, besides what the tests call:

    warm.py serve FOLDER MODULE ...    imports, and waits for scripts
    warm.py run FOLDER ARGUMENTS       what `python ARGUMENTS` would do
"""

import atexit
import json
import os
import selectors
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

SOCKET, PROGRAM, STARTED = "socket", "python", "started.json"
READ_AT_IMPORT = (
    "HF_DATASETS_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "HOME", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
    "TORCH_HOME", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME",
)  # fmt: skip
"""Variables with which a script needs its own interpreter, where they are not the server's."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
SIZE = struct.Struct(">I")
STARTING_SECONDS = 300
_folders: dict[tuple[str, ...], Path] = {}


def python(*modules: str) -> str:
    """The path of an interpreter that has imported these modules; started when first asked for."""
    if modules not in _folders:
        _folders[modules] = _started(modules)
    return str(_folders[modules] / PROGRAM)


def _started(modules: tuple[str, ...]) -> Path:
    temporary = tempfile.TemporaryDirectory(prefix="warm-")
    folder = Path(temporary.name)
    program, log = folder / PROGRAM, folder / "log"
    script = str(Path(__file__).resolve())
    client = shlex.join([sys.executable, "-I", "-S", script, "run", str(folder)])
    program.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("w") as said:
        server = subprocess.Popen(
            [sys.executable, script, "serve", str(folder), *modules], env=environment,
            stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip

    def end() -> None:
        assert server.stdin
        server.stdin.close()
        server.wait()
        temporary.cleanup()

    atexit.register(end)
    deadline = time.monotonic() + STARTING_SECONDS
    while not (folder / STARTED).exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"importing {', '.join(modules)} failed:\n{log.read_text()}")
        time.sleep(0.05)
    return folder


def _environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in READ_AT_IMPORT}


# --- the program that stands for `python` ---


def run(folder: Path, arguments: list[str]) -> None:
    """Have a script run, and end as it does."""
    as_started = json.loads((folder / STARTED).read_bytes()) == _environment()
    if not as_started or not _is_plain(arguments):
        os.execv(sys.executable, [sys.executable, *arguments])
    for each in PASSED_ON:  # until there is somebody to pass them on to
        signal.signal(each, signal.SIG_DFL)
    message = json.dumps(
        {"argv": arguments, "cwd": str(Path.cwd()), "env": dict(os.environ), "umask": _umask()}
    ).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(folder / SOCKET))
        socket.send_fds(server, [SIZE.pack(len(message))], [0, 1, 2])
        server.sendall(message)
        (process,) = SIZE.unpack(_received(server, SIZE.size))
        for each in PASSED_ON:
            signal.signal(each, lambda number, _: os.kill(process, number))
        (code,) = struct.unpack(">i", _received(server, 4))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def _is_plain(arguments: list[str]) -> bool:
    """A script, a module or code, without options of the interpreter but -u."""
    first = next((each for each in arguments if each != "-u"), "-")
    return first in ("-m", "-c") or not first.startswith("-")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("warm python: the other side has ended")
        data += more
    return data


# --- the server ---


def serve(folder: Path, modules: list[str]) -> None:
    """Import, then copy this process for each script that is asked for, until stdin ends: with the
    tests, however these end."""
    import gc
    import importlib

    _open_streams()
    for name in modules:
        importlib.import_module(name)
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    if any(not name.startswith(("python", "jemalloc")) for name in names):
        raise SystemExit(f"a process with threads must not be copied: {names}")
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / SOCKET))
    listening.listen(64)
    new = folder / f"{STARTED}.new"
    new.write_text(json.dumps(_environment()))
    new.replace(folder / STARTED)
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select()[:1]:  # it may end what the others are about
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listening:
                _accepted(listening, waiting)
            else:
                _ended(key, waiting)


def _open_streams() -> None:
    """stdout and stderr that take what they write to for a pipe, whatever it is later."""
    kept = [os.dup(1), os.dup(2)]
    _, pipe = os.pipe()
    for number in (1, 2):
        os.dup2(pipe, number)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace", buffering=1)
    for number, log in enumerate(kept, 1):
        os.dup2(log, number)


def _accepted(listening: socket.socket, waiting: selectors.BaseSelector) -> None:
    """Begin a script."""
    connection, _ = listening.accept()
    head, files, _, _ = socket.recv_fds(connection, SIZE.size, 3)
    try:
        asked = json.loads(_received(connection, *SIZE.unpack(head)))
    except (OSError, EOFError, struct.error):  # who asked has been killed meanwhile
        for file in files:
            os.close(file)
        connection.close()
        return
    process = os.fork()
    if process == 0:
        # The copy holds nothing of the others, so that they notice when one of them ends.
        for key in list(waiting.get_map().values()):
            if key.fileobj is not sys.stdin:
                os.close(key.fd)
            if key.data:
                key.data[0].detach()
        connection.close()
        _become(asked, files)
    os.setpgid(process, process)  # here too: whoever is first
    for file in files:
        os.close(file)
    with suppress(OSError):
        connection.sendall(SIZE.pack(process))
    waiting.register(os.pidfd_open(process), selectors.EVENT_READ, (connection, process))
    waiting.register(connection, selectors.EVENT_READ, (connection, process))


def _ended(key: selectors.SelectorKey, waiting: selectors.BaseSelector) -> None:
    """A script has ended, or who asked for it has."""
    connection, process = key.data
    if key.fileobj is connection:
        waiting.unregister(connection)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        return
    waiting.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(process, 0)
    if connection in waiting.get_map():
        waiting.unregister(connection)
        with suppress(OSError):
            connection.sendall(struct.pack(">i", os.waitstatus_to_exitcode(status)))
    connection.close()


def _become(asked: dict[str, Any], files: list[int]) -> NoReturn:
    """Go on as if this process had been started for a script."""
    import random
    import threading

    os.setpgid(0, 0)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["env"])
    # Workers of torchrun are scripts too.
    os.environ.setdefault("PYTHON_EXEC", str(Path(sys.argv[2], PROGRAM)))
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    random.seed()
    code = 0
    try:
        _execute(asked["argv"])
    except SystemExit as stopped:
        if isinstance(stopped.code, str):
            print(stopped.code, file=sys.stderr)
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
    # Taking the interpreter down would touch, and so copy, all of its memory.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _execute(words: list[str]) -> None:
    import runpy

    while words[0] == "-u":
        words = words[1:]
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    paths = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    installed = sys.path[1:]
    if words[0] == "-m":
        sys.argv, sys.path = words[1:], [str(Path.cwd()), *paths, *installed]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv, sys.path = ["-c", *words[2:]], ["", *paths, *installed]
        exec(compile(words[1], "<string>", "exec"), _main())
    else:
        here = str(Path(words[0]).resolve().parent)
        sys.argv, sys.path = words, [here, *paths, *installed]
        file = str(Path(words[0]).absolute())
        exec(compile(Path(file).read_bytes(), file, "exec"), _main(file))


def _main(file: str | None = None) -> dict[str, Any]:
    """The names of a new main module."""
    import types

    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__.update({"__builtins__": __builtins__, **({"__file__": file} if file else {})})
    return module.__dict__


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), sys.argv[3:])
    else:
        run(Path(sys.argv[2]), sys.argv[3:])

"""Run one command to its end, and its children to theirs, and report what they cost.

    python -I -S launcher.py REPORT COMMAND ...

A process inherits the peak memory of the one it was started from, so this one stays smaller than
anything it measures. Children that outlive their parent become its own, so that none is missed.
The kernel adds up the CPU time of all, and keeps the peak memory of the largest.
"""

import ctypes
import os
import resource
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


def main() -> None:
    report, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ)
    status = os.waitpid(child, 0)[1]
    wall = time.perf_counter() - started
    _reap_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would make this process larger
        file.write(f"{wall} {used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}")
    sys.exit(os.waitstatus_to_exitcode(status) != 0)


def _reap_the_rest() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


main()

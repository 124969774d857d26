"""Child processes that end with their parent, and the CPUs that a process may use."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def cpu_count() -> int:
    """Return the number of CPUs that this process was given."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def with_parent() -> Callable[[], None] | None:
    """Return what a child runs first (`preexec_fn`) so that it ends with its parent.

    However the parent ends: a child that went on would hold its files, and the CPU.
    Only Linux can; elsewhere the answer is None, and children end where the parent
    ends them.
    """
    if sys.platform != "linux":
        return None
    # loaded before the fork: after it, little is safe
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def first() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it has ended meanwhile
            os._exit(128 + signal.SIGKILL)

    return first

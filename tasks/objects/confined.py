"""Work on foreign files, in a process of its own with limits of time and memory.

The parsers of meshes and models are large programs in C++ that were not written for
hostile files: one may crash, wait for ever, or ask for all the memory there is. Here
that ends a child of ours, and becomes one line. Arrays go in and out as .npz; nothing
is pickled, and nothing is imported that the file names.
"""

import contextlib
import importlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECONDS = 30
"""Time that reading one file may take."""
GIB = 4
"""Address space that reading one file may take [2^30 bytes]."""
Arrays = dict[str, NDArray[Any]]
_REFUSED = "refused"
_ROOT = str(Path(__file__).parents[2])


class RefusedError(ValueError):
    """The work cannot be done; its message is one line without the file's name."""


def needed(name: str) -> ModuleType:
    """Import a library of the extra `objects`.

    Raises:
        RefusedError: if it is not installed, saying how to.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RefusedError(
            f"this needs {name}: pip install 'pliant[objects]'"
        ) from error


def confined(
    work: str,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    *,
    seconds: int | None = None,
    gib: int | None = None,
    threads: bool = False,
    verb: str = "read",
    by: str = "the parser",
    **settings: Any,  # noqa: ANN401  (whatever JSON holds)
) -> Arrays:
    """Call a function in a process of its own.

    Args:
        work: `module:function`. It takes the arrays and settings by keyword, returns a
            dict of arrays, and raises `RefusedError` for what it cannot do.
        arrays: handed over.
        seconds: limit of time; `SECONDS` by default.
        gib: limit of address space [2^30 bytes]; `GIB` by default.
        threads: use more than one thread, each of which reserves address space.
        verb: what is done to the object, as messages say: it "cannot be" that.
        by: what does it.
        settings: handed over, as JSON.

    Raises:
        RefusedError: as the function, or if it crashed or met a limit.
    """
    seconds, gib = seconds or SECONDS, gib or GIB
    given = io.BytesIO()
    np.savez(given, **(arrays or {}))  # pyright: ignore[reportArgumentType]
    job = json.dumps([work, settings, seconds, gib, verb])
    ending = partial(_ending, seconds=seconds, gib=gib, verb=verb, by=by)
    # an empty folder: the simulator's log file does not land in the user's
    with tempfile.TemporaryDirectory(prefix="pliant-") as folder:
        child = _start(job, folder, {} if threads else _ONE_THREAD)
        try:
            # the child's own alarm rings first, and rings even if we are killed
            said, _ = child.communicate(given.getvalue(), timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            raise RefusedError(ending(-signal.SIGALRM)) from None
        finally:
            _kill(child)
    if child.returncode:
        raise RefusedError(ending(child.returncode))
    with np.load(io.BytesIO(said), allow_pickle=False) as file:
        found: Arrays = {name: file[name] for name in file.files}
    if _REFUSED in found:
        raise RefusedError(str(found[_REFUSED]))
    return found


def _start(
    job: str, folder: str, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    code = f"import sys; sys.path.insert(0, {_ROOT!r}); from {__name__} import serve; "
    return subprocess.Popen(
        # -P: what lies in the working directory is never imported
        [sys.executable, "-P", "-W", "ignore", "-c", f"{code}serve()", job],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def serve() -> None:
    """Do the work that the command line names; this runs in the child."""
    work, settings, seconds, gib, verb = json.loads(sys.argv[1])
    signal.alarm(seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, gib << 30)
    # what libraries print must not mix with the answer
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    module, _, function = work.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)(**arrays, **settings)
    except RefusedError as error:
        found = {_REFUSED: np.array(_line(error))}
    except MemoryError:
        found = {_REFUSED: np.array(f"needs more than {gib} GiB of memory")}
    # readers raise whatever they stumble over
    except Exception as error:
        found = {_REFUSED: np.array(f"cannot be {verb}: {_line(error)}")}
    content = io.BytesIO()
    np.savez(content, **found)  # pyright: ignore[reportArgumentType]
    with answer:
        answer.write(content.getvalue())


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    # macOS knows no limit of address space; that of time holds
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (most, most))


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End the child and what it may have started, however we leave."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _ending(code: int, seconds: int, gib: int, verb: str, by: str) -> str:
    """Say why a child ended that gave no answer."""
    if -code in (signal.SIGALRM, signal.SIGXCPU):
        return f"cannot be {verb}: {by} takes more than {seconds} s, or waits for ever"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return (
        f"cannot be {verb}: {by} died ({name}) of what is in the file, or of "
        f"needing more than {gib} GiB"
    )

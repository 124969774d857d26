"""Errors in one line: those that the user can mend, and of the user's own code."""

import sysconfig
import traceback
from pathlib import Path

MENDABLE = (ValueError, OSError, MemoryError, FloatingPointError)
"""Errors that the user can mend."""
_ALLOCATOR = "DefaultCPUAllocator: "
"""Before torch's words for a full memory of the machine, which is a RuntimeError."""
_ROOT = Path(__file__).parents[2]
_OTHERS = (
    *(_ROOT / name for name in ("pliant", "meta", "tasks", "policies", "robots")),
    Path(sysconfig.get_path("stdlib")),
)
"""Folders of code that is not the user's own."""


def one_line(error: Exception) -> str:
    """Return what a user is told of an error; nothing if it is none of the user's."""
    if _full(error):
        # torch goes on about its allocator
        said = str(error).partition(_ALLOCATOR)[2] or str(error)
        return f"not enough memory: {said.split('. GPU')[0]}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        at, unknown = error.filename, isinstance(error, FileNotFoundError)
        if unknown and isinstance(at, str) and not (home := Path(at).parent).exists():
            return f"{where}{error.strerror}: there is no folder {home}"
        return f"{where}{error.strerror}"
    if not isinstance(error, OSError | FloatingPointError) and (own := _own(error)):
        kind = type(error).__name__
        return f"{own} raised {kind}: {error}"
    return (str(error) or type(error).__name__) if isinstance(error, MENDABLE) else ""


def own_traceback(error: Exception) -> str:
    """Return the traceback from the user's own code on, or nothing, as `one_line`.

    What failed when the user's module was imported is the cause of what is told of it.
    """
    if _full(error) or isinstance(error, OSError | FloatingPointError):
        return ""
    for one in (error, error.__cause__):
        found = one and one.__traceback__
        while found and not _is_own(found.tb_frame.f_code.co_filename):
            found = found.tb_next
        if found:
            return "".join(traceback.format_tb(found))
    return ""


def _full(error: Exception) -> bool:
    """Tell whether a memory is full."""
    # torch's for a full device by its name: torch need not be imported
    full = type(error).__name__ == "OutOfMemoryError" or _ALLOCATOR in str(error)
    return full or isinstance(error, MemoryError)


def _own(error: Exception) -> str:
    """Return the function of the user's own that failed, and the line; or nothing.

    The function is the one that was called from here: `Mine.control`, and not what it
    calls in turn.
    """
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_own(frame.f_code.co_filename)
    ]
    if not frames:
        return ""
    (first, _), (last, line) = frames[0], frames[-1]
    name = f"{first.f_globals.get('__name__')}:{first.f_code.co_qualname}"
    return f"{name} ({Path(last.f_code.co_filename).name}, line {line})"


def _is_own(file: str) -> bool:
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & {*path.parts}
    # generated code, such as a dataclass's, has no file
    return (
        path.is_file()
        and not installed
        and not any(path.is_relative_to(other) for other in _OTHERS)
    )

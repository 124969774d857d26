"""Files that are whole or not there, and files that anyone may have written."""

import json
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tasks.strict_json import parse_json

LARGEST = 2**30
"""Size up to which a file is read [bytes]; Pliant's own have a few million."""


def write_atomically(path: Path | str, content: bytes) -> None:
    """Replace a file by a whole new one, or leave it as it was.

    Raises:
        ValueError: for a place that is no regular file.
        OSError: if it cannot be written, naming it.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def replacing(path: Path | str) -> Generator[Path]:
    """Give a file to write, which then takes the place of another; or leave that.

    Only one process may write a path at a time. What a killed one left is overwritten.

    Yields:
        The file to write: beside the other, with the same ending.

    Raises:
        ValueError, OSError: as `write_atomically`.
    """
    path = Path(path)
    check_replaceable(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        partial.unlink(missing_ok=True)  # which may be a link
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if not error.strerror or error.filename not in (None, str(partial)):
            raise
        # the user knows no other name than the one that was asked for
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def check_replaceable(path: Path) -> None:
    """Raise ValueError for a link or a device, which a file would take the place of."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{path} is no regular file, and would be replaced by one")


@contextmanager
def opened(path: Path, largest: int = LARGEST) -> Generator[BinaryIO]:
    """Open a file to read it, if it is a regular file of a size that can be read.

    Raises:
        ValueError: for a pipe or a device, which may never end, or a file too large.
        OSError: if it cannot be opened.
    """
    # without waiting for one who writes to a pipe
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path} is no regular file")
        if about.st_size > largest:
            raise ValueError(
                f"{path} has {about.st_size:,} bytes; at most {largest:,} are read"
            )
        yield file


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """Return the content of a file.

    Raises:
        ValueError, OSError: as `opened`.
    """
    with opened(path, largest) as file:
        return file.read(largest)


def read_json(path: Path) -> Any:  # noqa: ANN401  (whatever it holds)
    """Return the content of a JSON file.

    Raises:
        ValueError: if it is no JSON, naming the file; and as `opened`.
        OSError: as `opened`.
    """
    content = read_bytes(path)
    try:
        return parse_json(content)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that people can read, too; see `write_atomically`."""
    write_atomically(path, (json.dumps(value, indent=1) + "\n").encode())

"""NumPy's archives, which anyone may have written: no pickles, and nothing oversized.

A few bytes can stand for gigabytes, in a compressed member or in the shape of an array.
Sizes are checked before anything of that size is made.
"""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from meta.machine.files import opened

_HEADERS: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_BROKEN = (
    *(ValueError, TypeError, KeyError, EOFError, OSError, ArithmeticError),
    *(NotImplementedError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error),
)
"""Errors of zipfile, zlib and numpy, which raise more kinds than they document."""


def read_arrays(path: Path, *, largest: int) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file.

    Args:
        path: the file.
        largest: bytes up to which all its members together are read.

    Raises:
        ValueError: for anything else than such a file, or a larger one.
        OSError: if it cannot be opened.
    """
    with opened(path, largest) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                size = sum(member.file_size for member in members)
                if size > largest:
                    raise ValueError(
                        f"its members have {size:,} bytes; at most {largest:,} are read"
                    )
                found: dict[str, np.ndarray] = {}
                for member in members:
                    with archive.open(member) as content:
                        # to its end, where its checksum is checked, and no further
                        data = content.read(member.file_size + 1)
                    found[member.filename.removesuffix(".npy")] = _array(data)
                return found
        except _BROKEN as error:
            raise ValueError(f"{path} is truncated or no recording: {error}") from error


def _array(data: bytes) -> np.ndarray:
    content = io.BytesIO(data)
    version = npy.read_magic(content)
    if version not in _HEADERS:
        raise ValueError(f"an array of NumPy's format {version}")
    shape, _, dtype = _HEADERS[version](content)
    left = len(data) - content.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"an array of shape {shape} and {left} bytes of {dtype}")
    content.seek(0)
    return np.load(content, allow_pickle=False)

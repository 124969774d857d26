"""Pages as a video, by ffmpeg in a process of its own."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

from meta.machine.files import replacing
from meta.machine.processes import with_parent

_QUALITY = "10"
"""Constant rate factor of H.264: 0 keeps every pixel, and 51 is the worst."""


def encode(path: Path, pages: Iterator[Image.Image], fps: float) -> None:
    """Write pages of one even size as H.264, which every player takes.

    Args:
        path: the file, replaced if it exists.
        pages: at least one; each is drawn when the one before is written.
        fps: pages a second.

    Raises:
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    with replacing(path) as partial, tempfile.TemporaryFile() as log:
        partial.touch()  # finds out before the drawing whether it can be written
        first = next(pages)
        with subprocess.Popen(
            _command(partial, first.size, fps),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            process_group=0,  # Ctrl-C is for us to deal with
            preexec_fn=with_parent(),
        ) as process:
            assert process.stdin
            try:
                for page in chain([first], pages):
                    process.stdin.write(page.tobytes())
            except BrokenPipeError:
                pass  # it has ended, and its log says why
            except BaseException:
                process.kill()
                raise
            finally:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        if process.returncode:
            log.seek(0)
            raise _unwritten(path, log.read().decode(errors="replace"))


def _command(path: Path, size: tuple[int, int], fps: float) -> list[str]:
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise OSError(f"a video needs ffmpeg: {error}") from error
    width, height = size
    rate = str(Fraction(fps).limit_denominator())
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    h264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", _QUALITY]
    return [
        *(ffmpeg, "-y", "-v", "error", "-xerror"),
        *(*raw, "-r", rate, "-i", "-", "-an", *h264),
        f"file:{path}",  # a name with a colon in it would be a protocol to ffmpeg
    ]


def _unwritten(path: Path, log: str) -> OSError:
    """Return an error of one line for what ffmpeg says in many."""
    code = errno.ENOSPC if "No space left" in log else errno.EIO
    return OSError(code, f"{os.strerror(code)}, says ffmpeg", str(path))

"""Recordings as pictures: a video, or a strip of a few moments."""

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from meta.machine.files import replacing, write_atomically
from meta.recording.replay import world_of
from meta.recording.trajectory import Recording
from pliant.views.recording_sheet import Sheet, Told
from robots.sim.render import Renderer

MAX_DRAWN = 60
"""Largest number of moments in a video; drawing one takes about 0.1 s."""
_LITTLE = 2**20  # [bytes]; with less left, the disk counts as full
HOLD = (0.6, 1.8)
"""Times for which the first and the last picture stay [s]."""


def write_video(
    recording: Recording,
    path: Path,
    *,
    width: int = 640,
    slow: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write an mp4: both episodes side by side, the hidden parameters above.

    Args:
        recording: the recording to show.
        path: the file, replaced if it exists.
        width: width of one episode's picture [pixels], an even number.
        slow: factor by which the video is slower than real time.
        progress: told how many moments are drawn, and of how many.

    Raises:
        ValueError: for a width or speed that cannot be, or if the recorded world cannot
            be built again.
        OSError: if there is no OpenGL, or the file cannot be written.
    """
    if width < 64 or width % 2 or slow <= 0:
        raise ValueError(
            f"need an even width of at least 64 and slow > 0, got {width} and {slow}"
        )
    family, sim = world_of(recording)
    steps = max(len(e.rewards) for e in recording.episodes)
    every = -(-steps // MAX_DRAWN)
    fps = 1 / (sim.control_dt * every * slow)
    remark = f"{slow:g} times slower" if slow != 1 else ""
    sheet = Sheet(
        recording,
        Told.of(recording, family),
        dt=sim.control_dt,
        width=width,
        remark=remark,
    )

    def pages() -> Iterator[Image.Image]:
        instants = [*range(0, steps, every), steps]
        with Renderer(sim.model_of(0), width=width, height=sheet.height) as renderer:
            renderer.zoom(_all_states(recording))
            for done, instant in enumerate(instants, 1):
                page = sheet.frame(_moment(recording, renderer, instant), instant)
                stay = HOLD[0] if done == 1 else HOLD[1] if instant == steps else 0
                yield from [page] * max(1, round(stay * fps))
                if progress:
                    progress(done, len(instants))

    encode(path, pages(), fps)


def write_strip(
    recording: Recording, path: Path, *, moments: int = 5, width: int = 320
) -> None:
    """Write a PNG: a few moments of both episodes, one row each.

    Args:
        recording: the recording to show.
        path: the file, replaced if it exists.
        moments: number of pictures of each episode, evenly apart in time.
        width: width of a picture [pixels].

    Raises:
        ValueError: for too few moments or pixels, or as `write_video`.
        OSError: as `write_video`.
    """
    if moments < 2 or width < 64:
        raise ValueError(
            f"need moments >= 2 and width >= 64, got {moments} and {width}"
        )
    family, sim = world_of(recording)
    steps = max(len(e.rewards) for e in recording.episodes)
    instants = [round(steps * i / (moments - 1)) for i in range(moments)]
    sheet = Sheet(recording, Told.of(recording, family), dt=sim.control_dt, width=width)
    with Renderer(sim.model_of(0), width=width, height=sheet.height) as renderer:
        renderer.zoom(_all_states(recording))
        drawn = [_moment(recording, renderer, instant) for instant in instants]
    content = io.BytesIO()
    rows = list(zip(*drawn, strict=True))
    sheet.strip(rows, instants).save(content, format="PNG", optimize=True)
    write_atomically(path, content.getvalue())


def _moment(recording: Recording, renderer: Renderer, instant: int) -> list[np.ndarray]:
    """Draw both episodes at an instant; one that has ended stays as it ended."""
    return [
        renderer.draw(e.states[min(instant, len(e.states) - 1)])
        for e in recording.episodes
    ]


def _all_states(recording: Recording) -> np.ndarray:
    return np.concatenate([e.states for e in recording.episodes])


def encode(path: Path, pages: Iterator[Image.Image], fps: float) -> None:
    """Write the pages as H.264, which every player takes."""
    rate: Any = fps  # any number will do, says ffmpeg
    with replacing(path) as partial:
        partial.touch()  # finds out before the drawing whether it can be written
        first, drawn = next(pages), 0
        # a name with a colon in it would be a protocol to ffmpeg
        name = f"file:{partial}"
        writer = imageio_ffmpeg.write_frames(
            name,
            first.size,
            fps=rate,
            macro_block_size=2,
            quality=8,
        )
        try:
            writer.send(None)
            try:
                for page in chain([first], pages):
                    writer.send(page.tobytes())
                    drawn += 1
            finally:
                writer.close()
            # what ffmpeg could not write at its end, it does not say
            whole = imageio_ffmpeg.count_frames_and_secs(name)[0] == drawn
        except (OSError, RuntimeError) as error:
            if "no OpenGL" in str(error):
                raise
            raise _unwritten(path, str(error)) from error
        if not whole:
            raise _unwritten(path, "")


def _unwritten(path: Path, log: str) -> OSError:
    """Return an error of one line for what ffmpeg says in many."""
    full = shutil.disk_usage(path.parent).free < _LITTLE or "No space left" in log
    code = errno.ENOSPC if full else errno.EIO
    return OSError(code, f"{os.strerror(code)}, says ffmpeg", str(path))

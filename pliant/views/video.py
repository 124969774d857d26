"""Recordings as pictures: a video, or a strip of a few moments."""

import io
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from meta.machine.files import write_atomically
from meta.recording.footage import Footage
from meta.recording.recorded import Recorded
from meta.recording.replay import world_of
from meta.recording.trajectory import Recording
from pliant.views.ffmpeg import encode
from pliant.views.recording_sheet import Picture, Sheet, Told
from robots.sim.render import Renderer

MAX_DRAWN = 60
"""Largest number of moments in a video; drawing one takes about 0.1 s."""
HOLD = (0.6, 1.8)
"""Times for which the first and the last picture stay [s]."""


def write_video(
    recording: Recorded,
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
    remark = f"{slow:g} times slower" if slow != 1 else ""
    scene = _scene(recording, width, remark)
    fps = 1 / (scene.sheet.dt * scene.every * slow)
    steps = _steps(recording)
    instants = [*range(0, steps, scene.every), steps]

    def pages() -> Iterator[Image.Image]:
        with scene.drawing() as draw:
            for done, instant in enumerate(instants, 1):
                page = scene.sheet.frame(draw(instant), instant)
                stay = HOLD[0] if done == 1 else HOLD[1] if instant == steps else 0
                yield from [page] * max(1, round(stay * fps))
                if progress:
                    progress(done, len(instants))

    encode(path, pages(), fps)


def write_strip(
    recording: Recorded, path: Path, *, moments: int = 5, width: int = 320
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
    steps = _steps(recording)
    instants = [round(steps * i / (moments - 1)) for i in range(moments)]
    scene = _scene(recording, width)
    with scene.drawing() as draw:
        drawn = [draw(instant) for instant in instants]
    content = io.BytesIO()
    rows = list(zip(*drawn, strict=True))
    scene.sheet.strip(rows, instants).save(content, format="PNG", optimize=True)
    write_atomically(path, content.getvalue())


Draw = Callable[[int], list[Picture]]
"""Gives both episodes at an instant; one that has ended stays as it ended."""


class _Scene(NamedTuple):
    """Scene of a recording: pages, and what is drawn on them."""

    sheet: Sheet
    every: int
    """Steps from one picture of a video to the next."""
    drawing: Callable[[], AbstractContextManager[Draw]]


def _scene(recording: Recorded, width: int, remark: str = "") -> _Scene:
    if isinstance(recording, Footage):
        return _filmed(recording, width, remark)
    return _simulated(recording, width, remark)


def _simulated(recording: Recording, width: int, remark: str) -> _Scene:
    """Return the scene of physics states, whose world is built again."""
    family, sim = world_of(recording)
    told, dt = Told.of(recording, family), sim.control_dt
    sheet = Sheet(recording, told, dt=dt, width=width, remark=remark)
    every = -(-_steps(recording) // MAX_DRAWN)
    states = [e.states for e in recording.episodes]

    @contextmanager
    def drawing() -> Generator[Draw]:
        with Renderer(sim.model_of(0), width=width, height=sheet.height) as renderer:
            renderer.zoom(np.concatenate(states))
            yield lambda at: [renderer.draw(s[min(at, len(s) - 1)]) for s in states]

    return _Scene(sheet, every, drawing)


def _filmed(footage: Footage, width: int, remark: str) -> _Scene:
    """Return the scene of pictures, which are fitted into the sheet."""
    told, dt = Told.of_footage(footage), 1 / footage.fps
    sheet = Sheet(footage, told, dt=dt, width=width, remark=remark)

    def fitted(instant: int) -> list[Picture]:
        pictures: list[Picture] = []
        for take in footage.episodes:
            last = len(take.pictures) - 1
            over = instant >= len(take.rewards)
            index = last if over else min(instant // footage.every, last)
            image = Image.fromarray(take.pictures[index])
            pictures.append(
                np.asarray(ImageOps.pad(image, (sheet.width, sheet.height)))
            )
        return pictures

    @contextmanager
    def drawing() -> Generator[Draw]:
        yield fitted

    return _Scene(sheet, footage.every, drawing)


def _steps(recording: Recorded) -> int:
    return max(len(e.rewards) for e in recording.episodes)

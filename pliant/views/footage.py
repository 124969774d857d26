"""Footage of external families as a video, or a strip of a few moments."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from meta.machine.files import write_atomically
from meta.recording.footage import Footage
from pliant.views.recording_sheet import Picture, Sheet, Told
from pliant.views.video import HOLD, encode


def film_video(
    footage: Footage,
    path: Path,
    *,
    width: int = 640,
    slow: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write an mp4 of both episodes side by side; see `write_video`.

    Raises:
        OSError: if the file cannot be written.
    """
    fps = footage.fps / (footage.every * slow)
    remark = f"{slow:g} times slower" if slow != 1 else ""
    sheet = _sheet(footage, width, remark)
    steps = max(len(take.rewards) for take in footage.episodes)
    instants = [*range(0, steps, footage.every), steps]

    def pages() -> Iterator[Image.Image]:
        for done, instant in enumerate(instants, 1):
            page = sheet.frame(_moment(footage, sheet, instant), instant)
            stay = HOLD[0] if done == 1 else HOLD[1] if instant == steps else 0
            yield from [page] * max(1, round(stay * fps))
            if progress:
                progress(done, len(instants))

    encode(path, pages(), fps)


def film_strip(
    footage: Footage, path: Path, *, moments: int = 5, width: int = 320
) -> None:
    """Write a PNG of a few moments of both episodes; see `write_strip`.

    Raises:
        OSError: if the file cannot be written.
    """
    steps = max(len(take.rewards) for take in footage.episodes)
    instants = [round(steps * i / (moments - 1)) for i in range(moments)]
    sheet = _sheet(footage, width, "")
    drawn = [_moment(footage, sheet, instant) for instant in instants]
    content = io.BytesIO()
    rows = list(zip(*drawn, strict=True))
    sheet.strip(rows, instants).save(content, format="PNG", optimize=True)
    write_atomically(path, content.getvalue())


def _sheet(footage: Footage, width: int, remark: str) -> Sheet:
    told = Told.of_footage(footage)
    return Sheet(footage, told, dt=1 / footage.fps, width=width, remark=remark)


def _moment(footage: Footage, sheet: Sheet, instant: int) -> list[Picture]:
    """Return both episodes at an instant; one that has ended stays as it ended."""
    found: list[Picture] = []
    for take in footage.episodes:
        last = len(take.pictures) - 1
        over = instant >= len(take.rewards)
        index = last if over else min(instant // footage.every, last)
        image = Image.fromarray(take.pictures[index])
        found.append(np.asarray(ImageOps.pad(image, (sheet.width, sheet.height))))
    return found

"""Pages that show a recording: captions, hidden parameters, returns, outcomes."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from meta.recording.footage import Footage
from meta.recording.recorded import Recorded
from meta.recording.trajectory import Recording
from pliant.views.hidden import hidden_parameters
from pliant.views.lines import draw_fitted, enough
from pliant.views.paragraph import Paragraph
from pliant.views.style import (
    EPISODES,
    FAILURE,
    FAINT,
    INK,
    PAPER,
    RULE,
    SUCCESS,
    Colour,
    typeface,
)
from tasks.family import Family

Picture = UInt8[np.ndarray, "y x 3"]

_SMOOTH = 3  # a curve is drawn this much larger: Pillow's lines are jagged


class Told(NamedTuple):
    """Words in the header of a sheet."""

    name: str
    summary: str
    split: str
    hidden: Sequence[str]
    """Names, values and units of the hidden parameters."""
    report: str = ""
    """Words about the adaptation, below the header."""

    @classmethod
    def of(cls, recording: Recording, family: Family) -> "Told":
        """Return what is said of a recording in a family of Pliant's own."""
        hidden = hidden_parameters(recording, family)
        split, report = recording.task.split, recording.report
        return cls(family.name, family.summary, split, hidden, report)

    @classmethod
    def of_footage(cls, footage: Footage) -> "Told":
        """Return what is said of footage: all is in it."""
        hidden = [
            f"{name.replace('_', ' ')} "
            + (value if isinstance(value, str) else f"{value:.3g}")
            + (f" {footage.units[name]}" if name in footage.units else "")
            for name, value in footage.parameters.items()
        ]
        return cls(footage.family, footage.summary, footage.split, hidden)


class Sheet:
    """Layout of the pictures of a recording's two episodes.

    Args:
        recording: what was recorded.
        told: what the header says.
        dt: length of a step [s].
        width: width of one picture [pixels]; its height is three quarters of it.
        remark: words after the name of the split.
    """

    def __init__(
        self,
        recording: Recorded,
        told: Told,
        *,
        dt: float,
        width: int,
        remark: str = "",
    ) -> None:
        self.recording = recording
        self.told = told
        self.dt = dt
        self.width = width
        self.height = _even(width * 3 / 4)
        self.remark = remark
        episodes = recording.episodes
        self._returns = [[0.0, *accumulate(e.rewards.tolist())] for e in episodes]
        flat = [r for returns in self._returns for r in returns]
        self._low, self._high = min(flat), max(flat)

    def frame(self, pictures: Sequence[Picture], instant: int) -> Image.Image:
        """Draw one moment of both episodes, side by side, with the returns so far."""
        scale = self.width / 640
        top, said = self._top(2 * self.width, scale)
        # a multiple of 16: the last rows of a video are smeared otherwise
        size = (2 * self.width, 16 * round((top + self.height + 76 * scale) / 16))
        page = Image.new("RGB", size, PAPER)
        self._header(page, said, scale)
        for i, picture in enumerate(pictures):
            corner = (i * self.width, top)
            page.paste(Image.fromarray(picture), corner)
            self._label(page, corner, i, scale)
            if instant >= len(self.recording.episodes[i].rewards):
                self._outcome(page, corner, i, scale)
            self._footer(page, (corner[0], top + self.height), i, instant, scale)
        middle = self.width - 1
        ImageDraw.Draw(page).line([(middle, top), (middle, size[1])], PAPER, 2)
        return page

    def strip(
        self, rows: Sequence[Sequence[Picture]], instants: Sequence[int]
    ) -> Image.Image:
        """Draw moments of both episodes, one row each."""
        scale, gap = self.width / 400, max(2, self.width // 80)
        count = len(instants)
        width = count * self.width + (count - 1) * gap
        top, said = self._top(width, scale)
        page = Image.new("RGB", (width, top + 2 * self.height + gap), PAPER)
        self._header(page, said, scale)
        for i, row in enumerate(rows):
            y = top + i * (self.height + gap)
            for j, (picture, instant) in enumerate(zip(row, instants, strict=True)):
                corner = (j * (self.width + gap), y)
                page.paste(Image.fromarray(picture), corner)
                if j == 0:
                    self._label(page, (0, y + self.height), i, scale, anchor="lb")
                    continue
                low = (corner[0] + 14 * scale, y + self.height - 14 * scale)
                text = f"{instant * self.dt:.2f} s"
                _pill(page, low, text, scale, anchor="lb", size=15.0)
            last = ((count - 1) * (self.width + gap), y)
            self._outcome(page, last, i, scale)
        return page

    def _top(self, width: int, scale: float) -> tuple[int, Paragraph]:
        """Return the height of the header, and the report at its end."""
        said = Paragraph(self.told.report, width - 36 * scale, 15 * scale)
        return _even(68 * scale + said.height), said

    def _header(self, page: Image.Image, said: Paragraph, scale: float) -> None:
        """Draw family and split, the hidden parameters, and what was found of them."""
        draw, margin, height = ImageDraw.Draw(page), 18 * scale, _even(68 * scale)
        said.draw(page, (margin, float(height)))
        y = 0.32 * height
        title = typeface(21 * scale, bold=True)
        draw.text((margin, y), self.told.name, INK, title, "lm")
        left = margin + title.getlength(self.told.name) + 12 * scale
        where = "  ·  ".join(filter(None, (self.told.split, self.remark)))
        right = page.width - margin
        draw.text((right, y), where, FAINT, typeface(15 * scale), "rm")
        room = right - left - typeface(15 * scale).getlength(where) - margin
        draw_fitted(draw, (left, y), self.told.summary, 15 * scale, room, FAINT)
        y, label = 0.73 * height, typeface(16 * scale)
        draw.text((margin, y), "hidden:", FAINT, label, "lm")
        left = margin + label.getlength("hidden:") + 8 * scale
        text = enough(self.told.hidden, 16 * scale, right - left)
        draw_fitted(draw, (left, y), text, 16 * scale, right - left, INK)

    def _label(
        self,
        page: Image.Image,
        corner: tuple[int, int],
        i: int,
        scale: float,
        anchor: str = "lt",
    ) -> None:
        inset = 14 * scale if anchor == "lt" else -14 * scale
        at = (corner[0] + 14 * scale, corner[1] + inset)
        text = captions(self.recording)[i]
        _pill(page, at, text, scale, anchor=anchor, dot=EPISODES[i])

    def _outcome(
        self, page: Image.Image, corner: tuple[int, int], i: int, scale: float
    ) -> None:
        at = (corner[0] + self.width - 14 * scale, corner[1] + 14 * scale)
        success = self.recording.episodes[i].success
        text, colour = ("success", SUCCESS) if success else ("no success", FAILURE)
        _pill(page, at, text, scale, anchor="rt", fill=colour)

    def _footer(
        self,
        page: Image.Image,
        corner: tuple[int, int],
        i: int,
        instant: int,
        scale: float,
    ) -> None:
        """Draw the return so far, as a number and a curve, beside the other curve."""
        draw, (x, y) = ImageDraw.Draw(page), corner
        height = page.height - y
        returns = self._returns[i]
        now = returns[min(instant, len(returns) - 1)]
        left = x + 18 * scale
        time = f"return after {instant * self.dt:.2f} s"
        draw.text((left, y + 0.27 * height), time, FAINT, typeface(13 * scale), "lm")
        bold = typeface(24 * scale, bold=True)
        draw.text((left, y + 0.65 * height), _number(now), INK, bold, "lm")
        box = (round(x + 190 * scale), round(y + 0.14 * height))
        size = (round(self.width - 208 * scale), round(0.72 * height))
        page.paste(self._curves(size, i, instant), box)

    def _curves(self, size: tuple[int, int], i: int, instant: int) -> Image.Image:
        width, height = (_SMOOTH * n for n in size)
        chart = Image.new("RGB", (width, height), PAPER)
        draw = ImageDraw.Draw(chart)
        pen = max(2, round(self.width / 640 * 2.5 * _SMOOTH))
        steps = max(len(returns) for returns in self._returns) - 1
        span = (self._high - self._low) or 1.0

        def at(step: int, value: float) -> tuple[float, float]:
            x = pen + (width - 2 * pen) * step / steps
            return x, height - pen - (height - 2 * pen) * (value - self._low) / span

        draw.line([at(0, 0.0), at(steps, 0.0)], RULE, max(1, pen // 3))
        for k, colour in ((1 - i, RULE), (i, EPISODES[i])):
            points = [at(*p) for p in enumerate(self._returns[k][: instant + 1])]
            if len(points) > 1:
                draw.line(points, colour, pen, joint="curve")
            if k == i:
                draw.circle(points[-1], 1.4 * pen, colour)
        return chart.resize(size, Image.Resampling.LANCZOS)


def captions(recording: Recorded) -> tuple[str, str]:
    """Return the names of the two episodes; a life's first may be adapted, too."""
    counts = [t.adapt_episodes for t in recording.episodes]
    first, then = (f"after {n} episode{'s' * (n != 1)}" for n in counts)
    first = first if counts[0] else "before adaptation"
    return first, then if counts[1] else "does not adapt"


def returns(recording: Recorded) -> str:
    """Return the returns of both episodes, as a sentence has them."""
    before, after = (float(t.rewards.sum()) for t in recording.episodes)
    if not recording.before.adapt_episodes:
        return f"{before:.3f} before adapting, {after:.3f} after"
    return f"{before:.3f} and {after:.3f}, {' and '.join(captions(recording))}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def _even(size: float) -> int:
    """Round to an even number of pixels, as video codecs need it."""
    return max(2, 2 * round(size / 2))


def _pill(
    page: Image.Image,
    at: tuple[float, float],
    text: str,
    scale: float,
    *,
    anchor: str,
    size: float = 18.0,
    fill: Colour = PAPER,
    dot: Colour | None = None,
) -> None:
    """Draw text on a rounded, slightly transparent ground, with a corner at a point."""
    draw, font = ImageDraw.Draw(page, "RGBA"), typeface(size * scale)
    pad, high = 0.55 * size * scale, 1.75 * size * scale
    mark = 0.85 * size * scale if dot else 0.0
    wide = font.getlength(text) + 2 * pad + mark
    x = at[0] - wide if anchor[0] == "r" else at[0]
    y = at[1] - high if anchor[1] == "b" else at[1]
    draw.rounded_rectangle([x, y, x + wide, y + high], high / 2, (*fill, 215))
    if dot:
        radius = 0.28 * size * scale
        draw.circle((x + pad + radius, y + high / 2), radius, dot)
    draw.text((x + pad + mark, y + high / 2), text, INK, font, "lm")

"""The colours and the typeface of all pictures."""

from functools import cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

Colour = tuple[int, int, int]

PAPER: Colour = (24, 27, 33)
INK: Colour = (238, 241, 245)
FAINT: Colour = (150, 158, 170)
RULE: Colour = (66, 73, 84)
EPISODES: tuple[Colour, Colour] = ((244, 170, 74), (92, 200, 242))
"""Colours of the episodes before adaptation and after it."""
SUCCESS: Colour = (38, 140, 82)
FAILURE: Colour = (168, 58, 58)


@cache
def typeface(size: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return a font of matplotlib's, which is there wherever matplotlib is."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), max(1.0, size))

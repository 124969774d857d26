"""Single lines of text in pictures."""

from collections.abc import Sequence

from PIL import ImageDraw

from pliant.views.style import Colour, typeface


def enough(hidden: Sequence[str], size: float, room: float) -> str:
    """Return as many hidden parameters as can be read on one line, and say if not all.

    Args:
        hidden: each in words.
        size: of the letters, which may be smaller by a third [pixels].
        room: width of the line [pixels].
    """
    font, text = typeface(size * 2 / 3), ""
    for count in range(len(hidden), 0, -1):
        more = [f"and {len(hidden) - count} more"] if count < len(hidden) else []
        text = "   ·   ".join([*hidden[:count], *more])
        if font.getlength(text) <= room:
            break
    return text


def draw_fitted(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    room: float,
    colour: Colour,
) -> None:
    """Draw text on one line, smaller if it would not fit."""
    wanted = typeface(size).getlength(text)
    font = typeface(size * min(1.0, room / wanted)) if wanted else typeface(size)
    draw.text(at, text, colour, font, "lm")

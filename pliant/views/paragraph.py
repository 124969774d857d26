"""A paragraph on a picture: words broken into lines of a width."""

from PIL import Image, ImageDraw

from pliant.views.style import INK, typeface


class Paragraph:
    """Text in as many lines as it takes; none if it is empty.

    Args:
        text: the words.
        width: of the lines [pixels].
        size: of the letters [pixels].
    """

    def __init__(self, text: str, width: float, size: float) -> None:
        self._font = typeface(size)
        self._step = 1.45 * size
        self.lines: list[str] = []
        for word in text.split():
            longer = f"{self.lines[-1]} {word}" if self.lines else word
            if self.lines and self._font.getlength(longer) <= width:
                self.lines[-1] = longer
            else:
                self.lines.append(word)

    @property
    def height(self) -> float:
        """Height of all lines, and of a space below them [pixels]."""
        return self._step * (len(self.lines) + 0.5) if self.lines else 0.0

    def draw(self, page: Image.Image, corner: tuple[float, float]) -> None:
        """Draw the lines below a corner."""
        draw, (x, y) = ImageDraw.Draw(page), corner
        for i, line in enumerate(self.lines):
            draw.text((x, y + (i + 0.5) * self._step), line, INK, self._font, "lm")

"""Glyphs: drawn characters of made-up alphabets, in place of a download.

An alphabet is a style: the points that strokes run between, how many strokes there are
and how far they bend. A character is a few strokes, quadratic Bezier curves in the unit
square. A drawing is a character as a hand would repeat it: points shifted a little, the
whole turned, sheared, scaled and moved, with a pen of another width. Alphabets of the
split `unseen` are shown at no time in training.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tasks.supervised.images import Collection, ImageFamily

STROKES = 4
"""Strokes of a character, at most."""
SEGMENTS = 5
"""Straight pieces that a curve is drawn as."""
ANCHORS = 6
"""Points of an alphabet that strokes begin and end at."""
SLIP = 0.03
"""Standard deviation of a point's place in a drawing, in units of the square's side."""
PEN = (0.02, 0.045)
"""Half the width of a line, in the same units."""
TURN, SHEAR, SCALE, SHIFT = math.radians(10), 0.15, 0.12, 0.04
"""Standard deviations of a drawing's angle [rad], shear, log-scale and place."""
_AT_ONCE = 40
"""Drawings that are rendered together: few enough to stay in a CPU's cache."""


class Glyphs(ImageFamily):
    """Tell drawn characters of made-up alphabets apart.

    The same arguments give the same images.

    Args:
        ways: classes of a task.
        alphabets: number of alphabets to train on, and of others for `unseen`.
        characters: characters of an alphabet.
        drawings: drawings of a character.
        size: pixels of an image's side.
        rotations: turn training characters into more of them; see `ImageFamily`.
        seed: of alphabets, characters and drawings.
    """

    name = "glyphs"

    def __init__(
        self,
        *,
        ways: int = 5,
        alphabets: tuple[int, int] = (30, 10),
        characters: int = 20,
        drawings: int = 20,
        size: int = 28,
        rotations: bool = False,
        seed: int = 0,
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        images = {
            split: make_characters(count, characters, drawings, size, rng)
            for split, count in zip(self.splits, alphabets, strict=True)
        }
        super().__init__(images, ways=ways, rotations=rotations)


def make_characters(
    alphabets: int, characters: int, drawings: int, size: int, rng: torch.Generator
) -> Collection:
    """Draw the characters of some alphabets: `alphabets * characters` classes."""
    curves = torch.cat([_alphabet(characters, rng) for _ in range(alphabets)])
    repeated = curves.repeat_interleave(drawings, dim=0)
    drawn = [render(_redrawn(c, rng), size, rng) for c in repeated.split(_AT_ONCE)]
    return torch.cat(drawn).unflatten(0, (len(curves), drawings))


def _alphabet(
    characters: int, rng: torch.Generator
) -> Float[Tensor, "character stroke point xy"]:
    """Draw an alphabet's style, and the three points of each of its strokes.

    A character of fewer strokes than `STROKES` repeats its first.
    """
    ticks = torch.linspace(0.15, 0.85, 3)
    anchors = torch.cartesian_prod(ticks, ticks)
    anchors = anchors[torch.randperm(len(anchors), generator=rng)[:ANCHORS]]
    anchors = anchors + 0.06 * torch.randn(ANCHORS, 2, generator=rng)
    bend = 0.6 * torch.rand((), generator=rng)
    most = int(torch.randint(3, STROKES + 1, (), generator=rng))
    ends = torch.rand(characters, STROKES, ANCHORS, generator=rng).topk(2).indices
    first, last = anchors[ends].unbind(2)
    along = last - first
    across = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    sway = bend * torch.randn(characters, STROKES, 1, generator=rng)
    middle = ((first + last) / 2 + sway * across).clamp(0.05, 0.95)
    curves = torch.stack([first, middle, last], dim=2)
    strokes = torch.randint(2, most + 1, (characters, 1), generator=rng)
    absent = torch.arange(STROKES) >= strokes
    return torch.where(absent[..., None, None], curves[:, :1], curves)


def _redrawn(
    curves: Float[Tensor, "drawing stroke point xy"], rng: torch.Generator
) -> Float[Tensor, "drawing stroke point xy"]:
    """Repeat characters by hand: every point slips, and the whole is transformed."""
    n = len(curves)
    slipped = curves + SLIP * torch.randn(curves.shape, generator=rng)
    turn, shear, log_scale = (
        spread * torch.randn(n, generator=rng) for spread in (TURN, SHEAR, SCALE)
    )
    cos, sin = turn.cos(), turn.sin()
    rotation = torch.stack([cos, -sin, sin, cos], dim=-1).unflatten(-1, (2, 2))
    skew = torch.eye(2).repeat(n, 1, 1)
    skew[:, 0, 1] = shear
    transform = log_scale.exp()[:, None, None] * rotation @ skew
    place = 0.5 + SHIFT * torch.randn(n, 1, 1, 2, generator=rng)
    return torch.einsum("nij,nspj->nspi", transform, slipped - 0.5) + place


def render(
    curves: Float[Tensor, "drawing stroke 3 2"], size: int, rng: torch.Generator
) -> UInt8[Tensor, "drawing size size"]:
    """Draw quadratic Bezier curves of the unit square with a pen of random width.

    Args:
        curves: both ends of each curve, and its control point between them.
        size: pixels of an image's side.
        rng: where the pens' widths are drawn from.

    Returns:
        Ink of each pixel, 255 inside a line, 0 away from all.
    """
    t = torch.linspace(0, 1, SEGMENTS + 1)
    bernstein = torch.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], dim=-1)
    points = torch.einsum("tp,nspi->nsti", bernstein, curves)
    start = points[:, :, :-1].flatten(1, 2)
    along = points[:, :, 1:].flatten(1, 2) - start
    centres = (torch.arange(size) + 0.5) / size
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).flatten(0, 1)
    away = _squared_distance(pixels, start, along).clamp(min=0).sqrt()
    low, high = PEN
    width = low + (high - low) * torch.rand(len(curves), 1, generator=rng)
    ink = (0.5 + (width - away) * size).clamp(0, 1)  # a pixel's width of soft edge
    return (255 * ink).round().to(torch.uint8).unflatten(1, (size, size))


def _squared_distance(
    pixels: Float[Tensor, "pixel xy"],
    start: Float[Tensor, "drawing piece xy"],
    along: Float[Tensor, "drawing piece xy"],
) -> Float[Tensor, "drawing pixel"]:
    """Return each pixel's squared distance to the nearest of some straight pieces."""
    length = along.square().sum(-1).clamp(min=1e-12)[:, None]
    reach = pixels @ along.mT - (start * along).sum(-1)[:, None]
    share = (reach / length).clamp_(0, 1)
    # |p - s - share a|^2, multiplied out so that nothing is as large as both axes
    passed = share.mul(length).sub_(reach, alpha=2).mul_(share)
    offset = start.square().sum(-1)[:, None] - 2 * pixels @ start.mT
    return passed.add_(offset).amin(-1) + pixels.square().sum(-1)

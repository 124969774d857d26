"""A picture of runs of pieces: what is still known of each, after every piece."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from meta.continual.training.measures import Course, average_performance

_COLUMNS = 4


def draw_courses(courses: Mapping[str, Sequence[Course]], path: Path) -> None:
    """Draw a square for each way to remember, means over seeds.

    Args:
        courses: by title, one of each seed; pieces are counted in their order.
        path: the picture.
    """
    rows = -(-len(courses) // _COLUMNS)
    figure = Figure(figsize=(2.9 * _COLUMNS, 3.1 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    image = None
    for axes, (title, own) in zip(grid.flat, courses.items(), strict=False):
        mean = np.mean([course.after for course in own], axis=0)
        image = axes.imshow(mean.T, vmin=0, vmax=1, cmap="viridis")
        left = np.mean([average_performance(course) for course in own])
        axes.set_title(f"{title}: {left:.2f}", fontsize=11)
        _label(axes, len(mean))
    for axes in grid[:, 0]:
        axes.set_ylabel("success in piece", fontsize=9)
    for axes in list(grid.flat)[len(courses) :]:
        axes.axis("off")
    if image is not None:
        figure.colorbar(image, ax=grid, label="success", shrink=0.9, pad=0.02)
    figure.suptitle(
        "Success in each piece (down) after training on each (across), framed where it "
        "is trained on; by the name, the mean at the end",
        y=1.05,
        fontsize=11,
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _label(axes: Axes, pieces: int) -> None:
    """Number the pieces, and frame what is learned at the time."""
    axes.set_xticks(range(pieces), [str(i + 1) for i in range(pieces)], fontsize=8)
    axes.set_yticks(range(pieces), [str(i + 1) for i in range(pieces)], fontsize=8)
    axes.set_xlabel("after piece", fontsize=9)
    for i in range(pieces):
        axes.add_patch(_frame(i))


def _frame(i: int) -> Rectangle:
    return Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="white", lw=1.2)

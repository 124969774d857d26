"""A long life at a glance: a row for each task, a bar for each visit to it."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from meta.continual.life import Lived, by_agent
from meta.continual.stream import Stream
from meta.machine.files import write_atomically

_INK, _PALE = "#20242b", "#c9ced6"
_RETURNS = LinearSegmentedColormap.from_list("", ["#f0d9c4", "#e8ecef", "#2f6f9f"])
MARKS = {
    "recalled this task": ("o", "#1e8449", "#1e8449"),
    "recalled another": ("o", "#c0392b", "#c0392b"),
    "first visit": ("o", "white", _INK),
    "not recognised": ("o", "#f5b041", "#9c640c"),
    "did not notice the change": ("X", "#c0392b", "#c0392b"),
}
"""Marker, colour and edge of what became of a visit."""


def draw_roll(life: Sequence[Lived], stream: Stream, path: Path) -> None:
    """Draw a whole life: when it met which task, what it earned, and what it recalled.

    Of a team returns are the mean, and each agent has a roll of its own.

    Args:
        life: all its episodes.
        stream: what was lived.
        path: the picture, a .png file.

    Raises:
        OSError: if it cannot be written.
    """
    tasks = len(stream.tasks)
    lives = by_agent(life)
    tall = 1.0 + 0.22 * tasks
    figure = Figure(figsize=(15, 3.0 + tall * len(lives)), layout="constrained")
    above, *rolls = figure.subplots(
        1 + len(lives), 1, sharex=True, height_ratios=[2.2, *[tall] * len(lives)]
    )
    visits = {who: _visits(rows, stream) for who, rows in lives.items()}
    _returns(above, [_mean(rows) for rows in zip(*visits.values(), strict=True)])
    earned = [_earned(rows) for own in visits.values() for rows in own]
    scale = Normalize(min(0.0, *earned), max(earned))
    for below, (who, own) in zip(rolls, visits.items(), strict=True):
        _roll(below, own, scale)
        below.set_yticks(range(tasks), [letter_of(i) for i in range(tasks)], fontsize=8)
        below.set_ylabel(f"{who}: task" if who else "task")
        if who:
            above_it = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
            below.legend(**above_it, ncols=len(MARKS), frameon=False)
    rolls[-1].set_xlabel("episode")
    rolls[-1].set_xlim(-1, len(life) / len(lives))
    bar = ScalarMappable(scale, _RETURNS)
    figure.colorbar(
        bar, ax=rolls, pad=0.01, aspect=20 * len(lives), label="return of a visit"
    )
    if len(lives) == 1:
        figure.legend(loc="outside upper center", ncols=len(MARKS), frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomically(path, content.getvalue())


def letter_of(place: int) -> str:
    """Return a task's name in pictures: A to Z, then A1, B1 ..."""
    turn, letter = divmod(place, 26)
    return f"{chr(ord('A') + letter)}{turn or ''}"


def outcome(rows: Sequence[Lived], *, returning: bool) -> str:
    """Return what became of a visit: one of `MARKS`.

    Args:
        rows: its episodes.
        returning: whether the task had been visited before.
    """
    heard = [(r.task, r.noticed) for r in rows if r.noticed]
    named = [n.recalled == task for task, n in heard if n.recalled]
    if named:
        return "recalled this task" if any(named) else "recalled another"
    first = rows[0].moment.visit == 0
    if not (first or any(n.alarm for _, n in heard)):
        return "did not notice the change"
    return "not recognised" if returning else "first visit"


def _visits(life: Sequence[Lived], stream: Stream) -> list[list[Lived]]:
    """Return the episodes of one agent in each visit that it has begun."""
    found = [
        [r for r in life if r.moment.visit == i] for i in range(len(stream.visits))
    ]
    return [rows for rows in found if rows]


def _mean(rows: Sequence[Sequence[Lived]]) -> list[Lived]:
    """Return one visit of a team's agents as if one had lived it, by mean returns."""
    return [
        each[0]._replace(returns=sum(r.returns for r in each) / len(each))
        for each in zip(*rows, strict=True)
    ]


def _returns(axes: Axes, visits: Sequence[Sequence[Lived]]) -> None:
    """Draw the return of each episode, and the mean of each visit after its change."""
    everything = [r for rows in visits for r in rows]
    axes.plot(
        [r.moment.episode for r in everything],
        [r.returns for r in everything],
        ".",
        color=_PALE,
        ms=5,
    )
    for rows in visits:
        axes.hlines(_earned(rows), *_span(rows), color=_INK, lw=2)
    axes.set_ylabel("return of an episode (dots)\nand of a visit (lines)")
    axes.spines[["top", "right"]].set_visible(False)


def _roll(axes: Axes, visits: Sequence[Sequence[Lived]], scale: Normalize) -> None:
    """Draw a bar for each visit, with the mark of what became of it."""
    starts = [_span(rows)[0] for rows in visits]
    places = [rows[0].moment.task for rows in visits]
    axes.step(starts, places, where="post", color=_PALE, lw=0.8, zorder=1)
    for rows, place in zip(visits, places, strict=True):
        low, high = _span(rows)
        colour = _RETURNS(scale(_earned(rows)))
        axes.barh(place, high - low, 0.7, left=low, color=colour, zorder=2)
    met = [place in places[:i] for i, place in enumerate(places)]
    found = [outcome(v, returning=again) for v, again in zip(visits, met, strict=True)]
    for name, (marker, colour, edge) in MARKS.items():
        at = [i for i, what in enumerate(found) if what == name]
        axes.scatter(
            [starts[i] + 0.5 for i in at],
            [places[i] for i in at],
            s=30,
            marker=marker,
            color=colour,
            edgecolors=edge,
            zorder=3,
            label=f"{name} ({len(at)})",
        )
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _span(rows: Sequence[Lived]) -> tuple[float, float]:
    return rows[0].moment.episode - 0.5, rows[-1].moment.episode + 0.5


def _earned(rows: Sequence[Lived]) -> float:
    """Return the mean return of a visit's episodes after that of the change."""
    return float(np.mean([r.returns for r in rows if r.moment.age] or rows[0].returns))

"""A life for people: a line for each episode, a summary, and a picture of it all."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meta.continual.life import Lived
from meta.continual.stream import Stream
from meta.machine.files import write_atomically
from pliant.views.life_roll import draw_roll, letter_of

_ROW = 130
"""Episodes in a row of the picture."""
_ROWS = 3
"""Rows at most: a longer life is drawn by visits."""
_BANDS = ("#dce9f5", "#f7e3cf", "#dff0d8", "#f3d9e5", "#e6e0f3", "#f3efc9", "#d5eeee")
_INK, _ALARM, _RIGHT, _WRONG = "#20242b", "#c0392b", "#1e8449", "#c0392b"


def say(row: Lived, stream: Stream, tasks: Sequence[str]) -> str:
    """Return an episode in a line.

    Args:
        row: the episode.
        stream: what is lived.
        tasks: hashes of the tasks of all episodes so far, this one's last.
    """
    m = row.moment
    letter = letter_of(m.task)
    met = "first visit" if row.task not in tasks[: -1 - m.age] else "return visit"
    words = [f"task {letter}, {met}"] if m.age == 0 else [f"task {letter}"]
    words.append("explored" if row.explored else "acted")
    n = row.noticed
    if n and n.alarm:
        words.append("noticed a change")
    if n and n.gave_up:
        words.append("gave up what it had recalled")
    if n and n.recalled:
        place = next(i for i, t in enumerate(stream.tasks) if t.hash == n.recalled)
        words.append(f"recalled task {letter_of(place)}")
    return f"episode {m.episode:4d}  return {row.returns:6.2f}  {', '.join(words)}"


def summary(life: Sequence[Lived], stream: Stream) -> str:
    """Return what became of a life, in a few lines."""
    acted = [r for r in life if not r.explored]
    last = life[-1].noticed
    returning = stream.returning()
    lines = [
        f"{len(life)} episodes, {len(stream.visits)} visits to {len(stream.tasks)} "
        f"tasks; {len(life) - len(acted)} episodes explored",
        f"mean return {_mean(life):.2f}; of acted episodes {_mean(acted):.2f}",
    ]
    for words, back in (("first", False), ("return", True)):
        rows = [r for r in life if r.moment.visit and returning[r.moment.visit] == back]
        if rows:
            later = [r for r in rows if r.moment.age > 0]
            began = [r for r in rows if r.moment.age == 0]
            after = f", {_mean(later):.2f} in those after it" if later else ""
            lines.append(
                f"{words} visits: mean return {_mean(began):.2f} in the episode of the "
                f"change{after}"
            )
    if last:
        lines.append(f"tasks kept: {last.entries}")
    return "\n".join(lines)


def draw_life(life: Sequence[Lived], stream: Stream, path: Path) -> None:
    """Draw a whole life as a picture: returns, changes, alarms and what was recalled.

    A long one is drawn by `pliant.views.life_roll`.

    Args:
        life: all its episodes.
        stream: what was lived.
        path: the picture, a .png file.

    Raises:
        OSError: if it cannot be written.
    """
    count = math.ceil(len(life) / _ROW)
    if count > _ROWS:
        draw_roll(life, stream, path)
        return
    figure = Figure(figsize=(15, 1.1 + 2.6 * count), layout="constrained")
    rows = figure.subplots(count, 1, squeeze=False)[:, 0]
    returns = [r.returns for r in life]
    low, high = min(0.0, *returns), max(*returns)
    for i, axes in enumerate(rows):
        part = life[i * _ROW : (i + 1) * _ROW]
        _row(axes, part, stream, (low, high))
        axes.set_xlim(i * _ROW - 0.7, min(len(life), (i + 1) * _ROW) - 0.3)
    rows[-1].set_xlabel("episode")
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomically(path, content.getvalue())


def _row(
    axes: Axes,
    part: Sequence[Lived],
    stream: Stream,
    limits: tuple[float, float],
) -> None:
    """Draw some episodes of a life."""
    low, high = limits
    room = high - low or 1.0
    returning = stream.returning()
    visits = dict.fromkeys(r.moment.visit for r in part)
    for visit in visits:
        at = [r.moment.episode for r in part if r.moment.visit == visit]
        place = stream.visits[visit].task
        axes.axvspan(at[0] - 0.5, at[-1] + 0.5, color=_BANDS[place % len(_BANDS)], lw=0)
        name = letter_of(place)
        weight = "normal" if returning[visit] else "bold"
        middle = (at[0] + at[-1]) / 2
        axes.text(middle, high + 0.23 * room, name, ha="center", size=8, weight=weight)
    _dots(axes, [r for r in part if not r.explored], "acted", _INK, filled=True)
    _dots(axes, [r for r in part if r.explored], "explored", _INK, filled=False)
    alarms = [r.moment.episode for r in part if r.noticed and r.noticed.alarm]
    axes.plot(
        alarms,
        np.full(len(alarms), low - 0.1 * room),
        "^",
        color=_ALARM,
        ms=6,
        label="noticed a change",
    )
    _recalls(axes, part, stream, high + 0.08 * room)
    axes.set_ylim(low - 0.2 * room, high + 0.4 * room)
    axes.set_ylabel("return")
    axes.spines[["top", "right"]].set_visible(False)


def _dots(
    axes: Axes, rows: Sequence[Lived], label: str, colour: str, *, filled: bool
) -> None:
    axes.plot(
        [r.moment.episode for r in rows],
        [r.returns for r in rows],
        "o",
        color=colour,
        markerfacecolor=colour if filled else "white",
        ms=4.5,
        label=label,
    )


def _recalls(axes: Axes, part: Sequence[Lived], stream: Stream, height: float) -> None:
    """Write which task was recalled where, in another colour if it was not this one."""
    places = {task.hash: i for i, task in enumerate(stream.tasks)}
    for right, colour, label in (
        (True, _RIGHT, "recalled this task"),
        (False, _WRONG, "recalled another"),
    ):
        rows = [
            r
            for r in part
            if r.noticed
            and r.noticed.recalled
            and (r.noticed.recalled == r.task) == right
        ]
        axes.plot([], [], ls="", marker=r"$\hookleftarrow$", color=colour, label=label)
        for r in rows:
            name = letter_of(places[_recalled(r)])
            axes.text(
                r.moment.episode,
                height,
                f"↩{name}",
                color=colour,
                size=8,
                ha="center",
                weight="bold",
            )


def _recalled(row: Lived) -> str:
    return row.noticed.recalled if row.noticed else ""


def _mean(rows: Sequence[Lived]) -> float:
    return sum(r.returns for r in rows) / max(1, len(rows))

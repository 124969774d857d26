"""A life for people: a line for each episode, a summary, and a picture of it all."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meta.continual.life import Lived, by_agent
from meta.continual.stream import Stream
from meta.machine.files import write_atomically
from pliant.views.life_roll import draw_roll, letter_of
from tasks.rows import of_agent

_ROW = 130
"""Episodes in a row of the picture."""
_ROWS = 3
"""Rows at most: a longer life is drawn by visits."""
_BANDS = ("#dce9f5", "#f7e3cf", "#dff0d8", "#f3d9e5", "#e6e0f3", "#f3efc9", "#d5eeee")
_INK, _ALARM, _RIGHT, _WRONG = "#20242b", "#c0392b", "#1e8449", "#c0392b"


def say(row: Lived, life: Sequence[Lived]) -> str:
    """Return an episode in a line.

    Args:
        row: the episode, as one agent lived it.
        life: all episodes so far, this one last.
    """
    m = row.moment
    letter = letter_of(m.task)
    own = [r for r in life if r.agent == row.agent]
    places = {r.task: r.moment.task for r in own}
    earlier = [r.task for r in own[: -1 - m.age]]
    met = "first visit" if row.task not in earlier else "return visit"
    words = [f"task {letter}, {met}"] if m.age == 0 else [f"task {letter}"]
    words.append("explored" if row.explored else "acted")
    n = row.noticed
    if n and n.alarm:
        words.append("noticed a change")
    if n and n.gave_up:
        words.append("gave up what it had recalled")
    if n and n.recalled:
        words.append(f"recalled task {letter_of(places[n.recalled])}")
    who = f"{row.agent}: " if row.agent else ""
    return f"episode {m.episode:4d}  return {row.returns:6.2f}  {who}{', '.join(words)}"


def summary(life: Sequence[Lived], stream: Stream) -> str:
    """Return what became of a life, in a few lines for each agent."""
    parts = by_agent(life)
    if len(parts) == 1:
        return _summary(life, stream)
    said = [f"{who}: {_summary(rows, stream)}" for who, rows in parts.items()]
    episodes = zip(*parts.values(), strict=True)
    explored = [{r.explored for r in rows} for rows in episodes]
    said.append(
        f"all explored together in {explored.count({True})} episodes, and some alone "
        f"in {explored.count({True, False})}"
    )
    return "\n".join(said)


def _summary(life: Sequence[Lived], stream: Stream) -> str:
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

    Of a team each agent has rows of its own. A long life is drawn by
    `pliant.views.life_roll`.

    Args:
        life: all its episodes.
        stream: what was lived.
        path: the picture, a .png file.

    Raises:
        OSError: if it cannot be written.
    """
    lives = list(by_agent(life).values())
    length, team = len(lives[0]), len(lives)
    count = math.ceil(length / _ROW)
    if count > _ROWS:
        draw_roll(life, stream, path)
        return
    figure = Figure(figsize=(15, 1.1 + 2.6 * count * team), layout="constrained")
    rows = figure.subplots(count * team, 1, squeeze=False)[:, 0]
    returns = [r.returns for r in life]
    limits = min(0.0, *returns), max(*returns)
    for i, axes in enumerate(rows):
        block, agent = divmod(i, team)
        first, last = block * _ROW, min(length, (block + 1) * _ROW)
        _row(axes, lives[agent], slice(first, last), stream, limits)
        axes.set_xlim(first - 0.7, last - 0.3)
    rows[-1].set_xlabel("episode")
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomically(path, content.getvalue())


def _row(
    axes: Axes,
    life: Sequence[Lived],
    shown: slice,
    stream: Stream,
    limits: tuple[float, float],
) -> None:
    """Draw some episodes of one agent's life."""
    low, high = limits
    room = high - low or 1.0
    part = life[shown]
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
    places = {r.task: r.moment.task for r in life}
    _recalls(axes, part, places, high + 0.08 * room)
    _own_changes(axes, part, stream)
    axes.set_ylim(low - 0.2 * room, high + 0.4 * room)
    who = part[0].agent
    axes.set_ylabel(f"{who}: return" if who else "return")
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


def _recalls(
    axes: Axes, part: Sequence[Lived], places: Mapping[str, int], height: float
) -> None:
    """Write which task was recalled where, in another colour if it was not this one."""
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


def _own_changes(axes: Axes, part: Sequence[Lived], stream: Stream) -> None:
    """Draw a line where a parameter of a team's agent became another."""
    who = part[0].agent
    own = of_agent(stream.tasks[0].parameters, who) if who else ()
    if not own:
        return
    axes.plot([], [], ls=":", color=_INK, label="its own part of the task changed")
    for r in part:
        if r.moment.visit and r.moment.age == 0:
            left = stream.visits[r.moment.visit - 1].task
            a, b = (stream.tasks[i].parameters for i in (left, r.moment.task))
            if any(a[name] != b[name] for name in own):
                axes.axvline(r.moment.episode - 0.5, ls=":", color=_INK, lw=1.2)


def _recalled(row: Lived) -> str:
    return row.noticed.recalled if row.noticed else ""


def _mean(rows: Sequence[Lived]) -> float:
    return sum(r.returns for r in rows) / max(1, len(rows))

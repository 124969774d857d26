"""Recoveries from a change in mid-episode, for people: a table and a picture."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from meta.evaluation.recovery import NEAR, WINDOW, Changed
from meta.evaluation.statistics import Estimate
from meta.machine.files import write_atomically
from pliant.views.markdown import interval, markdown, one_seed
from pliant.views.names import colour_of, in_order, name_of
from pliant.views.terminal import show

REPORT, PICTURE = "report.md", "recovery.png"

COLUMNS = (
    "policy",
    "before",
    "rest of that episode",
    "then, adapted as before",
    f"after {WINDOW} more episodes",
    f"env steps to {NEAR:.0%} of the gain",
)


def cells(r: Mapping[str, Any], *, alone: bool = False) -> tuple[str, ...]:
    """Return a recovery's figures, from its JSON, for all `COLUMNS` but the first."""
    shown = (r["before"], r["rest"], r["stale"], r["after"][-1])
    levels = [interval(x, "", one_seed=alone) for x in shown]
    if r["steps"] is None:
        return *levels, "no gain"
    found = (r["steps"][k] for k in ("value", "low", "high"))
    value, low, high = ("never" if x is None else f"{x:.0f}" for x in found)
    ends = f"(tasks {low}, {high})" if alone else f"[{low}, {high}]"
    return *levels, f"{value} {ends}"


def print_changed(c: Changed, console: Console | None = None) -> None:
    """Print how each method recovered from the change, a row each."""
    show(_title(c), COLUMNS, [_rows(c)], console=console)


def write_changed(c: Changed, folder: Path) -> None:
    """Write the table and the picture: `report.md` and `recovery.png` in a folder.

    Raises:
        OSError: if they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot_changed(c, folder / PICTURE)
    lines = [f"# {_title(c)}", f"![recovery]({PICTURE})", markdown(COLUMNS, _rows(c))]
    write_atomically(folder / REPORT, ("\n\n".join(lines) + "\n").encode())


def plot_changed(c: Changed, path: Path) -> None:
    """Draw rewards in the episode of the change, and returns of the episodes after."""
    figure = Figure(figsize=(11.5, 4.1), layout="constrained")
    during, later = figure.subplots(1, 2, width_ratios=(1.5, 1))
    _shade(during, c)
    for name in in_order(c.methods):
        recovery, colour, title = c.methods[name], colour_of(name), name_of(name)
        _line(during, range(1, c.horizon + 1), recovery.during, colour, title)
        points = (recovery.before, recovery.stale, *recovery.after[1:])
        _line(later, range(len(points)), points, colour, title, "o-")
    during.set(xlabel="step of the episode of the change", ylabel="reward")
    later.set(xlabel="episodes", ylabel="return")
    more = [f"{k}\nlater" for k in range(1, WINDOW + 1)]
    later.set_xticks(range(WINDOW + 2), ["before", "after\nit", *more])
    for axes in (during, later):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    handles, labels = later.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(_title(c))
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."), dpi=150)
    write_atomically(path, content.getvalue())


def _line(
    axes: Axes,
    spots: range,
    points: tuple[Estimate, ...],
    colour: str,
    title: str,
    style: str = "-",
) -> None:
    low, high = [p.low for p in points], [p.high for p in points]
    axes.fill_between(spots, low, high, color=colour, alpha=0.15, lw=0)
    values = [p.value for p in points]
    axes.plot(spots, values, style, color=colour, lw=1.4, ms=4, label=title)


def _shade(axes: Axes, c: Changed) -> None:
    """Shade the steps that the task is another one, the darker the more it is B."""
    shares = np.array([[c.schedule.share(step) for step in range(c.horizon)]])
    axes.imshow(
        shares,
        extent=(0.5, c.horizon + 0.5, 0, 1),
        transform=axes.get_xaxis_transform(),
        cmap="Greys",
        vmin=0,
        vmax=6,
        aspect="auto",
        zorder=-1,
    )
    axes.set_xlim(0.5, c.horizon + 0.5)


def _title(c: Changed) -> str:
    return (
        f"{c.family} on {c.split}: the task changes in mid-episode, by a "
        f"{c.schedule.kind} change; {c.tasks} tasks, seed {c.seed}, 95 % intervals"
    )


def _rows(c: Changed) -> list[tuple[str, ...]]:
    return [
        (name_of(name), *cells(recovery, alone=one_seed(c.policies, name)))
        for name, recovery in c.to_dict()["methods"].items()
    ]

"""An evaluation for people: a table and a plot, never without the baselines."""

import math
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from meta.evaluate import Evaluation, Level
from meta.statistics import Estimate

REPORT, PICTURE = "report.md", "curve.png"
_COLOURS = {"random": "0.6", "dr": "tab:orange", "oracle": "tab:green"}
_NAMES = {"random": "random", "dr": "DR", "oracle": "oracle", "maml": "MAML-PPO"}
_COLUMNS = ("policy", "return", "success", "share of the gap DR to oracle")


def print_table(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the adaptation curve between its floor and its ceiling."""
    table = Table(title=_title(evaluation), caption="; ".join(_facts(evaluation)))
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "policy" else "right")
    for section in _sections(evaluation):
        for row in section:
            table.add_row(*row)
        table.add_section()
    (console or Console()).print(table)


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write the table and the plot: `report.md` and `curve.png` in a folder.

    Raises:
        OSError: if they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot(evaluation, folder / PICTURE)
    rows = [row for section in _sections(evaluation) for row in section]
    lines = [
        f"# {_title(evaluation)}",
        "",
        f"![return and success against episodes of experience]({PICTURE})",
        "",
        *(f"| {' | '.join(row)} |" for row in [_COLUMNS, ("---", *["---:"] * 3)]),
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"* {fact}" for fact in _facts(evaluation)),
    ]
    (folder / REPORT).write_text("\n".join(lines) + "\n")


def plot(evaluation: Evaluation, path: Path) -> None:
    """Draw return and success against episodes of adaptation, as a PNG or PDF."""
    e = evaluation
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    for index, label in enumerate(("return", "success")):
        _draw(figure.add_subplot(1, 2, index + 1), e, label)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    count = len(e.policies["policy"])
    figure.suptitle(
        f"{e.family}, {e.split}: {e.tasks} tasks x {_count(count, 'training seed')}"
    )
    with mpl.rc_context({"savefig.dpi": 150}):
        figure.savefig(path)


def _draw(axes: Axes, e: Evaluation, label: str) -> None:
    spots = range(len(e.curve))
    for name in ("oracle", "dr", "random"):
        level, colour = _shown(e.baselines[name], label), _COLOURS[name]
        axes.axhspan(level.low, level.high, color=colour, alpha=0.2, lw=0)
        axes.axhline(level.value, color=colour, lw=1.2, ls="--", label=_NAMES[name])
    points = [_shown(p, label) for p in e.curve]
    low, high = [p.low for p in points], [p.high for p in points]
    axes.fill_between(spots, low, high, color="tab:blue", alpha=0.25, lw=0)
    method = f"{_NAMES[str(e.policies['policy'][0]['method'])]}, adapted"
    values = [p.value for p in points]
    axes.plot(spots, values, "o-", color="tab:blue", label=method)
    axes.set_xticks(list(spots), [str(p.episodes) for p in e.curve])
    axes.set_xlabel("episodes of experience with the task")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _shown(level: Level, label: str) -> Estimate:
    return level.returns if label == "return" else level.success


def _sections(e: Evaluation) -> list[list[tuple[str, ...]]]:
    """The table's rows: what is below the curve, the curve, what is above."""

    def baseline(name: str) -> tuple[str, ...]:
        level = e.baselines[name]
        return _NAMES[name], _text(level.returns), _text(level.success), ""

    curve = [
        (
            f"after {_count(p.episodes, 'episode')}" if p.episodes else "not adapted",
            _text(p.returns),
            _text(p.success),
            _text(p.normalised),
        )
        for p in e.curve
    ]
    return [[baseline("random"), baseline("dr")], curve, [baseline("oracle")]]


def _title(e: Evaluation) -> str:
    seeds = _count(len(e.policies["policy"]), "training seed")
    return (
        f"{e.family} on {e.split}: {_count(e.tasks, 'task')}, seed {e.seed}, {seeds}, "
        "95 % intervals"
    )


def _facts(e: Evaluation) -> list[str]:
    last = max(e.curve, key=lambda p: p.episodes)
    reached = e.episodes_to_90
    worse = last.harm_rate
    return [
        f"after {_count(last.episodes, 'episode')} {worse.value:.0%} "
        f"[{worse.low:.0%}, {worse.high:.0%}] of the tasks are worse off than "
        "unadapted",
        "90 % of the gap: "
        + ("not reached" if reached is None else _count(reached, "episode")),
        f"(oracle - DR) / (oracle - random) = {_text(e.admission)}",
        f"env steps: {e.ledger.adapt:,} adapting, {e.ledger.measure:,} measuring",
        f"faults: {e.ledger.faults}",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _text(e: Estimate) -> str:
    if not math.isfinite(e.value):
        return "undefined"
    if not math.isfinite(e.low + e.high):
        return f"{e.value:.3f} [unbounded]"
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"

"""An evaluation for people: a table and a plot, never without the baselines."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from meta.evaluation.leak import Leak
from meta.evaluation.results import (
    BY_OBJECT,
    THRESHOLDS,
    UNADAPTED,
    Evaluation,
    Level,
    Point,
    cell_json,
)
from meta.evaluation.statistics import Estimate

REPORT, PICTURE = "report.md", "curve.png"
_COLOURS = {"random": "0.6", "dr": "tab:orange", "oracle": "tab:green"}
NAMES = {
    "random": "random",
    "dr": "DR",
    "dr-sb3": "DR by Stable-Baselines3",
    "dr-finetune": "DR, fine-tuned",
    "scratch": "PPO from scratch",
    "rma": "RMA",
    "sysid": "system identification",
    "maml": "MAML-PPO",
    "maml-plain": "MAML-PPO, plain advantage",
    "oracle": "oracle",
    UNADAPTED: "not adapted",
}
"""What a method is called."""
_LINES = ("tab:red", "0.4", "tab:purple", "tab:brown", "tab:pink", "tab:olive")
_COLUMNS = ("policy", "return", "success", "share of the gap DR to oracle")

_LEDGER = (
    "method",
    "env steps in training, all seeds",
    "episodes to adapt on",
    "env steps",
    "episodes to measure",
    "env steps",
    "faults",
)


def print_table(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the adaptation curve between its floor and its ceiling."""
    table = Table(title=_title(evaluation), caption="\n".join(_facts(evaluation)))
    table.caption_justify = "left"
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
        markdown(_COLUMNS, rows),
        "",
        *(f"* {fact}" for fact in _facts(evaluation)),
        "",
        *_by_object(evaluation),
        "## What was spent",
        "",
        markdown(_LEDGER, _ledger_rows(evaluation)),
    ]
    (folder / REPORT).write_text("\n".join(lines) + "\n")


def plot(evaluation: Evaluation, path: Path) -> None:
    """Draw return and success against episodes of adaptation, as a PNG or PDF."""
    e = evaluation
    figure = Figure(figsize=(12.5, 4.1), layout="constrained")
    for index, label in enumerate(("return", "success")):
        _draw(figure.add_subplot(1, 3, index + 1), e, label)
    _draw_profiles(figure.add_subplot(1, 3, 3), e)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    count = len(e.policies["policy"])
    figure.suptitle(
        f"{e.about}, {e.split}: {e.tasks} tasks x {_count(count, 'training seed')}"
    )
    with mpl.rc_context({"savefig.dpi": 150}):
        figure.savefig(path)


def _draw(axes: Axes, e: Evaluation, label: str) -> None:
    spots = range(len(e.curve))
    for (name, curve), colour in zip(e.rivals.items(), _LINES, strict=False):
        values = [_shown(p, label).value for p in curve]
        axes.plot(spots, values, ".-", color=colour, lw=1, label=NAMES[name])
    for name in ("oracle", "dr", "random"):
        level, colour = _shown(e.baselines[name], label), _COLOURS[name]
        axes.axhspan(level.low, level.high, color=colour, alpha=0.2, lw=0)
        axes.axhline(level.value, color=colour, lw=1.2, ls="--", label=NAMES[name])
    points = [_shown(p, label) for p in e.curve]
    low, high = [p.low for p in points], [p.high for p in points]
    axes.fill_between(spots, low, high, color="tab:blue", alpha=0.25, lw=0)
    method = f"{NAMES[str(e.policies['policy'][0]['method'])]}, adapted"
    values = [p.value for p in points]
    axes.plot(spots, values, "o-", color="tab:blue", label=method)
    axes.set_xticks(list(spots), [str(p.episodes) for p in e.curve])
    axes.set_xlabel("episodes of experience with the task")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _draw_profiles(axes: Axes, e: Evaluation) -> None:
    """How often a method, after the most episodes, does better than a threshold."""
    colours = dict(zip(e.rivals, _LINES, strict=False)) | _COLOURS
    for name, shares in e.profiles.items():
        colour = colours.get(name, "tab:blue")
        width = 2.0 if name not in colours else 1.0
        axes.plot(THRESHOLDS, shares, color=colour, lw=width)
    most = max(p.episodes for p in e.curve)
    axes.set_xlabel("share of the gap from DR (0) to oracle (1)")
    axes.set_ylabel(f"tasks above it, after {_count(most, 'episode')}")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _shown(level: Level, label: str) -> Estimate:
    return level.returns if label == "return" else level.success


def _sections(e: Evaluation) -> list[list[tuple[str, ...]]]:
    """The table's rows: what is below the curve, the curve, what is above."""

    def baseline(name: str) -> tuple[str, ...]:
        level = e.baselines[name]
        return NAMES[name], text(level.returns), text(level.success), ""

    def point(p: Point, name: str) -> tuple[str, ...]:
        return name, text(p.returns), text(p.success), text(p.normalised)

    curve = [
        point(
            p,
            f"after {_count(p.episodes, 'episode')}"
            if p.episodes
            else NAMES[UNADAPTED],
        )
        for p in e.curve
    ]
    counts = [p.episodes for p in e.curve if p.episodes]
    few = {min(counts, default=0), max(counts, default=0)}
    rivals = [
        point(p, f"{NAMES[name]}, {_count(p.episodes, 'episode')}")
        for name, points in e.rivals.items()
        for p in points
        if p.episodes in few
    ]
    floor = [baseline("random"), baseline("dr")]
    return [floor, curve, rivals, [baseline("oracle")]]


def _title(e: Evaluation) -> str:
    seeds = _count(len(e.policies["policy"]), "training seed")
    return (
        f"{e.about} on {e.split}: {_count(e.tasks, 'task')}, seed {e.seed}, {seeds}, "
        "95 % intervals"
    )


def _facts(e: Evaluation) -> list[str]:
    last = max(e.curve, key=lambda p: p.episodes)
    reached = e.episodes_to_90
    worse = last.harm_rate
    own = e.ledgers["policy"]
    return [
        f"after {_count(last.episodes, 'episode')} {worse.value:.0%} "
        f"[{worse.low:.0%}, {worse.high:.0%}] of the tasks are worse off than "
        "unadapted",
        "90 % of the gap: "
        + ("not reached" if reached is None else _count(reached, "episode")),
        f"(oracle - DR) / (oracle - random) = {text(e.admission)}",
        "better than another method then, on the same task, with probability: "
        + ", ".join(f"{NAMES[n]} {text(p)}" for n, p in e.improvement.items()),
        f"env steps: {own.adapt:,} adapting, {own.measure:,} measuring; with all "
        f"baselines {sum(x.adapt + x.measure for x in e.ledgers.values()):,}",
        f"faults: {e.faults}",
        _leak_text(e.leaks),
    ]


def _by_object(e: Evaluation) -> list[str]:
    """The grid of complexity and difficulty, if tasks handle generated objects."""
    if not e.grid:
        return []
    most = max(p.episodes for p in e.curve)
    return ["## By object", "", grid_table(map(cell_json, e.grid), most), ""]


def _leak_text(leaks: Sequence[Leak]) -> str:
    """Whether a first observation told what it must not."""
    told = [leak for leak in leaks if leak.significant]
    if not told:
        return "the first observation gives no hidden parameter away"
    names = ", ".join(f"{leak.parameter} (R2 {leak.r2:.2f})" for leak in told)
    return f"LEAK: the first observation gives away {names}; nothing here counts"


def _ledger_rows(e: Evaluation) -> list[tuple[str, ...]]:
    """What each method was trained on, and what it spent here."""
    rows: list[tuple[str, ...]] = []
    for name, x in e.ledgers.items():
        trained = sum(int(t["env_steps"]) for t in e.policies.get(name, []))
        spent = (x.adapt_episodes, x.adapt, x.measure_episodes, x.measure)
        method = str(e.policies["policy"][0]["method"]) if name == "policy" else name
        rows.append(
            (NAMES[method], *(f"{n:,}" for n in (trained, *spent)), f"{x.faults}")
        )
    return rows


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column has names."""
    rule = ("---", *["---:"] * (len(columns) - 1))
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))


def grid_table(cells: Iterable[Mapping[str, Any]], episodes: int) -> str:
    """Returns by complexity and difficulty, from an evaluation's JSON."""
    adapted = f"after {_count(episodes, 'episode')}"
    names = (NAMES.get(name, adapted) for name in BY_OBJECT)
    header = ("complexity", "difficulty", "objects", "tasks", *names)
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        ends = ("{:.2f} to {:.2f}".format(*cell[a]) for a in header[:2])
        returns = (interval(cell["returns"][name], "") for name in BY_OBJECT)
        rows.append((*ends, ", ".join(cell["objects"]), f"{cell['tasks']}", *returns))
    return markdown(header, rows)


def interval(row: Mapping[str, Any], name: str) -> str:
    """A number and its interval, from an evaluation's JSON."""
    prefix = f"{name}_" if name else ""
    keys = (name or "value", f"{prefix}low", f"{prefix}high")
    value, low, high = (math.inf if (x := row[k]) is None else x for k in keys)
    return text(Estimate(value=value, low=low, high=high))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def text(e: Estimate) -> str:
    """A number and its interval."""
    if not math.isfinite(e.value):
        return "undefined"
    if not math.isfinite(e.low + e.high):
        return f"{_number(e.value)} [unbounded]"
    return f"{_number(e.value)} [{_number(e.low)}, {_number(e.high)}]"


def _number(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 10 else f"{x:.2f}"

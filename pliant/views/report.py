"""An evaluation for people: a table and a plot, never without the baselines."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from meta.evaluation.leak import Leak
from meta.evaluation.results import (
    THRESHOLDS,
    UNADAPTED,
    Evaluation,
    Level,
    Point,
    cell_json,
    levels,
)
from meta.evaluation.statistics import Estimate
from meta.machine.files import write_atomically
from pliant.views.cautions import cautions, env_steps, method_of, short
from pliant.views.grid_table import grid_table
from pliant.views.markdown import count, markdown, one_seed, text
from pliant.views.names import colour_of, name_of
from pliant.views.terminal import show

REPORT, PICTURE = "report.md", "curve.png"
_COLUMNS = ("policy", "return", "success", "share of gap", "env steps")
"""The last: env steps that each training seed was trained on."""
_WIDE = 110
"""Columns of a terminal from which on all of the table fits."""

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
    """Print the adaptation curve between its floor and its ceiling.

    A narrow terminal has no interval of the success, and no env steps, which stand
    below the table where they differ.
    """
    console = console or Console()
    columns, sections = _COLUMNS, _sections(evaluation)
    if console.width < _WIDE:
        columns = columns[:-1]
        sections = [
            [(row[0], row[1], row[2].split()[0], row[3]) for row in rows]
            for rows in sections
        ]
    facts = _facts(evaluation)
    show(_title(evaluation), columns, sections, facts, console=console)


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
    write_atomically(folder / REPORT, ("\n".join(lines) + "\n").encode())


def plot(evaluation: Evaluation, path: Path) -> None:
    """Draw return and success against episodes of adaptation, as a PNG or PDF."""
    e = evaluation
    figure = Figure(figsize=(12.5, 4.1), layout="constrained")
    for index, label in enumerate(("return", "success")):
        _draw(figure.add_subplot(1, 3, index + 1), e, label)
    _draw_profiles(figure.add_subplot(1, 3, 3), e)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    seeds = count(len(e.policies["policy"]), "training seed")
    figure.suptitle(f"{e.about}, {e.split}: {e.tasks} tasks x {seeds}")
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."), dpi=150)
    write_atomically(path, content.getvalue())


def _draw(axes: Axes, e: Evaluation, label: str) -> None:
    spots = range(len(e.curve))
    for name, curve in e.rivals.items():
        values, colour = [_shown(p, label).value for p in curve], colour_of(name)
        axes.plot(spots, values, ".-", color=colour, lw=1, label=name_of(name))
    for name in reversed(list(e.baselines)):
        level, colour = _shown(e.baselines[name], label), colour_of(name)
        axes.axhspan(level.low, level.high, color=colour, alpha=0.2, lw=0)
        axes.axhline(level.value, color=colour, lw=1.2, ls="--", label=name_of(name))
    points = [_shown(p, label) for p in e.curve]
    low, high = [p.low for p in points], [p.high for p in points]
    method, values = method_of(e), [p.value for p in points]
    colour, adapted = colour_of(method), f"{name_of(method)}, adapted"
    axes.fill_between(spots, low, high, color=colour, alpha=0.25, lw=0)
    axes.plot(spots, values, "o-", color=colour, label=adapted)
    axes.set_xticks(list(spots), [str(p.episodes) for p in e.curve])
    axes.set_xlabel("episodes of experience with the task")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _draw_profiles(axes: Axes, e: Evaluation) -> None:
    """Draw the share of tasks above a threshold, after the most episodes."""
    for name, shares in e.profiles.items():
        own = name == "policy"
        colour = colour_of(method_of(e) if own else name)
        axes.plot(THRESHOLDS, shares, color=colour, lw=2.0 if own else 1.0)
    most = max(p.episodes for p in e.curve)
    _, floor, ceiling = map(name_of, levels(e.baselines))
    axes.set_xlabel(f"share of the gap\nfrom {floor} (0) to {ceiling} (1)")
    axes.set_ylabel(f"tasks above it, after {count(most, 'episode')}")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _shown(level: Level, label: str) -> Estimate:
    return level.returns if label == "return" else level.success


def _sections(e: Evaluation) -> list[list[tuple[str, ...]]]:
    """Return the table's rows: the floor, the curve, the rivals, the ceiling."""

    def level(shown: Level, method: str) -> tuple[str, ...]:
        one = one_seed(e.policies, method)
        return tuple(text(x, one_seed=one) for x in (shown.returns, shown.success))

    def baseline(name: str) -> tuple[str, ...]:
        return name_of(name), *level(e.baselines[name], name), "", _trained_on(e, name)

    ends = levels(e.baselines)
    none = _no_share(e)

    def point(p: Point, title: str, method: str) -> tuple[str, ...]:
        one = one_seed(e.policies, method, *ends)
        share = text(p.normalised, one_seed=one) if e.has_gap else none
        return title, *level(p, method), share, _trained_on(e, method)

    curve = [
        point(
            p,
            f"after {count(p.episodes, 'episode')}"
            if p.episodes
            else name_of(UNADAPTED),
            "policy",
        )
        for p in e.curve
    ]
    counts = [p.episodes for p in e.curve if p.episodes]
    few = {min(counts, default=0), max(counts, default=0)}
    rivals = [
        point(p, f"{name_of(name)}, {count(p.episodes, 'episode')}", name)
        for name, points in e.rivals.items()
        for p in points
        if p.episodes in few
    ]
    floor, ceiling = (
        [baseline(name) for name in names if name in e.baselines]
        for names in (ends[:2], ends[2:])
    )
    return [floor, curve, rivals, ceiling]


def _no_share(e: Evaluation) -> str:
    """Return what stands in the place of a share where there is none."""
    if len(e.baselines) < len(levels(e.baselines)):
        return ""
    return "uncertain" if e.uncertain else "no gap"


def _title(e: Evaluation) -> str:
    seeds = count(len(e.policies["policy"]), "training seed")
    return (
        f"{e.about}, split {e.split}: {count(e.tasks, 'task')}, seed {e.seed}, "
        f"{seeds}, 95 % intervals"
    )


def _facts(e: Evaluation) -> list[str]:
    last = max(e.curve, key=lambda p: p.episodes)
    own, ends = e.ledgers["policy"], levels(e.baselines)
    return [
        *cautions(e),
        f"success: {e.success}",
        f"share of tasks worse off after {count(last.episodes, 'episode')} than "
        f"unadapted: {text(last.harm_rate, one_seed=one_seed(e.policies, 'policy'))}",
        f"return of an episode that is adapted on: "
        f"{text(last.during, one_seed=one_seed(e.policies, 'policy'))}",
        f"episodes to close 90 % of the gap: {_reached(e)}",
        f"(oracle - {name_of(ends[1])}) / (oracle - random) = "
        + text(e.admission, one_seed=one_seed(e.policies, *ends)),
        "return above another method's on the same tasks after "
        f"{count(last.episodes, 'episode')}: {_each(e, e.ahead)}",
        f"probability of then beating it on one: {_each(e, e.improvement)}",
        f"env steps: {own.adapt:,} adapting, {own.measure:,} measuring; with all "
        f"baselines {sum(x.adapt + x.measure for x in e.ledgers.values()):,}",
        f"faults: {e.faults}",
        _leak_text(e.leaks),
    ]


def _each(e: Evaluation, found: Mapping[str, Estimate]) -> str:
    """Return an estimate beside each other method."""
    return ", ".join(
        f"{name_of(n)} {text(x, one_seed=one_seed(e.policies, 'policy', n))}"
        for n, x in found.items()
    )


def _reached(e: Evaluation) -> str:
    if len(e.baselines) < len(levels(e.baselines)):
        return "unknown"
    if not e.has_gap:
        return "uncertain" if e.uncertain else "no gap to close"
    reached = e.episodes_to_90
    return "not reached" if reached is None else f"{reached}"


def _trained_on(e: Evaluation, method: str) -> str:
    return short(env_steps(e, method)) if method in e.policies else ""


def _by_object(e: Evaluation) -> list[str]:
    """Return the grid of complexity and difficulty, if tasks handle solids."""
    if not e.grid:
        return []
    most = max(p.episodes for p in e.curve)
    return [
        "## By object",
        "",
        grid_table(map(cell_json, e.grid), most, e.policies),
        "",
    ]


def _leak_text(leaks: Sequence[Leak]) -> str:
    """Say whether a first observation gave away what it must not."""
    told = [leak for leak in leaks if leak.significant]
    if not told:
        return "the first observation gives no hidden parameter away on these tasks"
    names = ", ".join(f"{leak.parameter} (R2 {leak.r2:.2f})" for leak in told)
    return f"LEAK: the first observation gives away {names}; nothing here counts"


def _ledger_rows(e: Evaluation) -> list[tuple[str, ...]]:
    """Return the env steps that each method was trained on, and spent here."""
    rows: list[tuple[str, ...]] = []
    for name, x in e.ledgers.items():
        trained = sum(int(t["env_steps"]) for t in e.policies.get(name, []))
        spent = (x.adapt_episodes, x.adapt, x.measure_episodes, x.measure)
        method = method_of(e) if name == "policy" else name
        rows.append(
            (name_of(method), *(f"{n:,}" for n in (trained, *spent)), f"{x.faults}")
        )
    return rows

"""An evaluation for people: a table and a plot, never without the baselines."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from meta.evaluate import Evaluation
from meta.statistics import Estimate

_COLOURS = {"random": "0.6", "dr": "tab:orange", "oracle": "tab:green"}
_NAMES = {"random": "random", "dr": "DR", "oracle": "oracle"}


def print_table(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the adaptation curve between its floor and its ceiling."""
    e = evaluation
    table = Table(
        title=f"{e.family} on {e.split}: {e.tasks} tasks, seed {e.seed}, "
        f"{len(e.policies['policy'])} training seed(s), 95 % intervals",
        caption=_caption(e),
    )
    table.add_column("policy")
    for name in ("return", "success", "share of the gap DR to oracle"):
        table.add_column(name, justify="right")
    for name in ("random", "dr"):
        table.add_row(_NAMES[name], *(_text(x) for x in e.baselines[name]), "")
    table.add_section()
    for p in e.curve:
        after = "1 episode" if p.episodes == 1 else f"{p.episodes} episodes"
        name = "not adapted" if p.episodes == 0 else f"after {after}"
        table.add_row(name, _text(p.returns), _text(p.success), _text(p.normalised))
    table.add_section()
    table.add_row("oracle", *(_text(x) for x in e.baselines["oracle"]), "")
    (console or Console()).print(table)


def plot(evaluation: Evaluation, path: Path) -> None:
    """Draw return and success against episodes of adaptation, as a PNG or PDF."""
    e = evaluation
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    for index, label in enumerate(("return", "success")):
        axes = figure.add_subplot(1, 2, index + 1)
        k = [p.episodes for p in e.curve]
        points = [(p.returns, p.success)[index] for p in e.curve]
        spots = range(len(k))
        for name, (colour, text) in {
            n: (_COLOURS[n], _NAMES[n]) for n in ("oracle", "dr", "random")
        }.items():
            level = e.baselines[name][index]
            axes.axhspan(level.low, level.high, color=colour, alpha=0.2, lw=0)
            axes.axhline(level.value, color=colour, lw=1.2, ls="--", label=text)
        axes.fill_between(
            spots,
            [p.low for p in points],
            [p.high for p in points],
            color="tab:blue",
            alpha=0.25,
            lw=0,
        )
        axes.plot(
            spots, [p.value for p in points], "o-", color="tab:blue", label="MAML-PPO"
        )
        axes.set_xticks(list(spots), [str(n) for n in k])
        axes.set_xlabel("episodes of experience with the task")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"{e.family}, {e.split}: {e.tasks} tasks x {len(e.policies['policy'])} seeds"
    )
    with mpl.rc_context({"savefig.dpi": 150}):
        figure.savefig(path)


def _text(e: Estimate) -> str:
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"


def _caption(e: Evaluation) -> str:
    last = max(e.curve, key=lambda p: p.episodes)
    reached = e.episodes_to_90
    return (
        f"after {last.episodes} episodes {last.harm_rate:.0%} of the tasks are worse "
        "off than unadapted; 90 % of the gap after "
        f"{'more' if reached is None else reached} episodes; "
        f"(oracle - DR) / (oracle - random) = {_text(e.admission)}; "
        f"env steps: {e.ledger.adapt:,} adapting, {e.ledger.measure:,} measuring; "
        f"faults: {e.ledger.faults}"
    )

"""Measure what `docs/performance.md` states, each beside its baseline in the same run.

    python -m benchmarks [--seconds 3] [--json FILE]

Run it on an otherwise idle machine: every figure is a ratio of wall-clock times.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.few_shot import batched_convolutions, batched_regression
from benchmarks.learner import batched_over_loop, learner_share
from benchmarks.stepping import gymnasium_ratios, step_over_bare
from tasks.registry import FAMILIES


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the benchmarks."""

    seconds: float = 3.0
    """Time spent on each throughput."""
    json: Path | None = None
    """Also write the rows here."""


def main() -> None:
    """Print the table."""
    options = tyro.cli(Options)
    rows = [step_over_bare(name, options.seconds) for name in FAMILIES]
    rows += gymnasium_ratios(options.seconds)
    rows += [learner_share(), batched_over_loop()]
    rows += [batched_regression(), batched_convolutions()]
    table = Table(
        "measured",
        "ratio",
        "bar",
        "figures",
        title=f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, "
        f"torch {torch.__version__}",
    )
    for row in rows:
        mark = "" if row.holds else "  (missed)"
        table.add_row(row.what, f"{row.ratio:.2f}", row.bar + mark, row.figures)
    Console(width=120).print(table)
    if options.json:
        options.json.write_text(json.dumps([row.to_dict() for row in rows], indent=1))


if __name__ == "__main__":
    main()

"""Learning curves of run folders, one panel a family, as a picture.

    python -m benchmarks.curves RUN [RUN ...] --out curves.png

Each line is the mean over the training seeds among the runs, smoothed over five
iterations, with the range of the seeds behind it. Returns are those of training: with
sampled actions, on training tasks.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tyro.conf import Positional

from meta.registry import Method, find_method
from meta.training.run import METRICS, read_config

_WINDOW = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the picture."""

    runs: Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path = Path("curves.png")
    """The picture."""


def main() -> None:
    """Draw."""
    options = tyro.cli(Options)
    families: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for run in options.runs:
        cfg = read_config(run)
        families[cfg.family][cfg.method].append(run)
    figure = Figure(figsize=(4.6 * len(families), 3.6), layout="constrained")
    for index, (family, lines) in enumerate(sorted(families.items())):
        axes = figure.add_subplot(1, len(families), index + 1)
        for name in sorted(lines, key=lambda n: -find_method(n).row):
            _draw(axes, find_method(name), lines[name])
        axes.set_title(family)
        axes.set_xlabel("env steps [million]")
        axes.set_ylabel("return in training")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        lines, texts = axes.get_legend_handles_labels()
        entries |= dict(zip(texts, lines, strict=True))
    figure.legend(
        entries.values(), entries, loc="outside lower center", ncols=5, frameon=False
    )
    figure.savefig(options.out, dpi=110)
    print(f"wrote {options.out}")


def _draw(axes: Axes, method: Method, runs: list[Path]) -> None:
    """Draw the return after adapting, and where that differs, before it faintly."""
    rows = [
        [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
        for run in runs
    ]
    rows = [row[: min(map(len, rows))] for row in rows]
    window = min(_WINDOW, len(rows[0]))
    steps = np.array([row["env_steps"] for row in rows[0]])[window - 1 :]
    pre, post = (_smooth(rows, f"return_{when}", window) for when in ("pre", "post"))
    low, high, steps = post.min(0), post.max(0), steps / 1e6
    axes.fill_between(steps, low, high, color=method.colour, alpha=0.2, lw=0)
    axes.plot(steps, post.mean(0), color=method.colour, label=method.title)
    if not np.array_equal(pre, post):
        label = f"{method.title}, not adapted"
        axes.plot(steps, pre.mean(0), ":", color=method.colour, label=label)


def _smooth(rows: list[list[dict[str, float]]], key: str, window: int) -> np.ndarray:
    """Return moving averages, one row a run."""
    kernel = np.ones(window) / window
    return np.stack(
        [np.convolve([r[key] for r in row], kernel, "valid") for row in rows]
    )


if __name__ == "__main__":
    main()

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

from meta.training.config import TrainCfg
from meta.training.run import METRICS, read_config

_LINES = {
    "oracle": ("oracle", "return_post", "tab:green"),
    "adapted": ("MAML-PPO, adapted", "return_post", "tab:blue"),
    "maml-plain": ("plain advantage, adapted", "return_post", "tab:purple"),
    "rma": ("RMA", "return_post", "tab:brown"),
    "sysid": ("system identification", "return_post", "tab:olive"),
    "before": ("MAML-PPO, not adapted", "return_pre", "tab:cyan"),
    "dr": ("DR", "return_post", "tab:orange"),
    "dr-sb3": ("DR by Stable-Baselines3", "return_post", "tab:red"),
}
_WINDOW = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to draw."""

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
        for line in _lines(cfg):
            families[cfg.family][line].append(run)
    figure = Figure(figsize=(4.6 * len(families), 3.6), layout="constrained")
    for index, (family, lines) in enumerate(sorted(families.items())):
        axes = figure.add_subplot(1, len(families), index + 1)
        for name in (n for n in _LINES if n in lines):
            _draw(axes, name, lines[name])
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


def _lines(cfg: TrainCfg) -> tuple[str, ...]:
    return ("before", "adapted") if cfg.method == "maml" else (cfg.method,)


def _draw(axes: Axes, name: str, runs: list[Path]) -> None:
    label, key, colour = _LINES[name]
    rows = [
        [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
        for run in runs
    ]
    length = min(map(len, rows))
    steps = np.array([row["env_steps"] for row in rows[0][:length]]) / 1e6
    kernel = np.ones(_WINDOW) / _WINDOW
    smooth = np.stack(
        [np.convolve([r[key] for r in row[:length]], kernel, "valid") for row in rows]
    )
    steps = steps[_WINDOW - 1 :]
    axes.fill_between(
        steps, smooth.min(0), smooth.max(0), color=colour, alpha=0.2, lw=0
    )
    axes.plot(steps, smooth.mean(0), color=colour, label=label)


if __name__ == "__main__":
    main()

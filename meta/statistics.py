"""Aggregates over seeds and tasks with bootstrap intervals.

Definitions follow rliable (Agarwal et al. 2021, arXiv 2108.13264): scores form a matrix
of seeds by tasks, the interquartile mean drops a quarter at either end, and intervals
are percentiles of a stratified bootstrap. Unlike a fixed benchmark, our tasks are
themselves draws from a distribution, so that tasks are resampled too, and all methods
with the same tasks: comparisons are paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.stats import trim_mean

Scores = NDArray[np.float64]
"""Scores of one method, (seed, task)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


def mean(x: Float[np.ndarray, "*batch task seed"]) -> Float[np.ndarray, "*batch"]:
    """Mean over tasks and seeds."""
    return np.asarray(x.mean(axis=(-2, -1)))


def iqm(x: Float[np.ndarray, "*batch task seed"]) -> Float[np.ndarray, "*batch"]:
    """Mean of the middle half of all (task, seed) scores."""
    flat = x.reshape(*x.shape[:-2], -1)
    return np.asarray(trim_mean(flat, 0.25, axis=-1))


def estimate(
    methods: Sequence[Scores],
    statistic: Callable[..., NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
) -> Estimate:
    """A statistic of one or more methods on the same tasks, with its interval.

    Args:
        methods: each method's scores, (seed, task); the tasks are common, the seeds
            and their number are each method's own.
        statistic: of one array (..., task, seed) per method, reduces the last two axes.
        rng: draws the resamples.
        resamples: number of bootstrap resamples.

    Raises:
        ValueError: if the methods differ in their number of tasks.
    """
    counts = {scores.shape[1] for scores in methods}
    if len(counts) != 1:
        raise ValueError(f"methods were scored on {sorted(counts)} tasks, not the same")
    tasks = counts.pop()
    chosen = rng.integers(tasks, size=(resamples, tasks))
    drawn = []
    for scores in methods:
        seeds = rng.integers(len(scores), size=(resamples, tasks, len(scores)))
        drawn.append(scores[seeds, chosen[..., None]])
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    value = statistic(*(scores.T for scores in methods))
    return Estimate(value=float(value), low=float(low), high=float(high))


def admission(
    ceiling: Float[np.ndarray, "*batch task seed"],
    floor: Float[np.ndarray, "*batch task other"],
    chance: Float[np.ndarray, "*batch task another"],
) -> Float[np.ndarray, "*batch"]:
    """(ceiling - floor) / (ceiling - chance): how much it matters to know the task."""
    return np.asarray((mean(ceiling) - mean(floor)) / (mean(ceiling) - mean(chance)))


def share_of_gap(
    scores: Float[np.ndarray, "*batch task seed"],
    floor: Float[np.ndarray, "*batch task other"],
    ceiling: Float[np.ndarray, "*batch task another"],
) -> Float[np.ndarray, "*batch"]:
    """(scores - floor) / (ceiling - floor) of the means: 0 at floor, 1 at ceiling."""
    bottom = mean(floor)
    return np.asarray((mean(scores) - bottom) / (mean(ceiling) - bottom))

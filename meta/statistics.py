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

Scores = NDArray[np.float64]
"""Scores of one method, (seed, task)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval. Not finite where it is not defined."""

    value: float
    low: float
    high: float


def mean(x: Float[np.ndarray, "*batch task seed"]) -> Float[np.ndarray, "*batch"]:
    """Mean over tasks and seeds."""
    return np.asarray(x.mean(axis=(-2, -1)))


def iqm(x: Float[np.ndarray, "*batch task seed"]) -> Float[np.ndarray, "*batch"]:
    """Mean of the middle half of all (task, seed) scores."""
    flat = np.sort(x.reshape(*x.shape[:-2], -1))
    cut = flat.shape[-1] // 4
    return np.asarray(flat[..., cut : flat.shape[-1] - cut].mean(axis=-1))


def harm(adapted: Scores, unadapted: Scores) -> Scores:
    """1 where a (seed, task) is worse off adapted than not; its mean is the harm rate.

    Of the same seeds in the same order: harm is done to one policy, so that the two
    cannot be resampled apart.
    """
    return (adapted < unadapted).astype(np.float64)


def estimate(
    methods: Sequence[Scores],
    statistic: Callable[..., NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
) -> Estimate:
    """A statistic of one or more methods on the same tasks, with its interval.

    Resamples in which the statistic is not defined (NaN) might be anything: they widen
    the interval, and make it infinite when there are too many of them.

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
    found = statistic(*drawn)
    with np.errstate(invalid="ignore"):  # between two infinities
        low = np.quantile(np.where(np.isnan(found), -np.inf, found), 0.025)
        high = np.quantile(np.where(np.isnan(found), np.inf, found), 0.975)
    value = statistic(*(scores.T for scores in methods))
    return Estimate(value=float(value), low=float(low), high=float(high))


def admission(
    ceiling: Float[np.ndarray, "*batch task seed"],
    floor: Float[np.ndarray, "*batch task other"],
    chance: Float[np.ndarray, "*batch task another"],
) -> Float[np.ndarray, "*batch"]:
    """(ceiling - floor) / (ceiling - chance): how much it matters to know the task."""
    top = mean(ceiling)
    return _share(top - mean(floor), top - mean(chance))


def share_of_gap(
    scores: Float[np.ndarray, "*batch task seed"],
    floor: Float[np.ndarray, "*batch task other"],
    ceiling: Float[np.ndarray, "*batch task another"],
) -> Float[np.ndarray, "*batch"]:
    """(scores - floor) / (ceiling - floor) of the means: 0 at floor, 1 at ceiling."""
    bottom = mean(floor)
    return _share(mean(scores) - bottom, mean(ceiling) - bottom)


def _share(
    part: NDArray[np.float64] | np.float64, whole: NDArray[np.float64] | np.float64
) -> NDArray[np.float64]:
    """Of a whole that is nothing, or less, there is no share: NaN."""
    return np.asarray(part / np.where(whole > 0, whole, np.nan))

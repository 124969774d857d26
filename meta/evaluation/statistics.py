"""Aggregates over seeds and tasks with bootstrap intervals.

Scores form a matrix of seeds by tasks; the interquartile mean, the probability of
improvement and the performance profile are those of rliable (Agarwal et al. 2021, arXiv
2108.13264). Its intervals are not: it resamples seeds within each task of a fixed
benchmark. Here tasks are draws from a distribution, and a training seed that is better
than another is so on many tasks at once, which such resampling averages away: with
three seeds whose means differ by a third of the spread of the tasks, intervals meant to
cover 95 % cover 60 %. So tasks are resampled, the same for all methods (comparisons are
paired), and each resample shifts a method as a whole by what its few seeds leave open
about its mean: Student's t times the standard error of the seeds' means.

Where several tasks are about one object, objects are resampled with all their tasks: a
claim about other objects rests on as many draws as there are objects. Few of them give
Student's t here, too, which the bootstrap alone falls short of.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Scores of one method, (seed, task)."""
Clusters = Sequence[Hashable]
"""A label for each task: what it shares with others, such as its object."""


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

    Both arrays list the same seeds in the same order: each policy is compared with its
    own unadapted self, so that the two are resampled together.
    """
    return (adapted < unadapted).astype(np.float64)


def estimate(
    methods: Sequence[Scores],
    statistic: Callable[..., NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    clusters: Clusters | None = None,
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
        clusters: labels of the tasks; those of one label are drawn together. Each task
            is drawn by itself if there are none, or if all have the same.
        resamples: number of bootstrap resamples.

    Raises:
        ValueError: if the methods differ in their number of tasks, or there are more or
            fewer labels than tasks.
    """
    counts = {scores.shape[1] for scores in methods}
    if len(counts) != 1:
        raise ValueError(f"methods were scored on {sorted(counts)} tasks, not the same")
    tasks = counts.pop()
    if clusters is not None and len(clusters) != tasks:
        raise ValueError(f"{tasks} tasks need as many labels, got {len(clusters)}")
    chosen, stretch = resampled(tasks, clusters, rng, resamples)
    found = np.empty(resamples)
    shifts = [_seed_shift(scores, rng, resamples) for scores in methods]
    for rows, picked in chosen:
        drawn: list[NDArray[np.float64]] = []
        for scores, shift in zip(methods, shifts, strict=True):
            own = scores.T[picked]
            away = own.mean(axis=(1, 2)) - scores.mean()
            moved = shift[rows] + (stretch[rows] - 1) * away
            drawn.append(own + moved[:, None, None])
        found[rows] = statistic(*drawn)
    with np.errstate(invalid="ignore"):  # between two infinities
        low = np.quantile(np.where(np.isnan(found), -np.inf, found), 0.025)
        high = np.quantile(np.where(np.isnan(found), np.inf, found), 0.975)
    value = statistic(*(scores.T for scores in methods))
    return Estimate(value=float(value), low=float(low), high=float(high))


def bounded(e: Estimate, tasks: int) -> Estimate:
    """Return a rate's estimate: within [0, 1], and no narrower than Wilson's interval.

    Resampling scores that are all 0, or all 1, gives an interval without width, however
    few they are; Wilson's (1927, "Probable inference, the law of succession, and
    statistical inference") has one.

    Args:
        e: the estimate of the rate.
        tasks: number of tasks that it is the mean over.
    """
    square, n = 1.96**2, tasks
    centre = (e.value + square / (2 * n)) / (1 + square / n)
    spread = square / n * (e.value * (1 - e.value) + square / (4 * n))
    half = math.sqrt(spread) / (1 + square / n)
    low, high = min(e.low, centre - half), max(e.high, centre + half)
    return Estimate(value=e.value, low=max(0.0, low), high=min(1.0, high))


def resampled(
    tasks: int, clusters: Clusters | None, rng: np.random.Generator, resamples: int
) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int64]]], NDArray[np.float64]]:
    """Draw tasks with replacement, or clusters of them.

    Returns:
        Resamples of equal length together: which they are, and the tasks of each; and
        by how much to stretch each one's distance from the mean, which makes a normal
        spread of few clusters Student's t.
    """
    names = list(dict.fromkeys(clusters or ()))
    if len(names) < 2 or len(names) == tasks:
        drawn = rng.integers(tasks, size=(resamples, tasks))
        return [(np.arange(resamples), drawn)], np.ones(resamples)
    place = {name: i for i, name in enumerate(names)}
    label = np.array([place[name] for name in clusters or ()])
    sizes = np.bincount(label)
    members = np.full((len(names), sizes.max()), -1)
    members[np.arange(sizes.max()) < sizes[:, None]] = np.argsort(label, kind="stable")
    draws = rng.integers(len(names), size=(resamples, len(names)))
    lengths = sizes[draws].sum(axis=1)
    chosen: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        padded = members[draws[rows]]
        chosen.append((rows, padded[padded >= 0].reshape(-1, length)))
    # the spread of G means is a share (G - 1) / G of what they were drawn from
    stretch = np.sqrt(len(names) / rng.chisquare(len(names) - 1, size=resamples))
    return chosen, stretch


def _seed_shift(
    scores: Scores, rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Draw a method's mean, given how its seeds' means differ.

    Of one seed nothing is known, and the interval is that of its tasks alone.
    """
    count, tasks = scores.shape
    if count == 1:
        return np.zeros(resamples)
    within = (scores - scores.mean(axis=0)).var(axis=1).sum() / (count - 1)
    between = scores.mean(axis=1).var(ddof=1) - within / tasks
    error = math.sqrt(max(0.0, between) / count)
    return error * rng.standard_t(count - 1, size=resamples)


def probability_of_improvement(
    x: Float[np.ndarray, "*batch task seed"], y: Float[np.ndarray, "*batch task other"]
) -> Float[np.ndarray, "*batch"]:
    """Return how often a score of x beats one of y on the same task; ties are half.

    The mean over tasks of Mann and Whitney's U over the number of pairs.
    """
    difference = x[..., :, None] - y[..., None, :]
    wins = (difference > 0) + 0.5 * (difference == 0)
    return np.asarray(wins.mean(axis=(-3, -2, -1)))


def difference(
    x: Float[np.ndarray, "*batch task seed"], y: Float[np.ndarray, "*batch task other"]
) -> Float[np.ndarray, "*batch"]:
    """Return how much more x earns than y on the same tasks."""
    return np.asarray(mean(x) - mean(y))


def performance_profile(scores: Scores, thresholds: Scores) -> Scores:
    """Share of all (seed, task) with a score above each threshold."""
    flat = scores.reshape(-1)
    return np.asarray((flat[:, None] > thresholds.reshape(-1)).mean(axis=0))


def value_of_knowing(
    ceiling: Float[np.ndarray, "*batch task seed"],
    floor: Float[np.ndarray, "*batch task other"],
    chance: Float[np.ndarray, "*batch task another"],
) -> Float[np.ndarray, "*batch"]:
    """(ceiling - floor) / (ceiling - chance): how much it matters to know the task."""
    top = mean(ceiling)
    return _share(top - mean(floor), top - mean(chance))


def share_lost(
    loss: Float[np.ndarray, "*batch task seed"],
    ceiling: Float[np.ndarray, "*batch task seed"],
    chance: Float[np.ndarray, "*batch task other"],
) -> Float[np.ndarray, "*batch"]:
    """Return loss / (ceiling - chance) of the means: a loss from the ceiling."""
    return _share(mean(loss), mean(ceiling) - mean(chance))


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
    """Return `part / whole`, or NaN where `whole` is not positive."""
    return np.asarray(part / np.where(whole > 0, whole, np.nan))

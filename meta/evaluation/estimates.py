"""All that an evaluation estimates from its raw scores, with intervals."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from meta.evaluation.grid import by_object
from meta.evaluation.measure import Measured
from meta.evaluation.price import price
from meta.evaluation.results import (
    BY_OBJECT,
    MIN_GAP,
    POLICY,
    THRESHOLDS,
    UNADAPTED,
    Curve,
    Level,
    Point,
    levels,
)
from meta.evaluation.statistics import (
    Clusters,
    Estimate,
    Scores,
    bounded,
    difference,
    estimate,
    harm,
    iqm,
    mean,
    performance_profile,
    probability_of_improvement,
    share_of_gap,
    value_of_knowing,
)
from tasks.contract import TaskFamily
from tasks.task import Task


class Drawn(NamedTuple):
    """The tasks of an evaluation, as intervals draw them."""

    labels: Clusters | None
    """Names of what each is about; those of one name are drawn together."""
    agents: int
    """Tasks that share a world, and so count once for a rate."""

    def rate(self, e: Estimate, scores: Scores) -> Estimate:
        """Return the estimate of a rate, no narrower than its number of worlds lets."""
        return bounded(e, scores.shape[1] // self.agents)


_UNDEFINED = Estimate(value=math.nan, low=math.nan, high=math.nan)


def estimates(
    found: Mapping[str, Mapping[int, Measured]],
    episodes: Sequence[int],
    family: TaskFamily,
    tasks: Sequence[Task],
    seed: int,
) -> dict[str, Any]:
    """Return the fields of an `Evaluation` that are estimated from the scores.

    Args:
        found: scores by method and number of episodes.
        episodes: numbers of episodes to show.
        family: what the tasks are of.
        tasks: the tasks, in the order of the scores.
        seed: decides the resamples.
    """
    rng = np.random.default_rng(seed)
    labels = [family.object_of(task) for task in tasks]
    drawn = Drawn(labels, max(1, len(family.agents)))
    curves = _curves(found, sorted(episodes), rng, drawn)
    last = {name: m[max(m)].returns for name, m in found.items()}
    shown = last | {UNADAPTED: found[POLICY][0].returns}
    return {
        "curve": curves.pop(POLICY),
        "rivals": curves,
        "baselines": {
            n: _level(found[n][0], rng, drawn) for n in levels(found) if n in found
        },
        "improvement": _improvement(last, rng, drawn),
        "profiles": _profiles(last),
        "admission": _admission(last, rng, labels),
        "grid": by_object(
            tasks,
            [family.coordinates(task) for task in tasks],
            {n: shown[n] for n in BY_OBJECT if n in shown},
            rng,
            labels,
        ),
        "ahead": _ahead(last, rng.spawn(1)[0], labels),
    }


def _curves(
    found: Mapping[str, Mapping[int, Measured]],
    episodes: Sequence[int],
    rng: np.random.Generator,
    drawn: Drawn,
) -> dict[str, Curve]:
    ends = {name: found[name][0] for name in levels(found) if name in found}
    gap = _has_gap({name: level.returns for name, level in ends.items()})
    return {
        name: tuple(_point(k, at, ends if gap else {}, rng, drawn) for k in episodes)
        for name, at in found.items()
        if name not in ends
    }


def _admission(
    last: Mapping[str, Scores], rng: np.random.Generator, labels: Clusters
) -> Estimate:
    names = levels(last)
    if not all(name in last for name in names):
        return _UNDEFINED
    methods = [last[n] for n in reversed(names)]
    return estimate(methods, value_of_knowing, rng, clusters=labels)


def _improvement(
    last: Mapping[str, Scores], rng: np.random.Generator, drawn: Drawn
) -> dict[str, Estimate]:
    chance = probability_of_improvement
    beats = partial(estimate, statistic=chance, rng=rng, clusters=drawn.labels)
    return {
        name: drawn.rate(beats([last[POLICY], other]), other)
        for name, other in last.items()
        if name != POLICY
    }


def _ahead(
    last: Mapping[str, Scores], rng: np.random.Generator, labels: Clusters
) -> dict[str, Estimate]:
    return {
        name: estimate([last[POLICY], other], difference, rng, clusters=labels)
        for name, other in last.items()
        if name != POLICY
    }


def _has_gap(last: Mapping[str, Scores]) -> bool:
    """Return whether knowing the task is worth enough to give shares of it."""
    names = levels(last)
    if not all(name in last for name in names):
        return False
    known, robust, chance = (last[name].T for name in reversed(names))
    return bool(value_of_knowing(known, robust, chance) >= MIN_GAP)


def _profiles(last: Mapping[str, Scores]) -> dict[str, list[float]]:
    """Performance profiles of scores that are 0 at the floor and 1 at the ceiling."""
    if not _has_gap(last):
        return {}
    _, floor, ceiling = (last[name].mean() for name in levels(last))
    at = np.array([THRESHOLDS]) * (ceiling - floor) + floor
    return {n: performance_profile(x, at).tolist() for n, x in last.items()}


def _level(m: Measured, rng: np.random.Generator, drawn: Drawn) -> Level:
    reckon = partial(estimate, clusters=drawn.labels)
    return Level(
        returns=reckon([m.returns], mean, rng),
        success=drawn.rate(reckon([m.success], mean, rng), m.success),
        iqm=reckon([m.returns], iqm, rng.spawn(1)[0]),
    )


def _point(
    k: int,
    curves: Mapping[int, Measured],
    gap: Mapping[str, Measured],
    rng: np.random.Generator,
    drawn: Drawn,
) -> Point:
    """Estimate a method's level after k episodes.

    Args:
        k: the number of episodes.
        curves: the method's scores, by number of episodes.
        gap: the scores of the references; empty if there is no gap to share.
        rng: draws the resamples.
        drawn: the tasks.
    """
    at, start = curves[k], curves[0]
    flat = np.sort(at.returns.ravel())
    level, labels = _level(at, rng, drawn), drawn.labels
    harmed = harm(at.returns, start.returns)
    return Point(
        episodes=k,
        returns=level.returns,
        iqm=level.iqm,
        success=level.success,
        normalised=_share(at, gap, rng, labels),
        worst_decile=float(flat[: max(1, len(flat) // 10)].mean()),
        harm_rate=drawn.rate(
            estimate([harmed], mean, rng.spawn(1)[0], clusters=labels), at.returns
        ),
        **price(k, at, labels),
    )


def _share(
    at: Measured,
    gap: Mapping[str, Measured],
    rng: np.random.Generator,
    labels: Clusters | None,
) -> Estimate:
    if not gap:
        return _UNDEFINED
    _, *ends = (gap[name].returns for name in levels(gap))
    return estimate([at.returns, *ends], share_of_gap, rng, clusters=labels)

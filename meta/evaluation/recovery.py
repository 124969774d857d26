"""Recovery from a change of the task in mid-episode: results and their estimates."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from meta.evaluation.statistics import (
    Clusters,
    Estimate,
    Scores,
    estimate,
    mean,
    resampled,
)
from meta.experience.schedule import Schedule
from meta.machine.versions import versions

WINDOW = 5
"""Episodes that a method adapts on."""
NEAR = 0.9
"""Share of the gain at which a method has recovered."""
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One method's response to the change."""

    during: tuple[Estimate, ...]
    """Reward at each step of the episode of the change, adapted to A."""
    rest: Estimate
    """Return of the steps of that episode from the change on."""
    before: Estimate
    """Return on A, adapted to it."""
    stale: Estimate
    """Return on B, adapted to A."""
    after: tuple[Estimate, ...]
    """Return on B once the episode of the change is over, and 1, 2 ... more are. Where
    the task does not stay B, every later episode has the changes of the first."""
    steps: Estimate | None
    """Env steps until it had recovered; none if it gains nothing by adapting to B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Every method's response to the same changes."""

    family: str
    split: str
    seed: int
    tasks: int
    horizon: int
    schedule: Schedule
    methods: Mapping[str, Recovery]
    policies: Mapping[str, list[dict[str, Any]]]
    objects: int = 0
    """As in `Evaluation`: what intervals resample with all their changes."""

    def to_json(self) -> str:
        """Everything, as JSON; what is not finite is null."""
        return json.dumps(self.to_dict() | {"versions": versions()}, indent=1)

    def to_dict(self) -> dict[str, Any]:
        """Everything; what is not finite is None."""
        return {k: _finite(v) for k, v in asdict(self).items()}


def _finite(x: object) -> object:
    match x:
        case dict():
            return {k: _finite(v) for k, v in x.items()}
        case list() | tuple():
            return [_finite(v) for v in x]
        case float() if not math.isfinite(x):
            return None
        case _:
            return x


def recovery(
    points: Mapping[str, Scores],
    during: Float[np.ndarray, "seed step task"],
    left: int,
    horizon: int,
    rng: np.random.Generator,
    labels: Clusters,
) -> Recovery:
    """Estimate how a method responded from its returns by (seed, task).

    Args:
        points: `rest`, `before`, `stale`, and `0`, `1` ... episodes after that of the
            change.
        during: rewards of the episode of the change.
        left: steps from the change to that episode's end.
        horizon: steps of an episode.
        rng: resamples.
        labels: the object of each task, where there are any.
    """
    since = [points[str(k)] for k in range(WINDOW + 1)]

    def level(scores: Scores) -> Estimate:
        return estimate([scores], mean, rng, clusters=labels)

    return Recovery(
        during=tuple(level(x) for x in during.swapaxes(0, 1)),
        rest=level(points["rest"]),
        before=level(points["before"]),
        stale=level(points["stale"]),
        after=tuple(level(x) for x in since),
        steps=_time(np.stack([points["stale"], *since]), left, horizon, rng, labels),
    )


def _time(
    scores: Float[np.ndarray, "point seed task"],
    left: int,
    horizon: int,
    rng: np.random.Generator,
    labels: Clusters | None = None,
) -> Estimate | None:
    """Env steps from the change until the mean has `NEAR` of its gain, if it gains.

    Changes, together with those of the same object, and whole seeds are resampled.
    """
    _, seeds, tasks = scores.shape

    def steps(means: Float[np.ndarray, "point"]) -> float:
        if means[-1] <= means[0]:
            return math.inf
        reached = means >= means[0] + NEAR * (means[-1] - means[0])
        # point 0 is the change itself; the next, what is left of the episode later
        return float(left + (int(reached.argmax()) - 1) * horizon)

    level = scores.mean(axis=(1, 2))
    drawn: list[float] = []
    gains: list[float] = []
    chosen, stretch = resampled(tasks, labels, rng, _RESAMPLES)
    for rows, picked in chosen:
        for row, some in zip(rows, picked, strict=True):
            own = scores[:, rng.integers(seeds, size=seeds)][..., some]
            means = own.mean((1, 2))
            drawn.append(steps(level + stretch[row] * (means - level)))
            gains.append(float(means[-1] - means[0]))
    value = steps(level)
    if not math.isfinite(value) or np.quantile(gains, 0.025) <= 0:
        return None
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Estimate(value=value, low=float(low), high=float(high))

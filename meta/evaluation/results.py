"""The results of an evaluation, and their JSON."""

import json
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meta.evaluation.leak import Leak
from meta.evaluation.measure import Ledger, Measured
from meta.evaluation.statistics import Estimate
from meta.machine.versions import versions
from meta.registry import CEILING, FLOORS

MIN_GAP = 0.1
"""Smallest gap from the robust baseline to the oracle, as a share of that from random
actions to the oracle, of which shares are given: less is noise divided by noise."""
MIN_ADMISSION = 0.3
"""Least such share of a family that takes several episodes to adapt to, where the
robust baseline remembers its own."""
THRESHOLDS = tuple(round(-1 + 0.1 * i, 1) for i in range(31))
"""Thresholds of the performance profiles: shares of the gap from the robust
baseline to the oracle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A method's return and success on the tasks."""

    returns: Estimate
    iqm: Estimate
    """Interquartile mean of the returns."""
    success: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Level):
    """One point of the adaptation curve."""

    episodes: int
    normalised: Estimate
    """Share of the gap from the robust baseline to the oracle; NaN without a gap."""
    worst_decile: float
    """Mean return over the tenth of all (seed, task) that went worst."""
    harm_rate: Estimate
    """Share of (seed, task) with a return below that of no adaptation."""
    during: Estimate
    """Mean return of the episodes that were adapted on; NaN where there are none."""
    cumulative: Estimate
    """Return of a trial: of all the episodes adapted on, and of one more after them."""


Curve = tuple[Point, ...]


def levels(names: Container[str]) -> tuple[str, str, str]:
    """Return the references: random, the robust baseline that there is, the oracle."""
    return "random", next((n for n in FLOORS if n in names), FLOORS[0]), CEILING


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The tasks whose objects are about as complex and as hard to grasp."""

    complexity: tuple[float, float]
    difficulty: tuple[float, float]
    """Range, from and to; see `tasks.objects.complexity`."""
    objects: Sequence[str]
    tasks: int
    returns: Mapping[str, Estimate]
    """Mean return of each of `BY_OBJECT`."""


POLICY, UNADAPTED = "policy", "unadapted"
"""Keys of the method under evaluation, after adapting and before."""
BY_OBJECT = (*FLOORS, UNADAPTED, POLICY, CEILING)
"""Columns of a cell: the policy before adaptation and after the most episodes, between
its baselines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An adaptation curve and what it must be seen beside."""

    family: str
    split: str
    seed: int
    tasks: int
    measure_episodes: int
    curve: Curve
    rivals: Mapping[str, Curve]
    """Curves of the other methods that adapt, by method."""
    baselines: Mapping[str, Level]
    """Levels of `levels`, as far as there are any."""
    improvement: Mapping[str, Estimate]
    """Probability that the policy, after the most episodes, does better on a task than
    another method does then."""
    ahead: Mapping[str, Estimate]
    """Return that it then earns more than another method on the same tasks."""
    profiles: Mapping[str, Sequence[float]]
    """Share of all (seed, task) above each of `THRESHOLDS`, after the most episodes."""
    admission: Estimate
    """(oracle - robust) / (oracle - random): how much knowing the task matters."""
    leaks: Sequence[Leak]
    """Tests of what the first observation gives away, one per hidden parameter."""
    ledgers: Mapping[str, Ledger]
    """Env steps of each method; `policy` is the method under evaluation."""
    policies: Mapping[str, list[dict[str, Any]]]
    """The policies that were measured, by method and training seed."""
    scores: Mapping[str, Mapping[int, Measured]]
    """Return and success of every (training seed, task), by method and number of
    episodes: everything else is computed from them."""
    task_hashes: Sequence[str]
    """Hash of each task, in the order of the scores."""
    success: str = ""
    """The family's definition of success."""
    grid: Sequence[Cell] = ()
    """Returns by complexity and difficulty, where tasks handle generated objects."""
    object: str | None = None
    """Name of what all tasks were about, if not the family's own objects."""
    foreign: Sequence[str] = ()
    """Names of the objects that the tasks were drawn from, if none of the policies was
    trained on them: the oracle, which was trained on others, is then no ceiling."""
    objects: int = 0
    """Number of objects, shapes or mechanisms that the tasks are about, which intervals
    resample with all their tasks; 0 where each task stands for itself."""

    @property
    def about(self) -> str:
        """The family, and the object it was given."""
        return f"{self.family} with {self.object}" if self.object else self.family

    @property
    def has_gap(self) -> bool:
        """True if knowing the task is worth enough to give shares of it."""
        return bool(self.admission.value >= MIN_GAP and not self.uncertain)

    @property
    def uncertain(self) -> bool:
        """True if it seems to, but the oracle may be no better than random actions."""
        unbounded = not math.isfinite(self.admission.low + self.admission.high)
        return bool(self.admission.value >= MIN_GAP and unbounded)

    @property
    def faults(self) -> int:
        """Episodes that a fault ended, of all methods."""
        return sum(ledger.faults for ledger in self.ledgers.values())

    @property
    def episodes_to_90(self) -> int | None:
        """Fewest measured episodes that close 90 % of the gap, if any do."""
        reached = [p.episodes for p in self.curve if p.normalised.value >= 0.9]
        return min(reached, default=None)

    def _subject(self) -> dict[str, Any]:
        foreign, objects = list(self.foreign), self.objects
        said = {"family": self.family, "success": self.success, "object": self.object}
        return said | {"objects": objects, "foreign": foreign}

    def to_json(self) -> str:
        """Everything, as JSON; what is not defined is null."""
        last = max(self.curve, key=lambda p: p.episodes)
        shares = {str(p.episodes): p.normalised for p in self.curve}
        return json.dumps(
            {
                **self._subject(),
                "split": self.split,
                "seed": self.seed,
                "tasks": self.tasks,
                "measure_episodes": self.measure_episodes,
                "curve": [_point_json(p) for p in self.curve],
                "rivals": {
                    name: [_point_json(p) for p in curve]
                    for name, curve in self.rivals.items()
                },
                "baselines": {n: _level_json(b) for n, b in self.baselines.items()},
                "improvement": _intervals(self.improvement),
                "ahead": _intervals(self.ahead),
                "profiles": {
                    "thresholds": list(THRESHOLDS),
                    **{name: list(above) for name, above in self.profiles.items()},
                },
                "normalised": _intervals(shares),
                "admission": _interval(self.admission),
                **_flat("harm_rate", last.harm_rate),
                "worst_decile": last.worst_decile,
                "grid": [cell_json(cell) for cell in self.grid],
                "episodes_to_90": self.episodes_to_90,
                "faults": self.faults,
                "leaks": [
                    asdict(leak) | {"told": leak.significant} for leak in self.leaks
                ],
                "ledgers": {name: asdict(x) for name, x in self.ledgers.items()},
                "policies": dict(self.policies),
                "task_hashes": list(self.task_hashes),
                "scores": {n: _scores_json(m) for n, m in self.scores.items()},
                "versions": versions(),
            },
            allow_nan=False,
        )


def _interval(e: Estimate) -> dict[str, float | None]:
    values = {"value": e.value, "low": e.low, "high": e.high}
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


def _intervals(found: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: _interval(e) for name, e in found.items()}


def _scores_json(by_episodes: Mapping[int, Measured]) -> list[dict[str, Any]]:
    return [
        {
            "episodes": k,
            "returns": measured.returns.tolist(),
            "success": measured.success.tolist(),
            "during": None if measured.during is None else measured.during.tolist(),
        }
        for k, measured in sorted(by_episodes.items())
    ]


def _flat(name: str, e: Estimate) -> dict[str, float | None]:
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {keys[k]: v for k, v in _interval(e).items()}


def _level_json(level: Level) -> dict[str, float | None]:
    return (
        _flat("return", level.returns)
        | _flat("return_iqm", level.iqm)
        | _flat("success", level.success)
    )


def cell_json(cell: Cell) -> dict[str, Any]:
    """A cell, as JSON has it."""
    return asdict(cell) | {"returns": _intervals(cell.returns)}


def _point_json(p: Point) -> dict[str, float | int | None]:
    return (
        {"episodes": p.episodes}
        | _level_json(p)
        | _flat("normalised", p.normalised)
        | _flat("harm_rate", p.harm_rate)
        | _flat("return_during", p.during)
        | _flat("return_cumulative", p.cumulative)
        | {"worst_decile": p.worst_decile}
    )

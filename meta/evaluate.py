"""How well a policy adapts, beside random, DR and oracle on the same tasks.

For each task and each k, the unadapted policy collects k episodes by sampling its
actions, adapts once on all of them, and is then measured on a fixed number of other
episodes acting by its mean. The k episodes are the first k of one collection, and all
methods and all k are measured from the same initial states.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from meta.checkpoint import Trained
from meta.measure import Bench, Ledger, Measured, stack
from meta.statistics import (
    Estimate,
    admission,
    estimate,
    harm,
    iqm,
    mean,
    share_of_gap,
)
from meta.train import simulator_threads
from meta.versions import versions
from tasks.registry import make_family


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How well a method does on the tasks."""

    returns: Estimate
    iqm: Estimate
    """Interquartile mean of the returns."""
    success: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Level):
    """One point of the adaptation curve."""

    episodes: int
    normalised: Estimate
    """Share of the gap between DR and oracle."""
    worst_decile: float
    """Mean return over the tenth of all (seed, task) that went worst."""
    harm_rate: Estimate
    """Share of (seed, task) with a return below that of no adaptation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An adaptation curve and what it must be seen beside."""

    family: str
    split: str
    seed: int
    tasks: int
    measure_episodes: int
    curve: tuple[Point, ...]
    baselines: Mapping[str, Level]
    """Of random, dr and oracle."""
    admission: Estimate
    """(oracle - DR) / (oracle - random): how much knowing the task matters."""
    ledger: Ledger
    policies: Mapping[str, list[dict[str, str | int]]]
    """What was measured as policy, dr and oracle, by training seed."""

    @property
    def episodes_to_90(self) -> int | None:
        """Fewest measured episodes that close 90 % of the gap, if any do."""
        reached = [p.episodes for p in self.curve if p.normalised.value >= 0.9]
        return min(reached, default=None)

    def to_json(self) -> str:
        """Everything, as JSON; what is not defined is null."""
        last = max(self.curve, key=lambda p: p.episodes)
        return json.dumps(
            {
                "family": self.family,
                "split": self.split,
                "seed": self.seed,
                "tasks": self.tasks,
                "measure_episodes": self.measure_episodes,
                "curve": [_point_json(p) for p in self.curve],
                "baselines": {n: _level_json(b) for n, b in self.baselines.items()},
                "normalised": {
                    str(p.episodes): _interval(p.normalised) for p in self.curve
                },
                "admission": _interval(self.admission),
                **_flat("harm_rate", last.harm_rate),
                "worst_decile": last.worst_decile,
                "episodes_to_90": self.episodes_to_90,
                "faults": self.ledger.faults,
                "env_steps": {
                    "adapt": self.ledger.adapt,
                    "measure": self.ledger.measure,
                },
                "policies": dict(self.policies),
                "versions": versions(),
            },
            indent=1,
            allow_nan=False,
        )


def evaluate(
    policies: Sequence[Trained],
    *,
    dr: Sequence[Trained],
    oracle: Sequence[Trained],
    split: str,
    tasks: int,
    episodes: Sequence[int] = (0, 1, 2, 3, 5, 10),
    seed: int = 0,
    measure_episodes: int = 5,
    threads: int = 0,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Measure the adaptation curve of a method and its baselines.

    Args:
        policies: one per training seed.
        dr: the robust baseline, one per training seed.
        oracle: the ceiling, one per training seed.
        split: where the tasks come from.
        tasks: number of tasks.
        episodes: the k of the curve.
        seed: decides the tasks and every random number.
        measure_episodes: episodes measured per task, seed and k.
        threads: simulator threads; 0 means one per CPU.
        device: what simulates; that of the policies.

    Raises:
        ValueError: for policies of different families or of the wrong method, or
            numbers that are not allowed.
    """
    _check_policies(policies, dr, oracle)
    _check_numbers(tasks, episodes, seed, measure_episodes)
    family = policies[0].cfg.family
    drawn = make_family(family).sample(split, seed, tasks)
    bench = Bench(drawn, seed, measure_episodes, max(episodes), threads, device)
    # harm is measured against no adaptation, whether or not it was asked for
    with simulator_threads():
        curves = stack([bench.curve(p, sorted({0, *episodes})) for p in policies])
        levels = _levels(bench, dr, oracle)
    ranked = [levels[name].returns for name in ("oracle", "dr", "random")]
    rng = np.random.default_rng(seed)
    return Evaluation(
        family=family,
        split=split,
        seed=seed,
        tasks=tasks,
        measure_episodes=measure_episodes,
        curve=tuple(_point(k, curves, levels, rng) for k in sorted(episodes)),
        baselines={name: _level(m, rng) for name, m in levels.items()},
        admission=estimate(ranked, admission, rng),
        ledger=bench.ledger,
        policies=_sources(policy=policies, dr=dr, oracle=oracle),
    )


def _levels(
    bench: Bench, dr: Sequence[Trained], oracle: Sequence[Trained]
) -> dict[str, Measured]:
    return {
        "random": stack([[bench.random()]])[0],
        "dr": stack([bench.curve(p, (0,)) for p in dr])[0],
        "oracle": stack([bench.curve(p, (0,)) for p in oracle])[0],
    }


def _level(m: Measured, rng: np.random.Generator) -> Level:
    return Level(
        returns=estimate([m.returns], mean, rng),
        success=estimate([m.success], mean, rng),
        iqm=estimate([m.returns], iqm, rng.spawn(1)[0]),
    )


def _point(
    k: int,
    curves: Mapping[int, Measured],
    levels: Mapping[str, Measured],
    rng: np.random.Generator,
) -> Point:
    at, start = curves[k], curves[0]
    flat = np.sort(at.returns.ravel())
    level = _level(at, rng)
    return Point(
        episodes=k,
        returns=level.returns,
        iqm=level.iqm,
        success=level.success,
        normalised=estimate(
            [at.returns, levels["dr"].returns, levels["oracle"].returns],
            share_of_gap,
            rng,
        ),
        worst_decile=float(flat[: max(1, len(flat) // 10)].mean()),
        harm_rate=estimate([harm(at.returns, start.returns)], mean, rng.spawn(1)[0]),
    )


def _check_policies(
    policies: Sequence[Trained], dr: Sequence[Trained], oracle: Sequence[Trained]
) -> None:
    if not (policies and dr and oracle):
        raise ValueError("need at least one policy, one DR and one oracle")
    families = {t.cfg.family for t in (*policies, *dr, *oracle)}
    if len(families) > 1:
        raise ValueError(
            "policy and baselines are of different families: "
            f"{', '.join(sorted(families))}"
        )
    methods = {t.cfg.method for t in policies}
    if len(methods) > 1:
        raise ValueError(
            "policies are pooled as training seeds of one method, got "
            f"{', '.join(sorted(methods))}"
        )
    for name, group in (("dr", dr), ("oracle", oracle)):
        for trained in group:
            if trained.cfg.method != name:
                raise ValueError(
                    f"{trained.source} was trained with method {trained.cfg.method!r}, "
                    f"not as the {name} baseline"
                )


def _check_numbers(
    tasks: int, episodes: Sequence[int], seed: int, measure_episodes: int
) -> None:
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    if tasks < 1 or measure_episodes < 1:
        raise ValueError(
            "tasks and measured episodes must be at least 1, got "
            f"{tasks} and {measure_episodes}"
        )
    if not episodes or min(episodes) < 0 or len(set(episodes)) < len(episodes):
        given = ", ".join(map(str, episodes)) or "none"
        raise ValueError(
            f"episodes to adapt on must be different numbers >= 0, got {given}"
        )


def _sources(**groups: Sequence[Trained]) -> dict[str, list[dict[str, str | int]]]:
    return {
        name: [
            {
                "source": t.source,
                "method": t.cfg.method,
                "seed": t.cfg.seed,
                "iteration": t.iteration,
                "env_steps": t.env_steps,
            }
            for t in group
        ]
        for name, group in groups.items()
    }


def _interval(e: Estimate) -> dict[str, float | None]:
    values = {"value": e.value, "low": e.low, "high": e.high}
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


def _flat(name: str, e: Estimate) -> dict[str, float | None]:
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {keys[k]: v for k, v in _interval(e).items()}


def _level_json(level: Level) -> dict[str, float | None]:
    return (
        _flat("return", level.returns)
        | _flat("return_iqm", level.iqm)
        | _flat("success", level.success)
    )


def _point_json(p: Point) -> dict[str, float | int | None]:
    return (
        {"episodes": p.episodes}
        | _level_json(p)
        | _flat("normalised", p.normalised)
        | _flat("harm_rate", p.harm_rate)
        | {"worst_decile": p.worst_decile}
    )

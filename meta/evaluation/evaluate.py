"""The evaluation of a policy beside its baselines, on the same tasks.

Random, DR, DR fine-tuned with the same episodes, PPO from scratch with them and the
oracle are always there; other methods that adapt, rivals, where they are given.

For each task and each k, the unadapted policy collects k episodes by sampling its
actions, adapts once on all of them, and is then measured on a fixed number of other
episodes acting by its mean. The k episodes are the first k of one collection, and all
methods and all k are measured from the same initial states.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from meta.evaluation.baselines import check_policies, sources
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.finetuned import TRIALS, tunable, tuned
from meta.evaluation.grid import by_object
from meta.evaluation.leak import probe_family
from meta.evaluation.measure import Bench, Ledger, Measured, Steps, stack
from meta.evaluation.price import price
from meta.evaluation.results import (
    BY_OBJECT,
    MIN_GAP,
    THRESHOLDS,
    UNADAPTED,
    Curve,
    Evaluation,
    Level,
    Point,
)
from meta.evaluation.statistics import (
    Estimate,
    Scores,
    bounded,
    estimate,
    harm,
    iqm,
    mean,
    performance_profile,
    probability_of_improvement,
    share_of_gap,
    value_of_knowing,
)
from meta.machine.devices import simulator_threads
from meta.registry import CEILING, FLOOR
from meta.training.trained import Trained
from tasks.contract import TaskFamily
from tasks.parameters import current_split
from tasks.registry import find_family
from tasks.task import Task

POLICY, LEVELS = "policy", ("random", FLOOR, CEILING)
"""Key of the method under evaluation, and keys of the references, which do not adapt
and are measured once."""
_UNDEFINED = Estimate(value=math.nan, low=math.nan, high=math.nan)


def evaluate(
    policies: Sequence[Trained],
    cfg: EvaluationCfg,
    *,
    dr: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure the adaptation curve of a method, its baselines and its rivals.

    Args:
        policies: one per training seed.
        cfg: tasks, episodes and random numbers.
        dr: the robust baseline, one per training seed; fine-tuned too. Without any, the
            unadapted policies are fine-tuned.
        oracle: the ceiling, one per training seed; without DR or it, no shares of the
            gap between them are given.
        rivals: other methods, one per method and training seed.
        progress: told how many policies are measured, and of how many; those tried to
            tune the baselines count too.

    Raises:
        ValueError: for policies of different families or of the wrong method, or an
            unknown split.
    """
    check_policies(policies, dr, oracle, rivals)
    family = find_family(policies[0].cfg.family, objects=cfg.objects)
    drawn = family.sample(cfg.split, cfg.seed, cfg.tasks)
    bench = Bench(drawn, cfg)
    most = max(cfg.episodes)
    base = tunable(dr, policies)[1]
    made = 2 * len(base) + TRIALS if most and base else 0
    done = Steps(len((*policies, *dr, *oracle, *rivals)) + made + 1, progress)
    groups = _methods(policies, dr, oracle, rivals, most, cfg.device, done)
    found, ledgers = _measured(bench, groups, cfg.episodes, done)
    return Evaluation(
        family=family.name,
        split=current_split(cfg.split),
        seed=cfg.seed,
        tasks=cfg.tasks,
        measure_episodes=cfg.measure_episodes,
        leaks=probe_family(family, cfg.split, cfg.seed),
        ledgers=ledgers,
        policies=sources(groups),
        scores=found,
        task_hashes=[task.hash for task in drawn],
        object=cfg.own and cfg.own.name,
        foreign=tuple(cfg.own.by_name) if cfg.own else (),
        **_estimates(found, cfg.episodes, family, drawn, cfg.seed),
    )


def _estimates(
    found: Mapping[str, Mapping[int, Measured]],
    episodes: Sequence[int],
    family: TaskFamily,
    tasks: Sequence[Task],
    seed: int,
) -> dict[str, Any]:
    """Return the fields of an evaluation that are estimated from the scores."""
    rng = np.random.default_rng(seed)
    curves = _curves(found, sorted(episodes), rng)
    last = {name: m[max(m)].returns for name, m in found.items()}
    levels = last | {UNADAPTED: found[POLICY][0].returns}
    return {
        "curve": curves.pop(POLICY),
        "rivals": curves,
        "baselines": {n: _level(found[n][0], rng) for n in LEVELS if n in found},
        "improvement": _improvement(last, rng),
        "profiles": _profiles(last),
        "admission": _admission(last, rng),
        "grid": by_object(
            tasks,
            [family.coordinates(task) for task in tasks],
            {n: levels[n] for n in BY_OBJECT if n in levels},
            rng,
        ),
    }


def _curves(
    found: Mapping[str, Mapping[int, Measured]],
    episodes: Sequence[int],
    rng: np.random.Generator,
) -> dict[str, Curve]:
    levels = {name: found[name][0] for name in LEVELS if name in found}
    gap = _has_gap({name: level.returns for name, level in levels.items()})
    return {
        name: tuple(_point(k, at, levels if gap else {}, rng) for k in episodes)
        for name, at in found.items()
        if name not in LEVELS
    }


def _admission(last: Mapping[str, Scores], rng: np.random.Generator) -> Estimate:
    if not all(name in last for name in LEVELS):
        return _UNDEFINED
    return estimate([last[n] for n in reversed(LEVELS)], value_of_knowing, rng)


def _improvement(
    last: Mapping[str, Scores], rng: np.random.Generator
) -> dict[str, Estimate]:
    return {
        name: bounded(
            estimate([last[POLICY], other], probability_of_improvement, rng),
            other.shape[1],
        )
        for name, other in last.items()
        if name != POLICY
    }


def _measured(
    bench: Bench,
    groups: Mapping[str, Sequence[Trained]],
    episodes: Sequence[int],
    done: Steps,
) -> tuple[dict[str, dict[int, Measured]], dict[str, Ledger]]:
    """Every method's scores by episodes of adaptation, and what they took."""
    ledgers = {name: Ledger() for name in ("random", *groups)}
    # harm is measured against no adaptation, whether or not it was asked for
    adapting = sorted({0, *episodes})
    found: dict[str, dict[int, Measured]] = {}
    with simulator_threads():
        for name, group in groups.items():
            ks = (0,) if name in LEVELS else adapting
            curves = done.after(bench.curve(p, ks, ledgers[name]) for p in group)
            found[name] = stack(list(curves))
        found["random"] = stack([[bench.random(ledgers["random"])]])
        done.step()
    return found, ledgers


def _methods(
    policies: Sequence[Trained],
    dr: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained],
    episodes: int,
    device: torch.device | str,
    done: Steps,
) -> Mapping[str, Sequence[Trained]]:
    """Everything that is measured, by method."""
    groups: dict[str, list[Trained]] = {POLICY: list(policies), FLOOR: list(dr)}
    name, base = tunable(dr, policies)
    if episodes and base:
        groups[name], groups["scratch"] = tuned(base, episodes, device, done)
    for trained in rivals:
        groups.setdefault(trained.cfg.method, []).append(trained)
    groups[CEILING] = list(oracle)
    return {name: group for name, group in groups.items() if group}


def _has_gap(last: Mapping[str, Scores]) -> bool:
    """Return whether knowing the task is worth enough to give shares of it."""
    if not all(name in last for name in LEVELS):
        return False
    known, robust, chance = (last[name].T for name in reversed(LEVELS))
    return bool(value_of_knowing(known, robust, chance) >= MIN_GAP)


def _profiles(last: Mapping[str, Scores]) -> dict[str, list[float]]:
    """Performance profiles of scores that are 0 at DR's mean and 1 at the oracle's."""
    if not _has_gap(last):
        return {}
    floor, ceiling = last[FLOOR].mean(), last[CEILING].mean()
    at = np.array([THRESHOLDS]) * (ceiling - floor) + floor
    return {n: performance_profile(x, at).tolist() for n, x in last.items()}


def _level(m: Measured, rng: np.random.Generator) -> Level:
    return Level(
        returns=estimate([m.returns], mean, rng),
        success=bounded(estimate([m.success], mean, rng), m.success.shape[1]),
        iqm=estimate([m.returns], iqm, rng.spawn(1)[0]),
    )


def _point(
    k: int,
    curves: Mapping[int, Measured],
    gap: Mapping[str, Measured],
    rng: np.random.Generator,
) -> Point:
    """Estimate a method's level after k episodes.

    Args:
        k: the number of episodes.
        curves: the method's scores, by number of episodes.
        gap: the scores of DR and oracle; empty if there is no gap to share.
        rng: draws the resamples.
    """
    at, start = curves[k], curves[0]
    flat = np.sort(at.returns.ravel())
    level = _level(at, rng)
    return Point(
        episodes=k,
        returns=level.returns,
        iqm=level.iqm,
        success=level.success,
        normalised=_share(at, gap, rng),
        worst_decile=float(flat[: max(1, len(flat) // 10)].mean()),
        harm_rate=bounded(
            estimate([harm(at.returns, start.returns)], mean, rng.spawn(1)[0]),
            at.returns.shape[1],
        ),
        **price(k, at),
    )


def _share(
    at: Measured, gap: Mapping[str, Measured], rng: np.random.Generator
) -> Estimate:
    if not gap:
        return _UNDEFINED
    ends = [gap[FLOOR].returns, gap[CEILING].returns]
    return estimate([at.returns, *ends], share_of_gap, rng)

"""The evaluation of a policy beside its baselines, on the same tasks.

Random, DR, DR fine-tuned with the same episodes, PPO from scratch with them and the
oracle are always there; other methods, rivals, where they are given.

For each task and each k, the unadapted policy collects k episodes by sampling its
actions, adapts once on all of them, and is then measured on a fixed number of other
episodes acting by its mean. The k episodes are the first k of one collection, and all
methods and all k are measured from the same initial states.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from meta.evaluation.baselines import check_policies, sources
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.finetuned import TRIALS, tunable, tuned
from meta.evaluation.grid import by_object
from meta.evaluation.leak import probe_family
from meta.evaluation.measure import Bench, Ledger, Measured, Steps, stack
from meta.evaluation.results import (
    BY_OBJECT,
    MIN_GAP,
    THRESHOLDS,
    UNADAPTED,
    Curve,
    Evaluation,
    Level,
    Point,
    levels,
)
from meta.evaluation.statistics import (
    Clusters,
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
from meta.registry import CEILING
from meta.training.trained import Trained
from tasks.contract import TaskFamily
from tasks.parameters import current_split
from tasks.registry import find_family
from tasks.task import Task

POLICY = "policy"
"""Key of the method under evaluation."""
_UNDEFINED = Estimate(value=math.nan, low=math.nan, high=math.nan)


def evaluate(
    policies: Sequence[Trained],
    cfg: EvaluationCfg,
    *,
    floor: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure the adaptation curve of a method, its baselines and its rivals.

    Args:
        policies: one per training seed.
        cfg: tasks, episodes and random numbers.
        floor: the robust baseline, one per training seed; fine-tuned too. Without any,
            the unadapted policies are fine-tuned.
        oracle: the ceiling, one per training seed; without floor or ceiling, no shares
            of the gap between them are given.
        rivals: other methods, one per method and training seed.
        progress: told how many policies are measured, and of how many; those tried to
            tune the baselines count too.

    Raises:
        ValueError: for policies of different families or of the wrong method, or an
            unknown split.
    """
    check_policies(policies, floor, oracle, rivals)
    family = find_family(policies[0].cfg.family, objects=cfg.objects)
    drawn = family.sample(cfg.split, cfg.seed, cfg.tasks)
    bench = Bench(drawn, cfg)
    most = max(cfg.episodes)
    base = tunable(floor, policies)[1]
    made = 2 * len(base) + TRIALS if most and base else 0
    done = Steps(len((*policies, *floor, *oracle, *rivals)) + made + 1, progress)
    groups = _methods(policies, floor, oracle, rivals, most, cfg.device, done)
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
        objects=len({*map(family.object_of, drawn)} - {""}),
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
    labels = [family.object_of(task) for task in tasks]
    curves = _curves(found, sorted(episodes), rng, labels)
    last = {name: m[max(m)].returns for name, m in found.items()}
    shown = last | {UNADAPTED: found[POLICY][0].returns}
    return {
        "curve": curves.pop(POLICY),
        "rivals": curves,
        "baselines": {
            n: _level(found[n][0], rng, labels) for n in levels(found) if n in found
        },
        "improvement": _improvement(last, rng, labels),
        "profiles": _profiles(last),
        "admission": _admission(last, rng, labels),
        "grid": by_object(
            tasks,
            [family.coordinates(task) for task in tasks],
            {n: shown[n] for n in BY_OBJECT if n in shown},
            rng,
            labels,
        ),
    }


def _curves(
    found: Mapping[str, Mapping[int, Measured]],
    episodes: Sequence[int],
    rng: np.random.Generator,
    labels: Clusters,
) -> dict[str, Curve]:
    ends = {name: found[name][0] for name in levels(found) if name in found}
    gap = _has_gap({name: level.returns for name, level in ends.items()})
    return {
        name: tuple(_point(k, at, ends if gap else {}, rng, labels) for k in episodes)
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
    last: Mapping[str, Scores], rng: np.random.Generator, labels: Clusters
) -> dict[str, Estimate]:
    chance = probability_of_improvement
    beats = partial(estimate, statistic=chance, rng=rng, clusters=labels)
    return {
        name: bounded(beats([last[POLICY], other]), other.shape[1])
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
            ks = (0,) if name in levels(groups) else adapting
            curves = done.after(bench.curve(p, ks, ledgers[name]) for p in group)
            found[name] = stack(list(curves))
        found["random"] = stack([[bench.random(ledgers["random"])]])
        done.step()
    return found, ledgers


def _methods(
    policies: Sequence[Trained],
    floor: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained],
    episodes: int,
    device: torch.device | str,
    done: Steps,
) -> Mapping[str, Sequence[Trained]]:
    """Everything that is measured, by method."""
    groups: dict[str, list[Trained]] = {POLICY: list(policies)}
    groups |= {t.cfg.method: list(floor) for t in floor[:1]}
    name, base = tunable(floor, policies)
    if episodes and base:
        groups[name], groups["scratch"] = tuned(base, episodes, device, done)
    for trained in rivals:
        groups.setdefault(trained.cfg.method, []).append(trained)
    groups[CEILING] = list(oracle)
    return {name: group for name, group in groups.items() if group}


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


def _level(
    m: Measured, rng: np.random.Generator, labels: Clusters | None = None
) -> Level:
    reckon = partial(estimate, clusters=labels)
    return Level(
        returns=reckon([m.returns], mean, rng),
        success=bounded(reckon([m.success], mean, rng), m.success.shape[1]),
        iqm=reckon([m.returns], iqm, rng.spawn(1)[0]),
    )


def _point(
    k: int,
    curves: Mapping[int, Measured],
    gap: Mapping[str, Measured],
    rng: np.random.Generator,
    labels: Clusters,
) -> Point:
    """Estimate a method's level after k episodes.

    Args:
        k: the number of episodes.
        curves: the method's scores, by number of episodes.
        gap: the scores of the references; empty if there is no gap to share.
        rng: draws the resamples.
        labels: what each task is about.
    """
    at, start = curves[k], curves[0]
    flat = np.sort(at.returns.ravel())
    level = _level(at, rng, labels)
    harmed = harm(at.returns, start.returns)
    return Point(
        episodes=k,
        returns=level.returns,
        iqm=level.iqm,
        success=level.success,
        normalised=_share(at, gap, rng, labels),
        worst_decile=float(flat[: max(1, len(flat) // 10)].mean()),
        harm_rate=bounded(
            estimate([harmed], mean, rng.spawn(1)[0], clusters=labels),
            at.returns.shape[1],
        ),
    )


def _share(
    at: Measured,
    gap: Mapping[str, Measured],
    rng: np.random.Generator,
    labels: Clusters,
) -> Estimate:
    if not gap:
        return _UNDEFINED
    _, *ends = (gap[name].returns for name in levels(gap))
    return estimate([at.returns, *ends], share_of_gap, rng, clusters=labels)

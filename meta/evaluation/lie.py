"""The lie test: does it matter to know a hidden parameter?

The oracle acts on the task as it is, but what it observes of one hidden parameter is
the value of another task, and everything else is the truth. What it then loses, as a
share of what it earns more than random actions do, is what knowing that parameter is
worth. A parameter of which a lie costs less than `MATTERS` is scenery: tasks differ in
it, and a policy has nothing to find out about it.

Truth and lies are measured from the same initial states. Who is told what is drawn
several times, always among tasks whose value is another one.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from meta.evaluation.baselines import sources
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import MEASURE, Bench, Ledger, Steps
from meta.evaluation.statistics import (
    Clusters,
    Estimate,
    Scores,
    estimate,
    mean,
    share_lost,
)
from meta.experience.rollout import collect
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.machine.versions import versions
from meta.registry import CEILING
from meta.training.trained import Trained
from policies.acting import RecurrentPolicy, Transition, with_memory
from policies.distribution import Distribution
from tasks.contract import TaskFamily
from tasks.parameters import current_split
from tasks.registry import find_family, make_env
from tasks.task import Task

CHANCE = "random"
"""Key of the scores of random actions."""
MATTERS = 0.03
"""Smallest loss at which a parameter matters."""
MARKED_ON = "held-out"
"""Split that a family's marks of `scenery` are about."""
SHUFFLES, EPISODES = 3, 1
"""Times that the lies are dealt out anew, and episodes measured per task and seed."""
Features = Float[Tensor, "task features"]
"""Hidden parameters as the oracle observes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """The price of a lie about one hidden parameter."""

    parameter: str
    loss: Estimate
    """Share of the range from random actions to the oracle that is lost."""
    returns: Estimate
    """Return of the oracle that is lied to."""
    varies: bool
    """False if all tasks have the same value, so that no lie can be told."""
    scenery: bool
    """True if the family calls the parameter scenery."""

    @property
    def matters(self) -> bool:
        """True if the lie costs enough."""
        return self.loss.value >= MATTERS

    @property
    def contradicts(self) -> bool:
        """True if the whole interval is on the other side than the family's mark."""
        if self.scenery:
            return self.loss.low >= MATTERS
        return self.varies and self.loss.high < MATTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lies:
    """The price of a lie about each hidden parameter of a family."""

    family: str
    split: str
    seed: int
    tasks: int
    measure_episodes: int
    shuffles: int
    objects: int
    """Number of objects that the tasks share, which intervals resample; 0 if none."""
    oracle: Estimate
    """Return of the oracle that is told the truth."""
    random: Estimate
    """Return of random actions."""
    lies: Sequence[Lie]
    policies: Mapping[str, list[dict[str, Any]]]
    scores: Mapping[str, Scores]
    """Return of every (training seed, task): of the truth, and of each lie."""
    task_hashes: Sequence[str]

    @property
    def contradicted(self) -> list[Lie]:
        """The parameters whose marks are wrong, on the split that marks are about."""
        return [x for x in self.lies if x.contradicts and self.split == MARKED_ON]

    def to_json(self) -> str:
        """Everything, as JSON; what is not finite is null."""
        found = asdict(self) | {
            "oracle": _interval(self.oracle),
            "random": _interval(self.random),
            "lies": [
                asdict(x)
                | {"loss": _interval(x.loss), "returns": _interval(x.returns)}
                | {"matters": x.matters}
                for x in self.lies
            ],
            "scores": {name: x.tolist() for name, x in self.scores.items()},
            "versions": versions(),
        }
        return json.dumps(found, allow_nan=False)


def lie_test(
    oracle: Sequence[Trained],
    cfg: EvaluationCfg,
    *,
    shuffles: int = SHUFFLES,
    progress: Callable[[int, int], None] | None = None,
) -> Lies:
    """Measure what an oracle loses when it is lied to about each hidden parameter.

    Args:
        oracle: one per training seed.
        cfg: tasks, episodes to measure and random numbers; nothing adapts.
        shuffles: times that the lies are dealt out anew.
        progress: told how many rollouts are done, and of how many.

    Raises:
        ValueError: for no oracle, policies that do not observe the hidden parameters or
            are of several families, fewer than one shuffle, or an unknown split.
    """
    _check(oracle, shuffles)
    family = find_family(oracle[0].cfg.family, objects=cfg.objects)
    tasks = family.sample(cfg.split, cfg.seed, cfg.tasks)
    rng = np.random.default_rng(cfg.seed)
    told = dict(_told(family, tasks, shuffles, rng))
    bench = Bench(tasks, cfg)
    rollouts = len(bench.parts) * len(oracle) * sum(map(len, told.values()))
    with simulator_threads():
        scores = _scores(bench, oracle, told, Steps(rollouts, progress))
        scores[CHANCE] = bench.random(Ledger()).returns.double().numpy()[None]
    labels = [family.object_of(task) for task in tasks]
    return Lies(
        family=family.name,
        split=current_split(cfg.split),
        seed=cfg.seed,
        tasks=cfg.tasks,
        measure_episodes=cfg.measure_episodes,
        shuffles=shuffles,
        objects=len({*labels} - {""}),
        oracle=estimate([scores[CEILING]], mean, rng, clusters=labels),
        random=estimate([scores[CHANCE]], mean, rng, clusters=labels),
        lies=_lies(family, scores, labels, rng),
        policies=sources({CEILING: oracle}),
        scores=scores,
        task_hashes=[task.hash for task in tasks],
    )


def _check(oracle: Sequence[Trained], shuffles: int) -> None:
    """Refuse what no lie can be told to, or no number of lies."""
    if not oracle:
        raise ValueError("need at least one oracle to lie to, got none")
    for trained in oracle:
        if not trained.cfg.told:
            raise ValueError(
                f"{trained.source} was trained with method {trained.cfg.method!r}, "
                "which does not observe the hidden parameters: no lie can be told to it"
            )
    if len(names := sorted({t.cfg.family for t in oracle})) > 1:
        raise ValueError(f"oracles are of different families: {', '.join(names)}")
    if shuffles < 1:
        raise ValueError(f"lies are dealt out at least once, got {shuffles} shuffles")


def _told(
    family: TaskFamily, tasks: Sequence[Task], shuffles: int, rng: np.random.Generator
) -> Iterator[tuple[str, list[Features]]]:
    """Yield what the oracle is told: the truth, then the lies about each parameter.

    A parameter that all tasks have the same value of is left out.
    """
    values = family.values(tasks)
    truth = family.reveal(values)
    yield CEILING, [truth]
    for p in family.hidden:
        numbers = values[p.name]
        if (numbers == numbers[0]).all():
            continue
        others = [_others(numbers.numpy(), family.team, rng) for _ in range(shuffles)]
        lies = [{**values, p.name: numbers[other]} for other in others]
        yield p.name, [family.reveal(lie) for lie in lies]


def _others(
    numbers: NDArray[np.float32], team: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw for each task another one, whose value is different.

    The agents of a team are told the same lie.
    """
    own = numbers[::team]
    drawn = [rng.choice(np.flatnonzero(own != x)) for x in own]
    return np.repeat(np.array(drawn) * team, team)[: len(numbers)]


def _scores(
    bench: Bench,
    oracle: Sequence[Trained],
    told: Mapping[str, Sequence[Features]],
    done: Steps,
) -> dict[str, Scores]:
    """Return the mean return of every (seed, task), over episodes and shuffles."""
    each, parts, device = bench.measure_episodes, bench.parts, bench.device
    shape = len(oracle), sum(len(part) for _, part in parts)
    found = {name: np.zeros(shape) for name in told}
    for index, part in parts:
        rows = slice(index, index + len(part))
        env = make_env(
            bench.family, worlds=len(part) * each, oracle=True, threads=bench.threads
        )
        env.assign([task for task in part for _ in range(each)])
        for seed, trained in enumerate(oracle):
            act = with_memory(trained.begin(len(part)).act)
            for name, shuffles in told.items():
                for features in shuffles:
                    mine = features[rows].repeat_interleave(each, dim=0)
                    lied_to = _lied_to(act, mine.to(device))
                    rng = derived_generator(bench.seed, MEASURE, index, device=device)
                    returns = collect(env, lied_to, rng, explore=False).returns
                    per_task = returns.reshape(-1, each).mean(1).double().cpu().numpy()
                    found[name][seed, rows] += per_task / len(shuffles)
                    done.step()
    return found


def _lied_to(act: RecurrentPolicy, told: Float[Tensor, "world f"]) -> RecurrentPolicy:
    """Return the policy, which observes what it is told of the hidden parameters."""

    def lied(obs: Tensor) -> Tensor:
        return torch.cat([obs[:, : -told.shape[1]], told], dim=-1)

    def policy(obs: Tensor, memory: Tensor) -> Distribution:
        return act.policy(lied(obs), memory)

    def watch(memory: Tensor, step: Transition) -> Tensor:
        seen = step._replace(obs=lied(step.obs), next_obs=lied(step.next_obs))
        return act.watch(memory, seen)

    return act._replace(policy=policy, watch=watch)


def _lies(
    family: TaskFamily,
    scores: Mapping[str, Scores],
    labels: Clusters,
    rng: np.random.Generator,
) -> list[Lie]:
    truth, chance = scores[CEILING], scores[CHANCE]
    found: list[Lie] = []
    for p in family.hidden:
        # told no lie, it loses nothing
        lied_to = scores.get(p.name, truth)
        # an oracle is compared with itself, so that seeds are resampled together
        losses = [truth - lied_to, truth, chance]
        found.append(
            Lie(
                parameter=p.name,
                loss=estimate(losses, share_lost, rng, clusters=labels),
                returns=estimate([lied_to], mean, rng, clusters=labels),
                varies=p.name in scores,
                scenery=p.name in family.scenery,
            )
        )
    return found


def _interval(e: Estimate) -> dict[str, float | None]:
    ends = {"value": e.value, "low": e.low, "high": e.high}
    return {k: v if math.isfinite(v) else None for k, v in ends.items()}

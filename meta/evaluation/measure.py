"""Policies measured on fixed tasks, from the same initial states."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.statistics import Scores
from meta.experience.batch import limit_episodes
from meta.experience.rollout import Experience, Rollout, by_task, collect
from meta.learner import sequential, turns
from meta.machine.seeds import derived_generator
from meta.training.trained import Adapted, Trained
from policies.acting import Act
from policies.gaussian import Gaussian
from tasks.contract import Worlds, check_teams
from tasks.registry import find_family, make_env
from tasks.task import Task

ADAPT, MEASURE, CHANCE = 0, 1, 2
"""Streams of random numbers."""


class Row(NamedTuple):
    """A point of one policy's adaptation curve, by task."""

    episodes: int
    """Episodes of adaptation."""
    returns: Float[Tensor, "task"]
    success: Float[Tensor, "task"]
    during: Float[Tensor, "task"] | None = None
    """Mean return of the adapting episodes themselves; none without any."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Env steps and episodes that one method spent, adapting and measuring apart."""

    adapt: int = 0
    """Env steps to adapt on."""
    measure: int = 0
    """Env steps to measure."""
    adapt_episodes: int = 0
    measure_episodes: int = 0
    faults: int = 0
    """Episodes that a fault ended, of both kinds; they count as they are."""

    def book(self, rollout: Rollout, *, adapting: bool) -> None:
        """Enter a rollout."""
        steps, episodes = rollout.env_steps, len(rollout.fault)
        if adapting:
            self.adapt, self.adapt_episodes = (
                self.adapt + steps,
                self.adapt_episodes + episodes,
            )
        else:
            self.measure, self.measure_episodes = (
                self.measure + steps,
                self.measure_episodes + episodes,
            )
        self.faults += int(rollout.fault.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Mean return and success of every (seed, task)."""

    returns: Scores
    success: Scores
    during: Scores | None = None
    """Mean return of the episodes that were adapted on; none without any."""


Point = tuple[Adapted, Float[Tensor, "task"]]
"""A policy after some episodes of adaptation, and their mean returns."""

T = TypeVar("T")


class Steps:
    """A count of what is done, which tells of every step.

    Args:
        total: number of steps in all.
        tell: told how many are done, and of how many.
    """

    def __init__(
        self, total: int, tell: Callable[[int, int], None] | None = None
    ) -> None:
        self.total = total
        self.done = 0
        self._tell = tell

    def step(self) -> None:
        """Count one more."""
        self.done += 1
        if self._tell:
            self._tell(self.done, self.total)

    def after(self, results: Iterable[T]) -> Iterator[T]:
        """Yield results, with a step after each."""
        for result in results:
            self.step()
            yield result


class Bench:
    """Fixed tasks and random numbers on which any policy is measured."""

    def __init__(self, tasks: Sequence[Task], cfg: EvaluationCfg) -> None:
        self.seed = cfg.seed
        self.device = torch.device(cfg.device)
        self.family = find_family(tasks[0].family, self.device, cfg.objects)
        self.measure_episodes = cfg.measure_episodes
        self.threads = cfg.threads
        self._envs: dict[tuple[int, bool], Worlds] = {}
        # the same parts for every method: each part has its own random numbers
        most = max(*cfg.episodes, cfg.measure_episodes)
        check_teams(self.family, len(tasks))
        team = self.family.team
        size = team * max(1, self.family.max_worlds // most // team)
        self.parts = [(i, tasks[i : i + size]) for i in range(0, len(tasks), size)]

    def curve(
        self, trained: Trained, episodes: Sequence[int], ledger: Ledger
    ) -> list[Row]:
        """Measure after each number of episodes k, by task."""
        adapts = trained.learner.inner_steps > 0
        most = max(episodes) if adapts else 0
        found: dict[int, list[Row]] = {}
        for index, part in self.parts:
            measuring = self._env(trained, part, self.measure_episodes)
            start = trained.begin(len(part))
            after = self._after(start, part, index, most, ledger) if most else None
            for k in episodes if adapts else (0,):
                adapted, during = after(k) if k and after else (start, None)
                returns, success = self._measure(measuring, adapted.act, index, ledger)
                row = Row(k, returns, success, during)
                found.setdefault(k, []).append(row)
        if adapts:
            return [_joined(found[k]) for k in episodes]
        # a policy that does not adapt scores the same after any number of episodes, and
        # in them
        same = _joined(found[0])
        return [Row(k, *same[1:3], same.returns if k else None) for k in episodes]

    def _after(
        self,
        start: Adapted,
        part: Sequence[Task],
        index: int,
        most: int,
        ledger: Ledger,
    ) -> Callable[[int], Point]:
        """Return what gives the policy after k episodes, at most `most`.

        All k have the first episodes of one collection, unless the later ones depend on
        how many there are: those of several inner steps.
        """
        learner = start.policy.learner
        if sequential(learner):
            stages, each = self._in_turn(start, part, index, [1] * most, ledger)
            return lambda k: (stages[k], each[:, :k].mean(1))
        if learner.inner_steps > 1:

            def anew(k: int) -> Point:
                sizes = [t.stop - t.start for t in turns(learner, k)]
                stages, each = self._in_turn(start, part, index, sizes, ledger)
                return stages[-1], each.mean(1)

            return anew
        rng = self._rng(ADAPT, index)
        unadapted, returns = self._turn(start, part, most, rng, ledger)

        def first(k: int) -> Point:
            limit = torch.full((len(part),), k, device=self.device)
            adapted = start.after(limit_episodes(unadapted, limit))
            return adapted, returns[:, :k].mean(1)

        return first

    def _in_turn(
        self,
        start: Adapted,
        part: Sequence[Task],
        index: int,
        sizes: Sequence[int],
        ledger: Ledger,
    ) -> tuple[list[Adapted], Float[Tensor, "task episode"]]:
        """Adapt in turns of so many episodes, each played by what the last left."""
        rng = self._rng(ADAPT, index)
        stages, earned = [start], list[Tensor]()
        for size in sizes:
            lived, returns = self._turn(stages[-1], part, size, rng, ledger)
            stages.append(stages[-1].after(lived))
            earned.append(returns)
        return stages, torch.cat(earned, dim=1)

    def _turn(
        self,
        adapted: Adapted,
        part: Sequence[Task],
        size: int,
        rng: torch.Generator,
        ledger: Ledger,
    ) -> tuple[Experience, Float[Tensor, "task episode"]]:
        """Collect episodes to adapt on, and their returns."""
        env = self._env(adapted.policy, part, size)
        rollout = collect(env, adapted.explore, rng)
        ledger.book(rollout, adapting=True)
        returns = rollout.returns.reshape(len(part), size).cpu()
        return by_task(rollout, len(part)), returns

    def random(self, ledger: Ledger) -> Row:
        """Uniform actions."""
        parts: list[Row] = []
        for index, part in self.parts:
            env = self._env(None, part, self.measure_episodes)
            rng = self._rng(CHANCE, index)

            def act(
                obs: Tensor,
                size: int = env.action_dim,
                rng: torch.Generator = rng,
            ) -> Gaussian:
                u = torch.rand(len(obs), size, generator=rng, device=obs.device)
                action = 2 * u - 1
                return Gaussian(action, torch.zeros_like(action))

            parts.append(Row(0, *self._measure(env, act, index, ledger)))
        return _joined(parts)

    def _measure(
        self, env: Worlds, act: Act, index: int, ledger: Ledger
    ) -> tuple[Tensor, Tensor]:
        rollout = collect(env, act, self._rng(MEASURE, index), explore=False)
        ledger.book(rollout, adapting=False)
        shape = (-1, self.measure_episodes)
        return (
            rollout.returns.reshape(shape).mean(1).cpu(),
            rollout.success.float().reshape(shape).mean(1).cpu(),
        )

    def _env(self, trained: Trained | None, part: Sequence[Task], each: int) -> Worlds:
        worlds = len(part) * each
        oracle = trained is not None and trained.cfg.told
        if (worlds, oracle) not in self._envs:
            self._envs[worlds, oracle] = make_env(
                self.family, worlds=worlds, oracle=oracle, threads=self.threads
            )
        env = self._envs[worlds, oracle]
        env.assign([task for task in part for _ in range(each)])
        return env

    def _rng(self, stream: int, index: int) -> torch.Generator:
        return derived_generator(self.seed, stream, index, device=self.device)


def stack(
    curves: Sequence[Sequence[Row]],
) -> dict[int, Measured]:
    """Curves of several seeds, by k."""
    return {
        rows[0].episodes: Measured(
            returns=np.stack([row.returns.double().numpy() for row in rows]),
            success=np.stack([row.success.double().numpy() for row in rows]),
            during=_stacked([row.during for row in rows]),
        )
        for rows in zip(*curves, strict=True)
    }


def _stacked(during: Sequence[Tensor | None]) -> Scores | None:
    there = [x.double().numpy() for x in during if x is not None]
    return np.stack(there) if there else None


def _joined(parts: Sequence[Row]) -> Row:
    during = [row.during for row in parts if row.during is not None]
    return Row(
        parts[0].episodes,
        torch.cat([row.returns for row in parts]),
        torch.cat([row.success for row in parts]),
        torch.cat(during) if during else None,
    )

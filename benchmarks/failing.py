"""Measure what adapting regains when a team-mate fails.

    python -m benchmarks.failing shove --policies shipped:shove shipped:shove-explore

All agents live five episodes and adapt. Then one of them loses a part of its strength:
all that it does is done by so much less, and none is told. All live on, and keep the
last five episodes, as in `pliant evaluate --change`. Either all adapt to them, or the
others alone, and the one that fails goes on as before. Each agent fails in turn, and
the mean counts. `--again FILE ...` prints what was written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.study import text_of
from benchmarks.teams import METHODS, Study
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import ADAPT, MEASURE
from meta.evaluation.statistics import estimate, mean
from meta.experience.rollout import Experience, by_task, collect, some_episodes
from meta.learner import sequential
from meta.library.embedding import joined
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Adapted, Trained, load_trained, shipped_policies
from tasks.contract import Step, TaskFamily, Worlds
from tasks.registry import find_family, make_env
from tasks.rows import AGENT
from tasks.task import Task

KEPT, LIVED = 5, (1, 5)
"""Episodes that are kept, and those lived since the failure."""


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of the study."""

    policies: tuple[str, ...] = ()
    """Policies that adapt."""
    strength: float = 0.6
    """Share of its strength that the failing agent keeps."""
    measure_episodes: int = 2
    """Measured episodes of each team."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    if not (o.again or o.policies):
        raise SystemExit("name the policies: --policies shipped:shove ...")
    for raw in o.studies(lambda: study(o)):
        print_table(raw)


def study(o: Options) -> dict[str, Any]:
    """Measure the policies of one family on the same teams."""
    family = find_family(o.family)
    tasks = family.sample(o.split, o.seed, o.teams * family.team)
    returns: dict[str, dict[str, list[float]]] = {}
    others = [n for m in METHODS for n in shipped_policies(family.name, m)]
    with simulator_threads():
        for spec in (*o.policies, *(f"shipped:{name}" for name in others)):
            returns[spec] = _Bench(o, family, tasks, load_trained(spec)).measured()
    return {
        "family": family.name,
        "split": o.split,
        "seed": o.seed,
        "teams": o.teams,
        "strength": o.strength,
        "returns": returns,
    }


class Weakened:
    """Worlds in which some rows do less than they are told to.

    Args:
        env: the worlds.
        strength: of each row, the share of its actions that is done.
    """

    def __init__(self, env: Worlds, strength: Tensor) -> None:
        self._env, self._strength = env, strength[:, None]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever it is)
        """Return what the worlds have."""
        return getattr(self._env, name)

    def step(self, action: Tensor) -> Step:
        """Advance every world, by weakened actions."""
        return self._env.step(self._strength * action.clamp(-1, 1))


class _Bench:
    """One policy on the teams."""

    def __init__(
        self, o: Options, family: TaskFamily, tasks: Sequence[Task], policy: Trained
    ) -> None:
        if sequential(policy.learner):
            raise SystemExit(f"{policy.source} plays its episodes one after another")
        self.o, self.family, self.tasks, self.policy = o, family, tasks, policy
        cfg = EvaluationCfg(seed=o.seed, threads=o.threads)
        self.threads, self.start = cfg.threads, policy.begin(len(tasks))

    def measured(self) -> dict[str, list[float]]:
        """Return each team's mean return, by what has happened to it."""
        adapts = self.policy.learner.inner_steps > 0
        before = [self._lived(None)] if adapts else []
        sound = self.start.after(*before) if adapts else self.start
        found = {"sound": [self._earned(sound, None)]}
        for failing in self.family.agents:
            found.setdefault("failing", []).append(self._earned(sound, failing))
            for name, adapted in self._adapted(sound, failing, *before):
                found.setdefault(name, []).append(self._earned(adapted, failing))
        return {name: np.mean(each, axis=0).tolist() for name, each in found.items()}

    def _adapted(
        self, sound: Adapted, failing: str, *before: Experience
    ) -> Iterator[tuple[str, Adapted]]:
        """Yield who adapts, after how many episodes since the failure, and to what."""
        for lived in before:
            since = self._lived(failing)
            for k in LIVED:
                kept = (
                    some_episodes(lived, slice(k, KEPT)),
                    some_episodes(since, slice(k)),
                )
                after = self.start.after(joined(kept, axis=1))
                yield f"all {k}", after
                yield f"others {k}", self._kept(after, sound, failing)

    def _worlds(self, each: int, failing: str | None) -> Worlds:
        told = self.policy.cfg.told
        rows = [task for task in self.tasks for _ in range(each)]
        env = make_env(self.family, worlds=len(rows), oracle=told, threads=self.threads)
        env.assign(rows)
        whose = [task.parameters[AGENT] for task in rows]
        strength = [self.o.strength if name == failing else 1.0 for name in whose]
        return cast(Worlds, Weakened(env, torch.tensor(strength)))

    def _lived(self, failing: str | None) -> Experience:
        rng = derived_generator(self.o.seed, ADAPT, int(failing is not None))
        rollout = collect(self._worlds(KEPT, failing), self.start.explore, rng)
        return by_task(rollout, len(self.tasks))

    def _earned(self, adapted: Adapted, failing: str | None) -> list[float]:
        each = self.o.measure_episodes
        rng = derived_generator(self.o.seed, MEASURE, 0)
        env = self._worlds(each, failing)
        returns = collect(env, adapted.act, rng, explore=False).returns
        return returns.reshape(-1, self.family.team * each).mean(1).tolist()

    def _kept(self, after: Adapted, before: Adapted, failing: str) -> Adapted:
        """Return a team in which the failing agent is as it was."""
        was = torch.tensor([task.parameters[AGENT] == failing for task in self.tasks])
        mixed = {
            name: torch.where(was.reshape(-1, *[1] * (new.ndim - 1)), old, new)
            for name, new in after.adaptation.items()
            for old in [before.adaptation[name]]
        }
        return after._replace(adaptation=mixed)


def print_table(raw: dict[str, Any]) -> None:
    """Print what policies earn before and after the failure, and what is regained."""
    rng = np.random.default_rng(raw["seed"])
    print(
        f"{raw['family']}, {raw['split']}, {raw['teams']} teams, seed {raw['seed']}, "
        f"strength {raw['strength']:g}\n"
    )
    print(
        "| policy | sound | one fails | episodes since | others adapt | regained | "
        "all adapt | regained |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for spec, scores in raw["returns"].items():
        name, rows = (
            spec.removeprefix("shipped:"),
            {k: np.array(v) for k, v in scores.items()},
        )
        first = [name, f"{rows['sound'].mean():.2f}", f"{rows['failing'].mean():.2f}"]
        if "all 1" not in rows:
            print(f"| {' | '.join(first)} | - | | | | |")
            continue
        for k in LIVED:
            cells = [*first, str(k)]
            for who in ("others", "all"):
                got = rows[f"{who} {k}"]
                gain = estimate([np.array([got - rows["failing"]])], mean, rng)
                cells += [f"{got.mean():.2f}", text_of(gain)]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

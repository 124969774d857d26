"""Recovery of a method whose task changes in the middle of an episode.

A robot meets task A; then, in the course of an episode, the task becomes B: another
friction, another frame, whatever matters (`changes.py`), at once or by and by
(`meta.experience.schedule`). The robot keeps the last `WINDOW` episodes of its
unadapted policy and adapts on them, as in any evaluation; for some time they hold what
is no longer true. Three things are measured, by the mean action and apart from those:

* the rest of the episode of the change, adapted to A: what a method that infers within
  an episode can save, and others cannot;
* episodes of B, still adapted to A: what the change costs;
* episodes of B after each further episode, until the window holds nothing but B.

A method has recovered once it has back `NEAR` of what it gains in the end; until then
it took the env steps of those episodes, counted from the change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meta.evaluation.baselines import sources
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.finetuned import TRIALS, tunable, tuned
from meta.evaluation.measure import Steps
from meta.evaluation.recovery import WINDOW, Changed, Recovery, recovery
from meta.evaluation.results import levels
from meta.evaluation.statistics import Clusters
from meta.experience.changes import draw_changes
from meta.experience.rollout import (
    Experience,
    Rollout,
    by_task,
    collect,
    concatenate,
    some_episodes,
)
from meta.experience.schedule import Schedule, schedule_over
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained
from policies.acting import Act
from tasks.env import Env
from tasks.family import Family
from tasks.parameters import current_split
from tasks.registry import make_family
from tasks.task import Task

_MEASURE = 5  # episodes


def recoveries(
    policies: Sequence[Trained],
    groups: Mapping[str, Sequence[Trained]],
    cfg: EvaluationCfg,
    *,
    kind: str = "step",
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Measure every method on the same changes.

    Args:
        policies: one per training seed.
        groups: the methods that they are compared with, by name; DR among them, which
            is fine-tuned too.
        cfg: the split that A and B come from, the number of changes (`tasks`), seed
            and threads; the rest is fixed here.
        kind: how the task changes; one of `meta.experience.schedule.KINDS`.
        progress: told how many policies are measured, and of how many; those tried to
            tune the baselines count too.

    Raises:
        ValueError: for a family that is simulated elsewhere, or of which nothing that
            matters can change in mid-episode, or without DR, or an unknown kind.
    """
    device = policies[0].device
    family = make_family(policies[0].cfg.family, device)
    schedule = schedule_over(family.horizon, kind)
    before, after = draw_changes(family, cfg.split, cfg.seed, cfg.tasks)
    _, floor, _ = levels(groups)
    if floor not in groups:
        raise ValueError(f"a change is measured beside {floor}, and none is given")
    count = len(policies) + len(groups[floor]) + sum(map(len, groups.values()))
    done = Steps(count + TRIALS, progress)
    name, base = tunable(groups[floor], ())
    fine_tuned, _ = tuned(base, WINDOW, device, done)
    methods = {policies[0].cfg.method: policies, name: fine_tuned, **groups}
    changes = _Changes(
        family=family,
        before=before,
        after=after,
        schedule=schedule,
        seed=cfg.seed,
        threads=cfg.threads,
    )
    return Changed(
        family=family.name,
        split=current_split(cfg.split),
        seed=cfg.seed,
        tasks=cfg.tasks,
        horizon=family.horizon,
        schedule=schedule,
        methods={n: changes.recovery(g, done) for n, g in methods.items()},
        policies=sources({n: g for n, g in methods.items() if n != name}),
        objects=len({*changes.labels} - {""}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """The worlds that every method meets: they are A, become B, and are B."""

    family: Family
    before: Sequence[Task]
    after: Sequence[Task]
    schedule: Schedule
    seed: int
    threads: int

    @property
    def labels(self) -> Clusters:
        """The object that each change is about; it stays the same."""
        return [self.family.object_of(task) for task in self.before]

    def recovery(self, group: Sequence[Trained], done: Steps) -> Recovery:
        """Measure the policies of a method, one per training seed."""
        with simulator_threads():
            runs = list(done.after(self.points(trained) for trained in group))
        points = {k: np.stack([run[k] for run in runs]) for k in runs[0]}
        during = points.pop("during")
        rng = np.random.default_rng(self.seed)
        steps = self.family.horizon - self.schedule.start, self.family.horizon
        return recovery(points, during, *steps, rng, self.labels)

    def points(self, trained: Trained) -> dict[str, Float[np.ndarray, "*step task"]]:
        """Return returns by task: `rest`, `before`, `stale`, and `0`, `1` ... since.

        And `during`, the rewards at each step of the episode of the change.
        """
        adapts, oracle = trained.learner.inner_steps > 0, trained.cfg.told
        start = trained.begin(len(self.before))
        acts = [start.act]
        if adapts:
            lived = self._life(start.explore)
            windows = [slice(i, i + WINDOW) for i in range(WINDOW + 2)]
            acts = [start.after(some_episodes(lived, w)).act for w in windows]
        first = self._episodes(self.before, _MEASURE, acts[0], 3, oracle, change=True)
        during = first.reward * first.valid
        since = [self._later(_MEASURE, act, 4, oracle).returns for act in acts]
        before = self._episodes(self.before, _MEASURE, acts[0], 4, oracle).returns
        # a policy that does not adapt scores the same after any number of episodes
        since = since if adapts else since * (WINDOW + 2)
        rest = during[self.schedule.start :].sum(0)
        named = {"during": during, "rest": rest, "before": before, "stale": since[0]}
        named |= {str(k): returns for k, returns in enumerate(since[1:])}
        return {
            k: v.unflatten(-1, (-1, _MEASURE)).mean(-1).double().cpu().numpy()
            for k, v in named.items()
        }

    def _life(self, act: Act) -> Experience:
        """Episodes of A, that of the change, and later ones, by the unadapted."""
        parts = [
            self._episodes(self.before, WINDOW, act, 0),
            self._episodes(self.before, 1, act, 1, change=True),
            self._later(WINDOW, act, 2),
        ]
        count = len(self.before)
        return by_task(concatenate(parts, count), count)

    def _later(self, each: int, act: Act, stream: int, oracle: bool = False) -> Rollout:
        """Run episodes after that of the change: of B, if it stays B."""
        if self.schedule.lasting:
            return self._episodes(self.after, each, act, stream, oracle)
        return self._episodes(self.before, each, act, stream, oracle, change=True)

    def _episodes(
        self,
        tasks: Sequence[Task],
        each: int,
        act: Act,
        stream: int,
        oracle: bool = False,
        *,
        change: bool = False,
    ) -> Rollout:
        env = Env(
            self.family, worlds=len(tasks) * each, oracle=oracle, threads=self.threads
        )
        now, later = (
            [t for t in ts for _ in range(each)] for ts in (tasks, self.after)
        )
        env.assign(now)
        changes = self.schedule.changes(self.family, now, later) if change else {}
        return collect(
            env,
            act,
            derived_generator(self.seed, stream, device=env.device),
            explore=stream < 3,
            changes=changes,
        )

"""Recovery of a method whose task changes in the middle of an episode.

A robot meets task A; then, half way through an episode, the task becomes B: another
friction, another frame, whatever matters (`changes.py`). The robot keeps the last
`WINDOW` episodes of its unadapted policy and adapts on them, as in any evaluation; for
some time they hold what is no longer true. Three things are measured, by the mean
action and apart from those:

* the rest of the episode of the change, adapted to A: what a method that infers within
  an episode can save, and others cannot;
* episodes of B, still adapted to A: what the change costs;
* episodes of B after each further episode, until the window holds nothing but B.

A method has recovered once it has back `NEAR` of what it gains in the end; until then
it took the env steps of those episodes, counted from the change.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from meta.evaluation.baselines import sources
from meta.evaluation.changes import draw_changes
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.finetuned import TRIALS, tunable, tuned
from meta.evaluation.measure import Steps
from meta.evaluation.results import levels
from meta.evaluation.statistics import (
    Clusters,
    Estimate,
    Scores,
    estimate,
    mean,
    resampled,
)
from meta.experience.rollout import (
    Change,
    Experience,
    Rollout,
    by_task,
    collect,
    concatenate,
    some_episodes,
)
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.machine.versions import versions
from meta.training.trained import Trained
from policies.acting import Act
from tasks.env import Env
from tasks.family import Family
from tasks.parameters import current_split
from tasks.registry import make_family
from tasks.task import Task

WINDOW = 5
"""Episodes that a method adapts on."""
NEAR = 0.9
_MEASURE = 5  # episodes
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One method's response to the change."""

    rest: Estimate
    """Return of what was left of the episode of the change."""
    before: Estimate
    """Return on A, adapted to it."""
    stale: Estimate
    """Return on B, adapted to A."""
    after: tuple[Estimate, ...]
    """Return on B once the episode of the change is over, and 1, 2 ... more are."""
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


def recoveries(
    policies: Sequence[Trained],
    groups: Mapping[str, Sequence[Trained]],
    cfg: EvaluationCfg,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Measure every method on the same changes.

    Args:
        policies: one per training seed.
        groups: the methods that they are compared with, by name; DR among them, which
            is fine-tuned too.
        cfg: the split that A and B come from, the number of changes (`tasks`), seed
            and threads; the rest is fixed here.
        progress: told how many policies are measured, and of how many; those tried to
            tune the baselines count too.

    Raises:
        ValueError: for a family that is simulated elsewhere, or of which nothing that
            matters can change in mid-episode, or without DR.
    """
    device = policies[0].device
    family = make_family(policies[0].cfg.family, device)
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
        family=family, before=before, after=after, seed=cfg.seed, threads=cfg.threads
    )
    return Changed(
        family=family.name,
        split=current_split(cfg.split),
        seed=cfg.seed,
        tasks=cfg.tasks,
        horizon=family.horizon,
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
    seed: int
    threads: int

    @property
    def labels(self) -> Clusters:
        """The object that each change is about; it stays the same."""
        return [self.family.object_of(task) for task in self.before]

    def recovery(self, group: Sequence[Trained], done: Steps) -> "Recovery":
        """Measure the policies of a method, one per training seed."""
        with simulator_threads():
            runs = list(done.after(self.points(trained) for trained in group))
        points = {k: np.stack([run[k] for run in runs]) for k in runs[0]}
        rng = np.random.default_rng(self.seed)
        return _recovery(points, self.family.horizon, rng, self.labels)

    def points(self, trained: Trained) -> dict[str, Scores]:
        """Returns by task: `rest`, `before`, `stale`, and `0`, `1` ... since then."""
        adapts, oracle = trained.learner.inner_steps > 0, trained.cfg.told
        start = trained.begin(len(self.before))
        acts = [start.act]
        if adapts:
            lived = self._life(start.explore)
            windows = [slice(i, i + WINDOW) for i in range(WINDOW + 2)]
            acts = [start.after(some_episodes(lived, w)).act for w in windows]
        half = self.family.horizon // 2
        rest = self._episodes(self.before, _MEASURE, acts[0], 3, oracle, change=True)
        left = (rest.reward * rest.valid)[half:].sum(0)
        since = [
            self._episodes(self.after, _MEASURE, act, 4, oracle).returns for act in acts
        ]
        before = self._episodes(self.before, _MEASURE, acts[0], 4, oracle).returns
        # a policy that does not adapt scores the same after any number of episodes
        since = since if adapts else since * (WINDOW + 2)
        named = {"rest": left, "before": before, "stale": since[0]}
        named |= {str(k): returns for k, returns in enumerate(since[1:])}
        return {
            k: v.reshape(-1, _MEASURE).mean(1).double().cpu().numpy()
            for k, v in named.items()
        }

    def _life(self, act: Act) -> Experience:
        """Episodes of A, that of the change, and episodes of B, by the unadapted."""
        parts = [
            self._episodes(self.before, WINDOW, act, 0),
            self._episodes(self.before, 1, act, 1, change=True),
            self._episodes(self.after, WINDOW, act, 2),
        ]
        count = len(self.before)
        return by_task(concatenate(parts, count), count)

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
        env.assign([task for task in tasks for _ in range(each)])
        later = [task for task in self.after for _ in range(each)]
        return collect(
            env,
            act,
            derived_generator(self.seed, stream, device=env.device),
            explore=stream < 3,
            change=Change(self.family.horizon // 2, later) if change else None,
        )


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


def _recovery(
    points: Mapping[str, Scores],
    horizon: int,
    rng: np.random.Generator,
    labels: Clusters,
) -> Recovery:
    since = [points[str(k)] for k in range(WINDOW + 1)]

    def level(scores: Scores) -> Estimate:
        return estimate([scores], mean, rng, clusters=labels)

    return Recovery(
        rest=level(points["rest"]),
        before=level(points["before"]),
        stale=level(points["stale"]),
        after=tuple(level(x) for x in since),
        steps=_time(np.stack([points["stale"], *since]), horizon, rng, labels),
    )


def _time(
    scores: Float[np.ndarray, "point seed task"],
    horizon: int,
    rng: np.random.Generator,
    labels: Clusters | None = None,
) -> Estimate | None:
    """Env steps from the change until the mean has `NEAR` of its gain.

    Changes, together with those of the same object, and whole seeds are resampled.
    """
    _, seeds, tasks = scores.shape

    def steps(means: Float[np.ndarray, "point"]) -> float:
        if means[-1] <= means[0]:
            return math.inf
        reached = means >= means[0] + NEAR * (means[-1] - means[0])
        # point 0 is the change itself; the next, half an episode later, and so on
        return float(horizon - horizon // 2 + (int(reached.argmax()) - 1) * horizon)

    level = scores.mean(axis=(1, 2))
    drawn: list[float] = []
    chosen, stretch = resampled(tasks, labels, rng, _RESAMPLES)
    for rows, picked in chosen:
        for row, some in zip(rows, picked, strict=True):
            own = scores[:, rng.integers(seeds, size=seeds)][..., some]
            drawn.append(steps(level + stretch[row] * (own.mean((1, 2)) - level)))
    value = steps(level)
    if not math.isfinite(value):
        return None
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Estimate(value=value, low=float(low), high=float(high))

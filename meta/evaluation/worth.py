"""The worth of words, or of any belief, to a policy that goes on to infer.

The same policy, told and untold, is measured on the same tasks from the same initial
states. What it is told is about all of the tasks, and true of some: tasks that it holds
for, and those that it does not, are reported apart.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool

from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger, Measured, Steps, stack
from meta.evaluation.statistics import Estimate, estimate, mean
from meta.evaluation.telling import beliefs_of, tell, untold
from meta.language.belief import DOUBT, Belief
from meta.language.evidence import Evidence
from meta.learners.told import Told
from meta.machine.devices import simulator_threads
from meta.machine.versions import versions
from meta.training.trained import Trained
from tasks.registry import find_family, make_env
from tasks.task import Task

TOLD, UNTOLD = "told", "untold"
"""Keys of the policy, given the belief and not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """The returns of a policy that was told something, beside itself untold."""

    family: str
    split: str
    seed: int
    text: str
    """The words; empty for a belief that was not in words."""
    belief: Belief
    """The belief that they became."""
    holds: Bool[np.ndarray, "task"]
    """Tasks whose parameters lie within the belief's 90 %."""
    scores: Mapping[str, Mapping[int, Measured]]
    """By `TOLD` or `UNTOLD`, and by episodes of adaptation; by random and the methods
    beside, without any."""
    inferred: Mapping[int, Belief]
    """The belief about the first task that the words hold for (of all, if they hold for
    none), by episodes of adaptation."""
    actual: Mapping[str, float | str]
    """The hidden parameters of that task."""
    sources: Sequence[str]

    def gain(self, episodes: int, *, holding: bool) -> Estimate:
        """Return what being told adds to the return after some episodes.

        Over the tasks that the words hold for, or over the others; NaN without any.
        """
        rows = self.holds if holding else ~self.holds
        told, untold = (
            self.scores[k][episodes].returns[:, rows] for k in (TOLD, UNTOLD)
        )
        if not rows.any():
            return Estimate(value=np.nan, low=np.nan, high=np.nan)
        # a seed is compared with itself, so that seeds are resampled together
        return estimate([told - untold], mean, np.random.default_rng(self.seed))

    def level(self, name: str, episodes: int, *, holding: bool) -> float:
        """Return the mean return of `TOLD` or `UNTOLD`, over the same tasks."""
        rows = self.holds if holding else ~self.holds
        returns = self.scores[name][episodes].returns[:, rows]
        return float(returns.mean()) if returns.size else float("nan")

    def to_json(self) -> str:
        """Return everything as JSON."""
        found = {
            "family": self.family,
            "split": self.split,
            "seed": self.seed,
            "text": self.text,
            "belief": json.loads(self.belief.to_json()),
            "holds": self.holds.tolist(),
            "returns": {
                name: {k: m.returns.tolist() for k, m in by_episodes.items()}
                for name, by_episodes in self.scores.items()
            },
            "gain": {
                str(k): [
                    _finite(asdict(self.gain(k, holding=h))) for h in (True, False)
                ]
                for k in self.scores[TOLD]
            },
            "inferred": {
                str(k): json.loads(b.to_json()) for k, b in self.inferred.items()
            },
            "actual": dict(self.actual),
            "policies": list(self.sources),
            "versions": versions(),
        }
        return json.dumps(found, allow_nan=False)


def worth(
    policies: Sequence[Trained],
    belief: Belief,
    cfg: EvaluationCfg,
    *,
    beside: Mapping[str, Sequence[Trained]] = MappingProxyType({}),
    text: str = "",
    doubt: float = DOUBT,
    progress: Callable[[int, int], None] | None = None,
) -> Worth:
    """Measure policies told and untold.

    Args:
        policies: one per training seed of one method.
        belief: told about every task.
        cfg: tasks, episodes and random numbers.
        beside: the robust baseline and the oracle, by method and training seed.
        text: the words that became the belief.
        doubt: as for `tell`.
        progress: told how many policies are measured, and of how many.

    Raises:
        ValueError: as `tell`, or for no policy.
    """
    if not policies:
        raise ValueError("need at least one policy to tell, got none")
    family = find_family(policies[0].cfg.family, objects=cfg.objects)
    tasks = family.sample(cfg.split, cfg.seed, cfg.tasks)
    bench = Bench(tasks, cfg)
    told = [tell(p, _evidence(p, cfg), [belief], doubt=doubt) for p in policies]
    groups = {UNTOLD: [untold(p) for p in policies], TOLD: told, **beside}
    ks = sorted({0, *cfg.episodes})
    scores = _scores(bench, groups, ks, Steps(sum(map(len, groups.values())), progress))
    holds = np.array([belief.holds(task.parameters) for task in tasks], dtype=bool)
    shown = tasks[int(holds.argmax())]
    return Worth(
        family=family.name,
        split=cfg.split,
        seed=cfg.seed,
        text=text,
        belief=belief,
        holds=holds,
        scores=scores,
        inferred=_inferred(told[0], shown, belief, cfg, ks),
        actual={p.name: shown.parameters[p.name] for p in family.hidden},
        sources=[p.source for p in policies],
    )


def _evidence(policy: Trained, cfg: EvaluationCfg) -> Evidence:
    """Return the evidence by which a policy was told, or fit it."""
    if isinstance(policy.learner, Told):
        return policy.learner.evidence
    return fit_evidence(policy, threads=cfg.threads, objects=cfg.objects)


def _scores(
    bench: Bench,
    groups: Mapping[str, Sequence[Trained]],
    episodes: Sequence[int],
    done: Steps,
) -> dict[str, dict[int, Measured]]:
    found: dict[str, dict[int, Measured]] = {}
    with simulator_threads():
        for name, group in groups.items():
            ks = episodes if name in (TOLD, UNTOLD) else (0,)
            curves = done.after(bench.curve(p, ks, Ledger()) for p in group)
            found[name] = stack(list(curves))
        found["random"] = stack([[bench.random(Ledger())]])
    return found


def _inferred(
    told: Trained,
    task: Task,
    belief: Belief,
    cfg: EvaluationCfg,
    episodes: Sequence[int],
) -> dict[int, Belief]:
    """Return what a told policy believes of one task, by episodes lived with it.

    Of a team, what its first agent does.
    """
    family = find_family(task.family, cfg.device, cfg.objects)
    team = family.of_team(task)
    found: dict[int, Belief] = {}
    for k in episodes:
        adapted = told.begin(len(team))
        if k:
            env = make_env(family, worlds=k * len(team), threads=cfg.threads)
            env.assign([one for one in team for _ in range(k)])
            adapted = told.adapt(env, seed=cfg.seed)
        found[k], *_ = beliefs_of(adapted, told=belief.about)
    return found


def _finite(e: dict[str, Any]) -> dict[str, float | None]:
    return {k: float(v) if np.isfinite(v) else None for k, v in e.items()}

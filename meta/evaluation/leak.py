"""Does the first observation of an episode give a hidden parameter away?

Before anything has moved nothing about a task's dynamics can be known. A linear probe
is trained to predict each hidden parameter from the first observation, its square too,
and tested on other tasks; a permutation test, which shuffles the parameters among the
tasks, gives the chance level.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tasks.contract import TaskFamily
from tasks.registry import make_env

_FOLDS, _PERMUTATIONS, _RIDGE = 5, 199, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A test of whether the first observation reveals one hidden parameter."""

    parameter: str
    r2: float
    """Variance of the parameter explained on tasks that the probe was not trained on;
    at most 1, and about 0 or less if it says nothing."""
    p: float
    """Share of the permutations that are explained as well."""

    @property
    def significant(self) -> bool:
        """True if the parameter is given away: more than by chance, and noticeably."""
        return self.p <= 0.01 and self.r2 > 0.05


def probe_family(
    family: TaskFamily, split: str, seed: int, *, tasks: int = 200, episodes: int = 3
) -> list[Leak]:
    """Probe the first observations of a family's tasks, as its policies see them.

    For a team, the worst of its agents' leaks.
    """
    drawn = family.sample(split, seed, tasks)
    at_once = family.team * max(
        1, min(tasks, family.max_worlds // episodes) // family.team
    )
    env = make_env(family, worlds=at_once * episodes)
    draw = torch.Generator().manual_seed(seed)
    firsts: list[Tensor] = []
    for start in range(0, tasks, at_once):
        part = (drawn[start:] + drawn)[:at_once]
        env.assign([task for task in part for _ in range(episodes)])
        firsts.append(env.reset(draw))
    x = torch.cat(firsts).double().numpy().reshape(-1, episodes, env.obs_dim)[:tasks]
    # a task that is seen twice in the very same way is no evidence
    seen = {(drawn[i].hash, x[i].tobytes()): i for i in range(tasks)}
    kept = sorted(seen.values())
    rng = np.random.default_rng(seed)
    found: dict[str, Leak] = {}
    # a team's agents see from places of their own, and share what is hidden
    for agent in range(family.team):
        own = [i for i in kept if i % family.team == agent]
        values = family.values([drawn[i] for i in own])
        for p in family.hidden:
            y = p.encode(values[p.name]).double().numpy()
            leak = probe(p.name, x[own], y, rng)
            worst = found.setdefault(p.name, leak)
            if (leak.p, -leak.r2) < (worst.p, -worst.r2):
                found[p.name] = leak
    return list(found.values())


def probe(
    name: str,
    x: Float[np.ndarray, "task episode obs"],
    y: Float[np.ndarray, "task features"],
    rng: np.random.Generator,
) -> Leak:
    """Probe observations for one parameter.

    Args:
        name: of the parameter.
        x: first observations.
        y: the parameter as features, the worth of each task.
        rng: deals the tasks into folds, and the parameters to the wrong tasks.
    """
    tasks, episodes, _ = x.shape
    y = y[:, y.std(axis=0) > 0]
    if not y.size:
        return Leak(parameter=name, r2=0.0, p=1.0)
    predict = _prediction(x, rng.permutation(tasks) % _FOLDS)

    def explained(y: Float[np.ndarray, "task features"]) -> float:
        each = np.repeat(y, episodes, axis=0)
        error = np.square(each - predict @ each).mean(axis=0)
        return float(np.max(1 - error / each.var(axis=0)))

    found = explained(y)
    permuted = [explained(y[rng.permutation(tasks)]) for _ in range(_PERMUTATIONS)]
    as_good = sum(other >= found for other in permuted)
    return Leak(parameter=name, r2=found, p=(1 + as_good) / (1 + _PERMUTATIONS))


def _prediction(
    x: Float[np.ndarray, "task episode obs"],
    fold: Float[np.ndarray, "task"] | np.ndarray,
) -> Float[np.ndarray, "sample sample"]:
    """The matrix that turns parameters into a ridge fit's predictions across folds."""
    flat = x.reshape(-1, x.shape[-1])
    flat = flat - flat.mean(axis=0)
    spread = flat.std(axis=0)
    # a constant feature says nothing; one that varies little may say everything
    flat = flat[:, spread > 0] / spread[spread > 0]
    features = np.concatenate([np.ones((len(flat), 1)), flat, flat**2], axis=1)
    where = np.repeat(fold, x.shape[1])
    predict = np.zeros((len(flat), len(flat)))
    for k in range(_FOLDS):
        train, test = where != k, where == k
        a = features[train]
        gram = a.T @ a + _RIDGE * len(a) * np.eye(a.shape[1])
        predict[np.ix_(test, train)] = features[test] @ np.linalg.solve(gram, a.T)
    return predict

"""Transfer between tasks, measured, and how well a distance foretells it.

The matrix is Continual World's (Wolczyk et al. 2021, arXiv 2105.10919) with an
adaptation in the place of a trained policy: entry (i, j) is what acting on task j by
the adaptation to task i earns.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from meta.evaluation.statistics import Clusters, resampled
from meta.experience.rollout import collect
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained
from tasks.contract import Worlds
from tasks.registry import find_family, make_env
from tasks.task import Task

Array = NDArray[np.float64]


def transfer_matrix(
    policy: Trained,
    adaptation: Params,
    tasks: Sequence[Task],
    *,
    episodes: int = 5,
    seed: int = 0,
    threads: int = 0,
) -> Float[np.ndarray, "entry task episode"]:
    """Measure every adaptation on every task, by mean actions.

    All adaptations meet a task in the same initial states, so that they are compared in
    pairs. A policy that remembers its episode goes on from the adaptation within it.

    Args:
        policy: the policy.
        adaptation: of the entries; each tensor leads with them.
        tasks: the tasks, no two of them equal.
        episodes: episodes of each pair.
        seed: decides the initial states.
        threads: simulator threads; 0 means one per CPU.

    Returns:
        The returns.
    """
    env = _worlds(policy, tasks, episodes, threads)
    rows: list[Array] = []
    for i in range(len(next(iter(adaptation.values())))):
        everywhere = {
            k: v[i : i + 1].expand(len(tasks), *v.shape[1:]).contiguous()
            for k, v in adaptation.items()
        }
        rows.append(_returns(policy, env, everywhere, seed))
    return np.stack(rows).reshape(len(rows), len(tasks), episodes)


def measured_returns(
    policy: Trained,
    adaptation: Params,
    tasks: Sequence[Task],
    *,
    episodes: int = 5,
    seed: int = 0,
    threads: int = 0,
) -> Float[np.ndarray, "task episode"]:
    """Measure the adaptation to each task on that task; see `transfer_matrix`."""
    env = _worlds(policy, tasks, episodes, threads)
    found = _returns(policy, env, adaptation, seed)
    return found.reshape(len(tasks), episodes)


def _worlds(
    policy: Trained, tasks: Sequence[Task], episodes: int, threads: int
) -> Worlds:
    family = find_family(policy.cfg.family, policy.device)
    env = make_env(family, worlds=len(tasks) * episodes, threads=threads)
    env.assign([task for task in tasks for _ in range(episodes)])
    return env


def _returns(policy: Trained, env: Worlds, adaptation: Params, seed: int) -> Array:
    act = policy.learner.act(policy.theta, adaptation)
    rng = derived_generator(seed, device=env.device)
    return collect(env, act, rng, explore=False).returns.double().cpu().numpy()


def ranks(x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return ranks from 1, in ascending order; equal numbers share their mean rank."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def rank_correlation(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> float:
    """Return Spearman's rho: Pearson's correlation of the ranks.

    NaN where all of one are equal.
    """
    a, b = (r - r.mean() for r in (ranks(x), ranks(y)))
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else float("nan")


def foretold(
    distance: Float[np.ndarray, "task entry"],
    transfer: Float[np.ndarray, "entry task"],
    same: Bool[np.ndarray, "task entry"],
) -> Float[np.ndarray, "task"]:
    """Return each query's rank correlation of nearness with transfer.

    Args:
        distance: of the queries to the entries.
        transfer: what each entry earns on each query's task.
        same: pairs of one task, which are left out.
    """
    rows = zip(distance, transfer.T, ~same, strict=True)
    return np.array([rank_correlation(-d[use], t[use]) for d, t, use in rows])


def foretold_draws(
    distance: Float[np.ndarray, "task task"],
    transfer: Float[np.ndarray, "task task"],
    clusters: Clusters,
    rng: np.random.Generator,
    resamples: int = 200,
) -> Array:
    """Draw the mean of `foretold` from resampled tasks, queries and entries at once.

    Args:
        distance: of each task's query to each task's entry.
        transfer: of each task's entry on each task.
        clusters: labels of the tasks; those of one label are drawn together, as in
            `meta.evaluation.statistics.estimate`.
        rng: draws the tasks.
        resamples: number of draws.

    Returns:
        The draws; NaN where no query of one has entries that differ.
    """
    value = foretold(distance, transfer, np.eye(len(distance), dtype=bool)).mean()
    chosen, stretch = resampled(len(distance), clusters, rng, resamples)
    found = np.empty(resamples)
    for rows, picked in chosen:
        for row, s in zip(rows, picked, strict=True):
            pairs, same = np.ix_(s, s), s[:, None] == s[None]
            rho = foretold(distance[pairs], transfer[pairs], same)
            known = rho[~np.isnan(rho)]
            found[row] = known.mean() if len(known) else np.nan
    return value + stretch * (found - value)


def auroc(inside: Float[np.ndarray, "n"], outside: Float[np.ndarray, "m"]) -> float:
    """Return how often an outside number exceeds an inside one; ties are half.

    The area under the ROC curve of telling them apart by a threshold (Hanley and McNeil
    1982, "The meaning and use of the area under a ROC curve").
    """
    apart = outside[:, None] - inside[None]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


def ties_with_best(
    returns: Float[np.ndarray, "entry episode"], errors: float = 2.0
) -> Bool[np.ndarray, "entry"]:
    """Tell which entries are within noise of the one that earns most on a task.

    Those whose mean difference from it is at most so many standard errors of that
    difference, over the same initial states. The best itself is among them.

    Args:
        returns: of every entry in the same episodes.
        errors: number of standard errors.
    """
    behind = returns[returns.mean(1).argmax()] - returns
    error = behind.std(1, ddof=1) / np.sqrt(behind.shape[1])
    return np.less_equal(behind.mean(1), errors * error)


def recall_at(
    order: Int[np.ndarray, "task entry"], good: Bool[np.ndarray, "task entry"], k: int
) -> Bool[np.ndarray, "task"]:
    """Tell for which tasks a good entry is among the first k.

    Args:
        order: entries of each task, the nearest first.
        good: entries that count.
        k: number of entries looked at.
    """
    return np.asarray(np.take_along_axis(good, order[:, :k], axis=1).any(1))


def auroc_draws(
    inside: Float[np.ndarray, "n"],
    outside: Float[np.ndarray, "m"],
    clusters: tuple[Clusters, Clusters],
    rng: np.random.Generator,
    resamples: int = 500,
) -> Array:
    """Draw `auroc` from resampled numbers, of the two sides each by itself.

    Args:
        inside: numbers of one side.
        outside: numbers of the other.
        clusters: labels of each side's; those of one label are drawn together.
        rng: draws them.
        resamples: number of draws.
    """
    sides: list[list[Array]] = []
    widest = np.ones(resamples)
    for x, labels in zip((inside, outside), clusters, strict=True):
        chosen, stretch = resampled(len(x), labels, rng, resamples)
        drawn = {
            int(row): x[p]
            for rows, picked in chosen
            for row, p in zip(rows, picked, strict=True)
        }
        sides.append([drawn[row] for row in range(resamples)])
        widest = np.maximum(widest, stretch)
    found = np.array([auroc(a, b) for a, b in zip(*sides, strict=True)])
    value = auroc(inside, outside)
    return value + widest * (found - value)

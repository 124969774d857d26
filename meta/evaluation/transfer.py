"""Transfer between tasks, measured, and how well a distance foretells it.

The matrix is Continual World's (Wolczyk et al. 2021, arXiv 2105.10919) with an
adaptation in the place of a trained policy: entry (i, j) is what acting on task j by
the adaptation to task i earns.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from meta.experience.rollout import collect
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained
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
    family = find_family(policy.cfg.family, policy.device)
    env = make_env(family, worlds=len(tasks) * episodes, threads=threads)
    env.assign([task for task in tasks for _ in range(episodes)])
    rows: list[Array] = []
    for i in range(len(next(iter(adaptation.values())))):
        everywhere = {
            k: v[i : i + 1].expand(len(tasks), *v.shape[1:]).contiguous()
            for k, v in adaptation.items()
        }
        act = policy.learner.act(policy.theta, everywhere)
        rng = derived_generator(seed, device=env.device)
        returns = collect(env, act, rng, explore=False).returns
        rows.append(returns.reshape(len(tasks), episodes).double().cpu().numpy())
    return np.stack(rows)


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
    family = find_family(policy.cfg.family, policy.device)
    env = make_env(family, worlds=len(tasks) * episodes, threads=threads)
    env.assign([task for task in tasks for _ in range(episodes)])
    act = policy.learner.act(policy.theta, adaptation)
    rng = derived_generator(seed, device=env.device)
    with torch.no_grad():
        returns = collect(env, act, rng, explore=False).returns
    return returns.reshape(len(tasks), episodes).double().cpu().numpy()


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


def foretold_interval(
    distance: Float[np.ndarray, "task task"],
    transfer: Float[np.ndarray, "task task"],
    rng: np.random.Generator,
    resamples: int = 200,
) -> Array:
    """Draw the mean of `foretold` from resampled tasks, queries and entries at once.

    Args:
        distance: of each task's query to each task's entry.
        transfer: of each task's entry on each task.
        rng: draws the tasks.
        resamples: number of draws.
    """
    drawn: list[float] = []
    for _ in range(resamples):
        s = rng.integers(len(distance), size=len(distance))
        pairs = np.ix_(s, s)
        rho = foretold(distance[pairs], transfer[pairs], s[:, None] == s[None])
        drawn.append(float(np.nanmean(rho)))
    return np.array(drawn)


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


def interval(
    x: Float[np.ndarray, "task"],
    rng: np.random.Generator,
    statistic: Callable[..., Array] = np.mean,
    resamples: int = 2000,
) -> tuple[float, float, float]:
    """Return a statistic of tasks, and its 95 % bootstrap interval over them."""
    drawn = statistic(x[rng.integers(len(x), size=(resamples, len(x)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(statistic(x, axis=0)), float(low), float(high)

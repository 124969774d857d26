"""Embeddings of tasks: what a few episodes with a task told its policy, as a point.

A policy's own answer to its episodes is read as features: the latent that an adapter
infers, or the direction in which a gradient step moves. The features x are then scaled
so that distances mean something, by training tasks alone and without their parameters.
With m_z the mean of task z over several lives with it, relevant component analysis
(Bar-Hillel et al. 2005, "Learning a Mahalanobis metric from equivalence constraints")
whitens by what differs between lives with the same task,

    C = mean over tasks z and lives of (x - m_z) (x - m_z)^T,   y = C^(-1/2) x

and of y the directions are kept in which tasks differ most, which are those of Fisher's
linear discriminant. Whitening by the spread over tasks would blow up what no task
differs in: noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from meta.experience.rollout import (
    Experience,
    by_task,
    collect,
    some_episodes,
    task_groups,
)
from meta.learner import sequential
from meta.learners.adapter import Adapter
from meta.learners.explore import Explore
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily, Worlds
from tasks.registry import find_family, make_env
from tasks.task import Task

_COMPONENTS = 40
"""Principal components of the features that directions are sought among, at most."""
_FLOOR = 1e-3
"""Share of the mean within-task variance that is added to each component's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A map from a policy's features to points, fitted to training tasks."""

    mean: Float[Tensor, "feature"]
    projection: Float[Tensor, "feature dim"]
    nearest: Float[Tensor, "count task"]
    """Distance from each training task to the nearest other one, in ascending order:
    row k - 1 is of queries after k episodes."""

    @property
    def dim(self) -> int:
        """Components of a point."""
        return self.projection.shape[1]

    def __call__(
        self, features: Float[Tensor, "task feature"]
    ) -> Float[Tensor, "task dim"]:
        """Return the points of tasks from their `task_features`."""
        return ((features.double() - self.mean) @ self.projection).float()

    def threshold(self, episodes: int, quantile: float = 0.95) -> float:
        """Return the distance beyond which nothing counts as near.

        Args:
            episodes: number of episodes that the query was embedded from; more than
                it was fitted to count as the most.
            quantile: share of training tasks that are nearer than this to another one.

        Raises:
            ValueError: for a share outside (0, 1], or fewer than one episode.
        """
        if not (0 < quantile <= 1 and episodes >= 1):
            raise ValueError(
                "need 0 < quantile <= 1 and at least one episode, got "
                f"{quantile} and {episodes}"
            )
        row = self.nearest[min(episodes, len(self.nearest)) - 1]
        return float(row.quantile(quantile))


def check_embeddable(policy: Trained) -> None:
    """Raise ValueError for a policy whose adaptation no library can keep."""
    if not policy.learner.inner_steps or sequential(policy.learner):
        reason = "adapts in turn" if policy.learner.inner_steps else "does not adapt"
        raise ValueError(
            f"{policy.source} ({policy.cfg.method}) {reason}; a library needs a policy "
            "that adapts to several episodes at once, such as one of maml, rma, explore"
        )
    if getattr(policy.cfg.learner, "forgets", False):
        raise ValueError(
            f"{policy.source} was trained with forgets: it keeps nothing of a task "
            "between episodes, and so has nothing for a library"
        )


def live(policy: Trained, env: Worlds, rng: torch.Generator) -> Experience:
    """Run one episode of the unadapted, exploring policy in each world.

    Args:
        policy: the policy.
        env: worlds that have their tasks, grouped.
        rng: draws the initial states and the actions.
    """
    tasks = len(task_groups(env))
    return by_task(collect(env, policy.begin(tasks).explore, rng), tasks)


def live_with(
    policy: Trained,
    family: TaskFamily,
    tasks: Sequence[Task],
    episodes: int,
    seed: int,
    threads: int = 0,
) -> Experience:
    """Run so many episodes with each task, in as many worlds as are run at once.

    Args:
        policy: the policy, which explores and does not adapt on the way.
        family: the tasks' family.
        tasks: the tasks, no two of them equal.
        episodes: episodes with each.
        seed: decides the initial states and the actions.
        threads: simulator threads; 0 means one per CPU.
    """
    size = tasks_at_once(family, episodes)
    parts = [tasks[i : i + size] for i in range(0, len(tasks), size)]
    lived: list[Experience] = []
    for i, part in enumerate(parts):
        env = make_env(family, worlds=len(part) * episodes, threads=threads)
        env.assign([task for task in part for _ in range(episodes)])
        lived.append(live(policy, env, derived_generator(seed, i, device=env.device)))
    return joined(lived, axis=0)


def tasks_at_once(family: TaskFamily, episodes: int = 1) -> int:
    """Return how many tasks, of whole teams, are lived at once in so many episodes."""
    return family.team * max(1, family.max_worlds // episodes // family.team)


def joined(experiences: Sequence[Experience], axis: int) -> Experience:
    """Return experience as one: of more tasks (axis 0), or of more episodes (1)."""
    first = experiences[0]
    old = [
        torch.cat(xs, axis) for xs in zip(*(e.old for e in experiences), strict=True)
    ]
    whole = [e._replace(lived=e.whole.valid) for e in experiences]
    rest = {
        name: torch.cat([getattr(e, name) for e in whole], axis)
        for name in first._fields
        if name != "old" and getattr(first, name) is not None
    }
    return Experience(**rest, old=type(first.old)(*old))


def task_features(policy: Trained, adaptation: Params) -> Float[Tensor, "task feature"]:
    """Return what a policy has worked out about its tasks, as features.

    Of an adapter (RMA, with or without an explorer) the latent that it infers; of
    another learner how far each number of the adaptation has moved from the start.
    """
    learner, theta = policy.learner, policy.theta
    if isinstance(learner, Explore):
        learner = learner.adapter
    with torch.no_grad():
        if isinstance(learner, Adapter):
            return learner.infer(theta, adaptation["memory"])
        tasks = len(next(iter(adaptation.values())))
        start = learner.begin(theta, tasks)
        moved = [(adaptation[k] - start[k]).flatten(1) for k in sorted(adaptation)]
        return torch.cat(moved, dim=1)


def features_after(
    policy: Trained, lived: Experience, keep: slice
) -> Float[Tensor, "task feature"]:
    """Return the features after some of the episodes that were lived."""
    part = some_episodes(lived, keep)
    adapted = policy.begin(len(part.valid)).after(part)
    return task_features(policy, adapted.adaptation)


def fit_embedding(
    policy: Trained,
    *,
    tasks: int = 150,
    episodes: int = 3,
    dim: int = 8,
    seed: int = 0,
    threads: int = 0,
) -> Embedding:
    """Fit the embedding of a policy to training tasks of its family.

    Args:
        policy: a policy that adapts.
        tasks: number of training tasks, of which equal ones count as one.
        episodes: episodes of each of the two lives with a task.
        dim: components of a point, at most.
        seed: decides the tasks and the episodes.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for a policy that does not adapt, or to one episode at a time, or
            fewer than three tasks, or if no two of them differ in what the policy makes
            of them.
    """
    policy = load_trained(policy) if isinstance(policy, str) else policy
    check_embeddable(policy)
    if tasks < 3 or min(episodes, dim) < 1:
        raise ValueError(
            "an embedding is fitted to at least 3 tasks, 1 episode and 1 component, "
            f"got {tasks}, {episodes} and {dim}"
        )
    family = find_family(policy.cfg.family, policy.device)
    drawn = training_tasks(family, seed, tasks)
    lived = live_with(policy, family, drawn, 2 * episodes, seed, threads)
    first, second = (
        features_after(policy, lived, keep)
        for keep in (slice(episodes), slice(episodes, 2 * episodes))
    )
    single = [
        features_after(policy, lived, slice(i, i + 1)) for i in range(2 * episodes)
    ]
    mean, projection = relevant_components(
        torch.stack([first, second]), torch.stack(single), dim
    )
    if not projection.shape[1]:
        raise ValueError(f"{policy.source} makes the same of every training task")
    fitted = Embedding(mean=mean, projection=projection, nearest=torch.zeros(0, 0))
    entries = fitted(second)
    queries = [
        fitted(features_after(policy, lived, slice(k + 1))) for k in range(episodes)
    ]
    nearest = torch.stack([_leave_one_out(q, entries) for q in queries])
    return Embedding(mean=mean, projection=projection, nearest=nearest)


def training_tasks(family: TaskFamily, seed: int, count: int) -> list[Task]:
    """Return the different ones of some training tasks, at least three.

    Of a team, those of all agents: rather a few more than some agents' alone.
    """
    whole = -(-count // family.team) * family.team
    drawn = list({t.hash: t for t in family.sample("train", seed, whole)}.values())
    if len(drawn) < 3:
        raise ValueError(
            f"{count} training tasks of {family.name} are {len(drawn)} different ones; "
            "an embedding is fitted to at least 3"
        )
    return drawn


def relevant_components(
    wholes: Float[Tensor, "life task feature"],
    singles: Float[Tensor, "episode task feature"],
    dim: int,
) -> tuple[Float[Tensor, "feature"], Float[Tensor, "feature dim"]]:
    """Return a mean and a map to where lives with one task differ by unit variance.

    C^(-1/2) of the module's equation, after a projection on principal components; of
    its directions those that tell tasks apart best, as Fisher's discriminant ranks.

    Args:
        wholes: features after whole lives, whose spread over tasks counts.
        singles: features after single episodes, whose spread within a task counts.
        dim: components to keep, at most.
    """
    wholes, singles = wholes.double(), singles.double()
    flat = wholes.flatten(0, 1)
    mean = flat.mean(0)
    scale = 1 / flat.std(0).clamp(min=1e-9)
    _, size, axes = torch.linalg.svd((flat - mean) * scale, full_matrices=False)
    axes = axes[: min(_COMPONENTS, int((size > 1e-6 * size[0]).sum()))].T
    within = (((singles - singles.mean(0)) * scale) @ axes).flatten(0, 1)
    spread = within.T @ within / max(1, (len(singles) - 1) * singles.shape[1])
    spread += _FLOOR * spread.diagonal().mean() * torch.eye(len(spread))
    values, vectors = torch.linalg.eigh(spread)
    white = vectors * values.rsqrt()
    between = torch.atleast_2d(torch.cov((((flat - mean) * scale) @ axes @ white).T))
    best = torch.linalg.eigh(between).eigenvectors.flip(1)[:, :dim]
    return mean, scale[:, None] * (axes @ white @ best)


def _leave_one_out(
    queries: Float[Tensor, "task dim"], entries: Float[Tensor, "task dim"]
) -> Float[Tensor, "task"]:
    """Return each query's distance to the nearest entry of another task, sorted."""
    distance = torch.cdist(queries, entries)
    return distance.fill_diagonal_(torch.inf).min(1).values.sort().values

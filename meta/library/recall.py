"""Living by a library: what was lived is kept, and what is met again is recalled."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from meta.experience.rollout import task_groups
from meta.library.embedding import joined, live, task_features
from meta.library.library import Library
from meta.training.trained import Adapted, Trained
from tasks.contract import Worlds


class Recalled(NamedTuple):
    """A policy that starts from earlier tasks."""

    adapted: Adapted
    """Acts by what was recalled; where nothing was near, by its own episodes."""
    own: Adapted
    """Acts by its own episodes alone."""
    entry: Int[Tensor, "task"]
    """Place in the library of the nearest one."""
    distance: Float[Tensor, "task"]
    known: Bool[Tensor, "task"]
    """True where that entry is near enough to be used."""


def keep(library: Library, policy: Trained, env: Worlds, *, seed: int = 0) -> Adapted:
    """Adapt to some tasks from one episode in each world, and keep them.

    Args:
        library: where they are kept, by the hashes of the tasks as notes.
        policy: the library's policy.
        env: worlds that have their tasks, equally many of each, grouped.
        seed: decides the initial states and the actions.

    Returns:
        The adapted policy.

    Raises:
        ValueError: for another policy, or worlds that it cannot act in.
    """
    library.check(policy)
    policy.check_worlds(env)
    met = task_groups(env)
    lived = live(policy, env, torch.Generator(env.device).manual_seed(seed))
    adapted = policy.begin(len(met)).after(lived)._replace(met=met)
    points = library.embedding(task_features(policy, adapted.adaptation))
    library.add(points, adapted.adaptation, lived, met)
    return adapted


def recall(
    library: Library,
    policy: Trained,
    env: Worlds,
    *,
    mix: bool = False,
    quantile: float = 0.95,
    seed: int = 0,
) -> Recalled:
    """Run one episode in each world, and start from the most similar earlier tasks.

    Args:
        library: earlier tasks; it is not changed.
        policy: the library's policy.
        env: worlds that have their tasks, equally many of each, grouped.
        mix: adapt to the episodes and those of the earlier task together; otherwise the
            earlier adaptation is taken as it is.
        quantile: share of training tasks that have an earlier one as near as is asked
            for; see `Embedding.threshold`.
        seed: decides the initial states and the actions.

    Raises:
        ValueError: for another policy, an empty library, or worlds that the policy
            cannot act in.
    """
    library.check(policy)
    if not len(library):
        raise ValueError("nothing to recall: keep some tasks in the library first")
    policy.check_worlds(env)
    met = task_groups(env)
    lived = live(policy, env, torch.Generator(env.device).manual_seed(seed))
    start = policy.begin(len(met))
    own = start.after(lived)._replace(met=met)
    points = library.embedding(task_features(policy, own.adaptation))
    found = library.nearest(points)
    entry, distance = found.entry[:, 0], found.distance[:, 0]
    known = distance <= library.embedding.threshold(env.worlds // len(met), quantile)
    if mix:
        both = joined([lived, library.experience(entry)], axis=1)
        earlier = start.after(both).adaptation
    else:
        earlier = library.adaptation(entry)
    chosen = {
        k: torch.where(known.view(-1, *[1] * (v.ndim - 1)), earlier[k], v)
        for k, v in own.adaptation.items()
    }
    adapted = own._replace(adaptation=chosen)
    return Recalled(adapted, own, entry, distance, known)

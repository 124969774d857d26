"""Senses of an agent: where a task lies, and whether it is still the same.

A place is the embedding of `meta.library.embedding`, fitted here to more than exploring
episodes: also to those of a policy adapted to the task at hand, and of one adapted to
another task, which is what the first episode after a change is. What differs between
such episodes of one task is noise to it.

Whether the task is still the same is read off one episode that was acted by a belief:
how far its embedding is from the belief's, and what it earned. A logistic regression on
training tasks, as often with a belief about the same task as about another, turns both
into the logarithm of a likelihood ratio; an alarm is Page's (1954, "Continuous
inspection schemes", Biometrika 41) cumulative sum of it. In a team half of these
episodes are beside others that explore, which is no change of the task. All of it is
fitted to training tasks. Of their hidden parameters only one thing is asked: which
tasks are the same in all that matters, so that none of them is taken for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meta.continual.odds import by_distance, log_odds, log_ratio
from meta.continual.trials import Trials
from meta.experience.rollout import Experience, some_episodes
from meta.learners.adapter import Adapter
from meta.learners.explore import Explore
from meta.library.embedding import (
    Embedding,
    check_embeddable,
    features_after,
    live_with,
    relevant_components,
    task_features,
    training_tasks,
)
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily
from tasks.registry import find_family
from tasks.task import Task

QUERIES = ("mistaken", "explored", "whole")
"""Queries about where a task lies: an episode that was acted by a belief about another
task, an exploring episode, or several."""
BELIEFS = (1, 3)
"""Numbers of exploring episodes behind the beliefs that alarms are fitted to."""
_CALM = 0.97
"""Share of training tasks that raise no alarm."""


class Reading(NamedTuple):
    """Evidence of some episodes about a change."""

    distance: Float[Tensor, "task"]
    """From the belief's embedding to that of the episode."""
    returns: Float[Tensor, "task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """An embedding, and when it is near and when it has changed."""

    embedding: Embedding
    likeness: Float[Tensor, "query 2"]
    """Weights of the logarithm of a query's distance from an earlier task, and of 1, by
    kind of query in `QUERIES`: their sum is the logarithm of the likelihood ratio that
    it is the same task and not another."""
    weights: Float[Tensor, "3"]
    """Weights of the logarithm of the distance, of the return, and of 1."""
    alarm: float
    """Cumulative sum of evidence beyond which the task has changed."""
    known: Float[Tensor, "training dim"]
    """Places of training tasks, one of which a new task is probably like."""
    service: Float[Tensor, "2"]
    """Weights of the logarithm of the distance between a belief and the task, and of 1:
    their sum is the logarithm of the odds that an episode acted by it is calm."""

    def evidence(self, reading: Reading) -> Float[Tensor, "task"]:
        """Return the logarithm of a change's likelihood ratio."""
        return _inputs(reading) @ self.weights

    def recognise(
        self, distances: Float[Tensor, "entry"], query: str
    ) -> Float[Tensor, "entry"]:
        """Return how probably each of some earlier tasks is the one that was queried.

        Before it is queried a task is as probably new as not, and each earlier one as
        probable as the others.

        Args:
            distances: from the query to each.
            query: one of `QUERIES`.
        """
        weights = self.likeness[QUERIES.index(query)]
        ratio = (by_distance(distances) @ weights).double().exp()
        return (ratio / (ratio.sum() + len(ratio))).float()

    def serve(
        self, query: Float[Tensor, "dim"], entries: Float[Tensor, "entry dim"]
    ) -> Float[Tensor, "entry"]:
        """Return how probably what is known of each earlier task serves in another.

        The task is an earlier one or like one of training, each as probably as the
        other before it is queried by an episode that was acted by mistake.

        Args:
            query: place of that episode.
            entries: places of the earlier tasks.
        """
        places = torch.cat([entries, self.known])
        away = by_distance((places - query).norm(dim=1))
        likely = (away @ self.likeness[0]).double().exp()
        likely[: len(entries)] /= len(entries)
        likely[len(entries) :] /= len(self.known)
        odds = by_distance(torch.cdist(entries, places)) @ self.service
        return (odds.double().sigmoid() @ (likely / likely.sum())).float()

    def place(self, policy: Trained, adaptation: Params) -> Float[Tensor, "task dim"]:
        """Return where a policy's adaptations lie."""
        return self.embedding(task_features(policy, adaptation))

    def read(
        self, policy: Trained, belief: Params, episode: Experience
    ) -> Float[Tensor, "task"]:
        """Return the evidence of one episode against the belief that acted in it."""
        alone = self.embedding(features_after(policy, episode, slice(None)))
        distance = (alone - self.place(policy, belief)).norm(dim=1)
        return self.evidence(Reading(distance, returns_of(episode)))


def remembers(policy: Trained) -> bool:
    """Tell whether a policy adapts to whatever episodes it has, however they were run.

    RMA and the explorer do. One that takes gradient steps adapts to what its own
    unadapted policy sampled.
    """
    return isinstance(policy.learner, Explore | Adapter)


def returns_of(e: Experience) -> Float[Tensor, "task"]:
    """Return the mean return of each task's episodes."""
    return (e.reward * e.valid).sum(-1).mean(-1)


def fit_senses(
    policy: Trained | str,
    *,
    tasks: int = 150,
    dim: int = 8,
    seed: int = 0,
    threads: int = 0,
) -> Senses:
    """Fit the senses of a policy's agents to training tasks of its family.

    Args:
        policy: a policy that adapts to several episodes at once, or where it is.
        tasks: number of training tasks.
        dim: components of a place, at most.
        seed: decides the tasks and the episodes.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: as `meta.library.embedding.fit_embedding`.
    """
    policy = load_trained(policy) if isinstance(policy, str) else policy
    check_embeddable(policy)
    family, most = find_family(policy.cfg.family, policy.device), max(BELIEFS)
    drawn = training_tasks(family, seed, tasks)
    lived = live_with(policy, family, drawn, 2 * most, seed, threads)
    halves = [some_episodes(lived, slice(i, i + most)) for i in (0, most)]
    trials = Trials(policy, family, drawn, derived_generator(seed, 1), threads)
    beliefs = [policy.begin(len(drawn)).after(_first(halves[0], k)) for k in BELIEFS]
    # all of a team believe in one other team's task, each as itself
    turns = [family.team * (i + 1) for i in range(len(beliefs))]
    same = trials.of([0] * len(beliefs), beliefs)
    other = trials.of(turns, beliefs)
    beliefs, turns = beliefs * trials.ways, turns * trials.ways
    embedding = _fitted(policy, lived, halves, (*same, *other), dim)
    places = [embedding(task_features(policy, b.adaptation)) for b in beliefs]
    turned = [p.roll(turn, 0) for p, turn in zip(places, turns, strict=True)]
    calm = _inputs(_read(policy, embedding, same, places))
    wrong = _inputs(_read(policy, embedding, other, turned))
    alike = _alike(family, drawn)
    differs = torch.cat([~alike.roll(turn, 0).diagonal() for turn in turns])
    weights = log_ratio(wrong[differs], calm)
    alarm = max(0.0, float((calm @ weights).quantile(_CALM)))
    silent = torch.cat([calm, wrong]) @ weights <= alarm
    entries, *asked = _asked(policy, embedding, halves, other[0])
    return Senses(
        embedding=embedding,
        likeness=torch.stack([_likeness(q, entries, alike) for q in asked]),
        weights=weights,
        alarm=alarm,
        known=entries,
        service=_service((*places, *turned), entries, silent),
    )


def _asked(
    policy: Trained,
    embedding: Embedding,
    halves: Sequence[Experience],
    mistaken: Experience,
) -> list[Float[Tensor, "task place"]]:
    """Return the places of entries, and those of the three queries for them."""
    told = halves[1], mistaken, _first(halves[0], 1), halves[0]
    return [embedding(features_after(policy, e, slice(None))) for e in told]


def _fitted(
    policy: Trained,
    lived: Experience,
    halves: Sequence[Experience],
    acted: Sequence[Experience],
    dim: int,
) -> Embedding:
    """Fit an embedding to explored episodes, alone and in halves, and to acted ones."""
    each = range(lived.valid.shape[1])
    wholes = [features_after(policy, half, slice(None)) for half in halves]
    singles = [features_after(policy, lived, slice(i, i + 1)) for i in each]
    singles += [features_after(policy, e, slice(None)) for e in acted]
    mean, projection = relevant_components(
        torch.stack(wholes), torch.stack(singles), dim
    )
    if not projection.shape[1]:
        raise ValueError(f"{policy.source} makes the same of every training task")
    return Embedding(mean=mean, projection=projection, nearest=torch.zeros(0, 0))


def _likeness(
    queries: Float[Tensor, "task dim"],
    entries: Float[Tensor, "task dim"],
    alike: Bool[Tensor, "task task"],
) -> Float[Tensor, "2"]:
    """Fit a query's log likelihood ratio to its own task's entry, and all others."""
    distances = torch.cdist(queries, entries)
    same = torch.eye(len(queries), dtype=torch.bool)
    x = by_distance(distances)
    return log_ratio(x[same], x[~alike])


def _service(
    beliefs: Sequence[Float[Tensor, "task dim"]],
    tasks: Float[Tensor, "task dim"],
    silent: Bool[Tensor, "episode"],
) -> Float[Tensor, "2"]:
    """Fit the log odds that an episode acted by a belief is calm, by its distance."""
    away = torch.cat([(belief - tasks).norm(dim=1) for belief in beliefs])
    return log_odds(by_distance(away), silent)


def _alike(family: TaskFamily, tasks: Sequence[Task]) -> Bool[Tensor, "task task"]:
    """Tell which tasks are the same in every hidden parameter that matters."""
    names = [p.name for p in family.hidden if p.name not in family.scenery]
    kinds = [tuple(task.parameters[name] for name in names) for task in tasks]
    return torch.tensor([[a == b for b in kinds] for a in kinds])


def _read(
    policy: Trained,
    embedding: Embedding,
    episodes: Sequence[Experience],
    places: Sequence[Float[Tensor, "task dim"]],
) -> Reading:
    """Read some sets of episodes, each by its own beliefs."""
    alone = [embedding(features_after(policy, e, slice(None))) for e in episodes]
    away = [(a - p).norm(dim=1) for a, p in zip(alone, places, strict=True)]
    return Reading(torch.cat(away), torch.cat([returns_of(e) for e in episodes]))


def _first(e: Experience, episodes: int) -> Experience:
    return some_episodes(e, slice(episodes))


def _inputs(reading: Reading) -> Float[Tensor, "task 3"]:
    away = by_distance(reading.distance)
    return torch.stack([away[:, 0], reading.returns, away[:, 1]], dim=-1)

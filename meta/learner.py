"""The contract of learners: what training, evaluation and deployment ask of one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from meta.experience.batch import Batch
from meta.experience.rollout import (
    Experience,
    by_task,
    collect,
    some_episodes,
    task_groups,
)
from meta.theta import Params, Theta
from policies.acting import Act
from policies.distribution import Distribution
from policies.mlp import PolicyCfg
from tasks.contract import TaskFamily, Worlds

Metrics = dict[str, float]


class Sizes(NamedTuple):
    """Widths of what a family's policies read and write."""

    obs: int
    """Features of an observation, without the hidden parameters."""
    hidden: int
    """Features of the hidden parameters, which follow an observation that has them."""
    action: int
    """Components of an action, or choices."""
    discrete: bool = False
    """True if an action is one of so many choices."""
    roles: tuple[str, ...] = ()
    """The role of each agent of a team."""

    @classmethod
    def of(cls, family: TaskFamily | type[TaskFamily]) -> "Sizes":
        """Return the sizes of a family.

        Raises:
            ValueError: for a team that states another number of roles than of agents.
        """
        if family.roles and len(family.roles) != len(family.agents):
            raise ValueError(
                f"family {family.name} has {len(family.agents)} agents and states "
                f"{len(family.roles)} roles: state one for each agent, or none"
            )
        hidden = sum(p.width for p in family.parameters if p.hidden)
        return cls(
            family.obs_dim,
            hidden,
            family.action_dim,
            family.discrete,
            family.roles or family.agents,
        )


class Settings(Protocol):
    """The settings of a learner: a frozen dataclass with at least these fields."""

    @property
    def inner_steps(self) -> int:
        """Times that an iteration of training adapts before it measures."""
        ...

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """Numbers of episodes to adapt on, one drawn per task; empty: all collected."""
        ...

    @property
    def rate(self) -> float:
        """Step size of the optimiser at the first iteration; it falls to 0."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A method that adapts, and learns to.

    It keeps no state: all that is learned is in theta, and what it has worked out about
    its current tasks in the adaptation.
    """

    @property
    def inner_steps(self) -> int:
        """Number of times it adapts in an iteration; 0: it never does."""
        ...

    def stage(self, progress: float) -> tuple["Learner", float]:
        """Return the learner in charge at this fraction of training.

        Returns:
            The learner, and the fraction of its stage that remains.
        """
        ...

    def initial(self, obs_dim: int) -> Theta:
        """Return untrained parameters and fresh statistics."""
        ...

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return the tensors that the optimiser changes, as leaves with gradients."""
        ...

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return the adaptation before any experience, per task."""
        ...

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """Return the adapted policies, for worlds grouped by task."""
        ...

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Update an adaptation with the experience that it collected."""
        ...

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Learn from one experience per inner step and one to measure, in place."""
        ...


@runtime_checkable
class Explores(Protocol):
    """A learner that acts otherwise in the episodes that it adapts on."""

    def explore(self, theta: Theta, adaptation: Params) -> Act:
        """Return the policies of the adapting episodes, for worlds grouped by task."""
        ...


@runtime_checkable
class Reproduces(Protocol):
    """A learner that says what it would do now, where it has acted before.

    What it says is differentiable in theta, through its adaptation, too.
    """

    def inner_batch(self, theta: Theta, experience: Experience) -> Batch:
        """Return experience as it adapts on it."""
        ...

    def outer_batch(self, theta: Theta, experience: Experience) -> Batch:
        """Return experience as it is measured on it."""
        ...

    def acted(self, theta: Theta, inner: Sequence[Batch], outer: Batch) -> Distribution:
        """Return the distributions over actions at the measured steps.

        Args:
            theta: all that is learned.
            inner: one batch to adapt on per inner step.
            outer: the measured steps, of the same tasks.
        """
        ...


@runtime_checkable
class Relives(Protocol):
    """A learner that may go on learning from the experience of earlier iterations."""

    @property
    def relives(self) -> bool:
        """True if it does."""
        ...

    def relive(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        kept: Theta,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Learn, after `update`, from what is kept; return what is kept from now on.

        Args:
            theta: all that is learned, which changes in place.
            optimizer: takes the steps.
            kept: tensors that the iteration before returned; nothing at first.
            experiences: those of the iteration.
            rng: what is drawn is drawn from.
        """
        ...


def exploring(learner: Learner, theta: Theta, adaptation: Params) -> Act:
    """Return a learner's policies of the adapting episodes.

    They are the acting ones, unless it is one that `Explores`.
    """
    if isinstance(learner, Explores):
        return learner.explore(theta, adaptation)
    return learner.act(theta, adaptation)


def sequential(learner: object) -> bool:
    """Tell whether a learner, or its class, plays each episode knowing those before.

    It says so itself, by an attribute `sequential`. Each of the episodes that it adapts
    on is then collected after it has adapted to the one before, and it adapts to one
    episode at a time; other learners adapt to as many as were collected at once.
    """
    return bool(getattr(learner, "sequential", False))


def turns(learner: Learner, episodes: int) -> list[slice]:
    """Return the episodes to adapt on, in the order of the adaptations.

    One that is `sequential` adapts to each by itself. Of several inner steps each has
    its share, the last ones the larger, and none is taken without an episode.
    """
    steps = episodes if sequential(learner) else min(learner.inner_steps, episodes)
    bounds = [i * episodes // steps for i in range(steps + 1)] if steps else []
    return [slice(a, b) for a, b in pairwise(bounds)]


def adapt_to_worlds(
    learner: Learner,
    theta: Theta,
    adaptation: Params,
    env: Worlds,
    rng: torch.Generator,
) -> Params:
    """Adapt to one episode in each world, worlds grouped by task.

    One that adapts in `turns` takes some worlds of a task at a time, and adapts to
    their episodes before it plays the next; the other worlds run beside them, and do
    not count.
    """
    tasks = len(task_groups(env))
    for turn in turns(learner, env.worlds // tasks):
        lived = by_task(collect(env, exploring(learner, theta, adaptation), rng), tasks)
        adaptation = learner.adapt(theta, adaptation, some_episodes(lived, turn))
    return adaptation


class LearnerClass(Learner, Protocol):
    """A learner that the registry, or `module:Class`, can name."""

    title: ClassVar[str]
    """Name in tables and plots."""
    settings: ClassVar[type[Any]]
    """The class of its `Settings`, which can be made without arguments."""

    @classmethod
    def build(
        cls,
        settings: Any,  # noqa: ANN401  (an instance of the class's own `settings`)
        network: PolicyCfg,
        sizes: Sizes,
        rng: torch.Generator,
    ) -> Learner:
        """Make one, with freshly drawn modules.

        Args:
            settings: its settings.
            network: sizes and spread of the policy.
            sizes: widths of observations, hidden parameters and actions.
            rng: where weights are drawn from.
        """
        ...

"""The contract of tasks: the interface that training and evaluation use."""

import os
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tasks.parameters import SPLITS, Choice, Parameter, current_split
from tasks.rows import AGENT
from tasks.splits import all_splits
from tasks.stated import check_counts, check_parameters, check_stated
from tasks.task import Task, parse_task, sample_task

# a child that is forked has none of its parent's threads, and would wait for them
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

Values = Mapping[str, Float[Tensor, "world"]]
"""The parameters of each world's task, as numbers."""


class TaskFamily(ABC):
    """A distribution of tasks, whatever the simulator.

    Training and evaluation ask no more of a family. `Family` has a compiled model, and
    `tasks.external.ExternalFamily` a vector environment of Gymnasium.

    Args:
        device: where the tensors of its worlds live.
    """

    name: ClassVar[str]
    horizon: ClassVar[int]
    """Steps per episode."""
    obs_dim: ClassVar[int]
    action_dim: ClassVar[int]
    """Components of an action, or choices."""
    discrete: ClassVar[bool] = False
    """True if an action is one of `action_dim` choices: the largest component's."""
    agents: ClassVar[tuple[str, ...]] = ()
    """Names of the robots of a team, of which each acts on its own observation and its
    own adaptation; none if there is one robot. What follows of observations, actions
    and rewards is one agent's, and where worlds are counted a team's agents count each:
    an agent is a row. The parameter `agent` says whose row it is."""
    roles: ClassVar[tuple[str, ...]] = ()
    """The role of each agent, in their order; none: each has one of its own, by its
    name. Agents of one role share parameters even where roles have their own."""
    parameters: tuple[Parameter, ...]
    splits: ClassVar[tuple[str, ...]] = SPLITS[:4]
    max_worlds: ClassVar[int] = 1000
    """Worlds that are measured at once."""
    scenery: tuple[str, ...] = ()
    """Hidden parameters that differ and do not matter: on held-out tasks an oracle that
    is told a lie about one of them loses next to nothing; see `pliant lie`."""
    in_episode: ClassVar[bool] = False
    """True if acting shows within an episode what is hidden: to a robust policy that
    remembers its episode, knowing it is worth less than 0.3 of the range from random
    actions to the oracle, on held-out tasks."""
    summary: ClassVar[str]
    """The task in one line; the docstring's first, if not stated."""
    success: ClassVar[str] = "what the family judges to be one"
    """The state in which a task counts as done, in one sentence."""
    bound: ClassVar[float] = 1e6
    """Observations and rewards beyond, of either sign, are faults, as NaN is."""

    stated: ClassVar[tuple[str, ...]] = "horizon", "obs_dim", "action_dim", "parameters"
    """Attributes that every class states, for nothing stands in their place."""

    def __init_subclass__(cls) -> None:
        """Give the family a summary."""
        super().__init_subclass__()
        if "summary" not in vars(cls):
            cls.summary = (cls.__doc__ or "").strip().partition("\n")[0]

    def __init__(self, device: torch.device | str = "cpu") -> None:
        check_stated(self, *self.stated)
        check_counts(self, "horizon", "obs_dim", "action_dim")
        check_parameters(self)
        self.device = torch.device(device)

    @property
    def hidden(self) -> tuple[Parameter, ...]:
        """The parameters that only the oracle observes."""
        return tuple(p for p in self.parameters if p.hidden)

    @property
    def team(self) -> int:
        """Rows of each world."""
        return max(1, len(self.agents))

    def sample(self, split: str, seed: int, count: int) -> list[Task]:
        """Draw tasks of a split; task i depends on the split, the seed and i only.

        Those of a team's agents lie side by side, and the last team's may lack some.

        Raises:
            ValueError: for a split the family does not have, or a negative seed.
        """
        split = current_split(split)
        known = all_splits(self.splits, self.parameters)
        if split not in map(current_split, known):
            raise ValueError(
                f"family {self.name!r} has no split {split!r}; "
                f"splits: {', '.join(known)}"
            )
        teams = -(-count // self.team)
        seeds = np.random.SeedSequence([seed]).generate_state(teams, np.uint64)
        drawn = [sample_task(self.name, self.parameters, split, int(s)) for s in seeds]
        return [task for one in drawn for task in self.of_team(one)][:count]

    def of_team(self, task: Task) -> tuple[Task, ...]:
        """Return the tasks of all agents that share a task's world, in their order."""
        if not self.agents:
            return (task,)
        return tuple(
            replace(task, parameters={**task.parameters, AGENT: agent})
            for agent in self.agents
        )

    def parse(self, text: str) -> Task:
        """Read a task of this family from its JSON; see `parse_task`."""
        return parse_task(text, self.name, self.parameters)

    def values(self, tasks: Sequence[Task]) -> Values:
        """Return the parameters of one task a world, as numbers, on the CPU."""
        return {
            p.name: torch.tensor(
                [p.number(task.parameters[p.name]) for task in tasks],
                dtype=torch.float32,
            )
            for p in self.parameters
        }

    def object_of(self, task: Task) -> str:
        """Return the name of what a task is about, and may share with other tasks.

        An object, a shape or a mechanism: what the split `unseen` has others of; for an
        agent of a team, its world. Empty if it shares nothing.
        """
        if self.agents:
            return f"{task.split} {task.seed}"
        if "unseen" not in self.splits:
            return ""
        kinds = [p for p in self.parameters if isinstance(p, Choice) and p.unseen]
        return ", ".join(str(task.parameters[p.name]) for p in kinds)

    def coordinates(self, task: Task) -> Mapping[str, float]:
        """Return where a task lies on the axes that results are reported along.

        Returns:
            Numbers in [0, 1], by axis; none if the family has no such axes.
        """
        return {}

    def reveal(self, values: Values) -> Float[Tensor, "world features"]:
        """Encode the hidden parameters as the features that the oracle sees."""
        return torch.cat([p.encode(values[p.name]) for p in self.hidden], dim=-1)


def check_alone(family: TaskFamily | type[TaskFamily], use: str) -> None:
    """Raise ValueError for a team, where one robot is wanted.

    Args:
        family: the family.
        use: what it is wanted for, such as "a life".
    """
    if family.agents:
        raise ValueError(
            f"{use} is of one robot, and family {family.name} is a team of "
            f"{', '.join(family.agents)}"
        )


def check_teams(family: TaskFamily, count: int) -> None:
    """Raise ValueError for a number of tasks that is no whole number of teams."""
    if count % family.team:
        raise ValueError(
            f"family {family.name} is a team of {', '.join(family.agents)}, each with "
            f"a task of its own: tasks come in multiples of {family.team}, got {count}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Result of one step. An episode that ended stays as it is until its reset."""

    obs: Float[Tensor, "world obs"]
    """The observation after the step; of an ended episode, its last."""
    reward: Float[Tensor, "world"]
    terminated: Bool[Tensor, "world"]
    """Ended by the task's own rule or by a fault."""
    truncated: Bool[Tensor, "world"]
    """Ended by the horizon."""
    fault: Bool[Tensor, "world"]
    """Ended by a number that no physics gives, an action's too; such a step is worth 0
    and its observation is the one before."""
    success: Bool[Tensor, "world"]
    terms: Mapping[str, Float[Tensor, "world"]]


@runtime_checkable
class Worlds(Protocol):
    """A batch of W worlds of one family, whatever the simulator.

    Training and evaluation use this interface only. `Env` holds worlds of Pliant's own,
    `tasks.external.ExternalEnv` those of other simulators.
    """

    worlds: int
    oracle: bool
    """True if observations end with the hidden parameters."""
    obs_dim: int
    action_dim: int
    horizon: int
    device: torch.device
    tasks: tuple[Task, ...]
    """The task of each world; none before the first `assign`."""

    @property
    def family(self) -> TaskFamily:
        """The distribution that the tasks are drawn from."""
        ...

    def assign(
        self, tasks: Sequence[Task], worlds: Int[Tensor, "n"] | None = None
    ) -> None:
        """Give some worlds (all by default) their tasks; see `Env.assign`."""
        ...

    def reset(
        self, rng: torch.Generator, worlds: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "world obs"]:
        """Start a new episode in some worlds (all by default)."""
        ...

    def step(self, action: Float[Tensor, "world action"]) -> Step:
        """Advance every world by one control period, under actions in [-1, 1]."""
        ...


def observation_size(family: TaskFamily, *, oracle: bool) -> int:
    """Return the size of observations, with the hidden parameters for an oracle."""
    revealed = sum(p.width for p in family.hidden) if oracle else 0
    return family.obs_dim + revealed


def sound(
    family: TaskFamily,
    obs: Float[Tensor, "world obs"],
    reward: Float[Tensor, "world"] | None = None,
) -> Bool[Tensor, "world"]:
    """Tell which worlds' numbers are finite and within the family's bound."""
    fine = (obs.abs() <= family.bound).all(-1)
    return fine if reward is None else fine & (reward.abs() <= family.bound)


def check_tasks(
    env: Worlds, tasks: Sequence[Task], worlds: Int[Tensor, "n"] | None
) -> None:
    """Refuse tasks that the worlds cannot be given, as `Env.assign` says."""
    count = env.worlds if worlds is None else len(worlds)
    if len(tasks) != count:
        raise ValueError(f"{count} worlds take as many tasks, got {len(tasks)}")
    strange = {task.family for task in tasks} - {env.family.name}
    if strange:
        raise ValueError(
            f"tasks of {', '.join(sorted(strange))} in worlds of {env.family.name}"
        )
    if worlds is not None and not env.tasks:
        raise RuntimeError("assign tasks to all worlds before some")

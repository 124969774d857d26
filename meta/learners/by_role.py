"""Roles: a learner with parameters of each role's own, in a team.

Agents of one policy act alike where they observe alike, unless they observe which one
they are (Gupta et al. 2017, AAMAS workshops; Terry et al. 2020, arXiv 2005.13625). Here
each role has all that its learner learns to itself, and nothing is shared but worlds:
independent learners, with a baseline of their own or a central one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from meta.experience.rollout import Experience, mapped
from meta.learner import Learner, Metrics, Relives, exploring, sequential
from meta.theta import Params, Theta, group, prefixed
from policies.acting import Act, RecurrentPolicy, Transition
from policies.distribution import Distribution, distribution, parts


class ByRole:
    """One learner for every role of a team, each with a theta of its own.

    In theta, and in what is kept beside it, a role's tensors have its name before
    theirs. The adaptations of a team's agents lie side by side, as their tasks do. All
    roles begin alike.

    Args:
        learner: learns for one role; it keeps no state, so that one will do.
        roles: the role of each agent, in the order of the team's agents.
    """

    def __init__(self, learner: Learner, roles: Sequence[str]) -> None:
        self.learner, self.roles = learner, tuple(roles)
        self._team = _Team(self.roles)

    @property
    def inner_steps(self) -> int:
        """Number of times that each role's adapts in an iteration."""
        return self.learner.inner_steps

    @property
    def sequential(self) -> bool:
        """True if each episode is played in the knowledge of those before."""
        return sequential(self.learner)

    @property
    def relives(self) -> bool:
        """True if each role learns from earlier iterations, too."""
        return isinstance(self.learner, Relives) and self.learner.relives

    def stage(self, progress: float) -> tuple["ByRole", float]:
        """Return each role's in charge, and what remains of its stage."""
        learner, left = self.learner.stage(progress)
        return ByRole(learner, self.roles), left

    def initial(self, obs_dim: int) -> Theta:
        """Return untrained parameters and fresh statistics of every role."""
        return self._named(lambda _: self.learner.initial(obs_dim))

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return the tensors of every role that the optimiser changes."""
        each = (self.learner.trainable(group(theta, r)) for r in self._team.agents)
        return [tensor for tensors in each for tensor in tensors]

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return every agent's adaptation before any experience.

        Raises:
            ValueError: for tasks that are no whole teams: then roles are unknown.
        """
        teams, agents = self._team.teams(tasks), self._team.agents
        begun = {
            role: self.learner.begin(group(theta, role), teams * len(own))
            for role, own in agents.items()
        }
        return self._joined(begun, tasks)

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """Return the adapted policies, each row's by its agent's role."""
        return self._acting(theta, adaptation, _acting)

    def explore(self, theta: Theta, adaptation: Params) -> Act:
        """Return the policies of the adapting episodes, likewise."""
        return self._acting(theta, adaptation, exploring)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Adapt every agent by its role's learner, on its own experience."""
        tasks = len(experience.valid)
        adapted = {
            role: self.learner.adapt(
                group(theta, role),
                self._own(adaptation, role, tasks),
                self._lived(experience, role),
            )
            for role in self._team.agents
        }
        return self._joined(adapted, tasks)

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Let every role learn from its own agents' experience, one after another.

        Returns:
            Means over the roles.
        """
        found: list[Metrics] = []
        for role in self._team.agents:
            # the optimiser passes over the others' tensors, which have no gradient
            lived = [self._lived(e, role) for e in experiences]
            found.append(self.learner.update(group(theta, role), optimizer, lived))
        names = dict.fromkeys(name for metrics in found for name in metrics)
        values = {n: [metrics[n] for metrics in found if n in metrics] for n in names}
        return {name: sum(xs) / len(xs) for name, xs in values.items()}

    def relive(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        kept: Theta,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Let every role learn from what is kept of its own agents."""
        learner = cast(Relives, self.learner)
        return self._named(
            lambda role: learner.relive(
                group(theta, role),
                optimizer,
                group(kept, role),
                [self._lived(e, role) for e in experiences],
                rng,
            )
        )

    def _named(self, make: Callable[[str], Theta]) -> Theta:
        """Return what every role makes, under its name."""
        found: Theta = {}
        for role in self._team.agents:
            found |= prefixed(role, make(role))
        return found

    def _lived(self, e: Experience, role: str) -> Experience:
        return mapped(e, lambda x: self._team.part(x, role, len(x)))

    def _own(self, adaptation: Params, role: str, tasks: int) -> Params:
        return {k: self._team.part(v, role, tasks) for k, v in adaptation.items()}

    def _joined(self, each: Mapping[str, Params], tasks: int) -> Params:
        names = next(iter(each.values()))
        return {
            name: self._team.joined({r: own[name] for r, own in each.items()}, tasks)
            for name in names
        }

    def _acting(
        self,
        theta: Theta,
        adaptation: Params,
        make: Callable[[Learner, Theta, Params], Act],
    ) -> Act:
        team, tasks = self._team, len(next(iter(adaptation.values())))
        acts: dict[str, Act] = {}
        for role in team.agents:
            own = self._own(adaptation, role, tasks)
            acts[role] = make(self.learner, group(theta, role), own)

        def decide(obs: Tensor) -> Distribution:
            found = {r: act(team.part(obs, r, tasks)) for r, act in acts.items()}
            return team.acted(found, tasks)

        remembering = {r: a for r, a in acts.items() if isinstance(a, RecurrentPolicy)}
        if not remembering:
            return decide

        def policy(obs: Tensor, memory: Tensor) -> Distribution:
            found = {
                r: a.policy(team.part(obs, r, tasks), team.part(memory, r, tasks))
                for r, a in remembering.items()
            }
            return team.acted(found, tasks)

        def watch(memory: Tensor, step: Transition) -> Tensor:
            found = {
                r: a.watch(
                    team.part(memory, r, tasks),
                    Transition(*(team.part(x, r, tasks) for x in step)),
                )
                for r, a in remembering.items()
            }
            return team.joined(found, tasks)

        start = team.joined({r: a.memory for r, a in remembering.items()}, tasks)
        return RecurrentPolicy(memory=start, policy=policy, watch=watch)


def _acting(learner: Learner, theta: Theta, adaptation: Params) -> Act:
    return learner.act(theta, adaptation)


def within(learner: Learner) -> Learner:
    """Return the learner of each role, or the one that all agents share."""
    return learner.learner if isinstance(learner, ByRole) else learner


def instead(learner: Learner, other: Learner) -> Learner:
    """Return another learner in the place of the one `within`."""
    return ByRole(other, learner.roles) if isinstance(learner, ByRole) else other


class _Team:
    """The places of every role's agents among rows that are grouped by task.

    Args:
        roles: the role of each agent, in the order of the team's agents.
    """

    def __init__(self, roles: tuple[str, ...]) -> None:
        self.size = len(roles)
        self.agents = {
            role: [i for i, own in enumerate(roles) if own == role] for role in roles
        }

    def teams(self, tasks: int) -> int:
        """Return the number of teams that so many tasks are of.

        Raises:
            ValueError: for tasks that are no whole teams.
        """
        if tasks % self.size:
            raise ValueError(
                "a policy with parameters of each role's own acts for whole teams: "
                f"tasks come in multiples of {self.size}, got {tasks}"
            )
        return tasks // self.size

    def part(
        self, rows: Shaped[Tensor, "row ..."], role: str, tasks: int
    ) -> Shaped[Tensor, "own ..."]:
        """Return the rows of one role."""
        laid = rows.unflatten(0, (self.teams(tasks), self.size, -1))
        return torch.stack([laid[:, i] for i in self.agents[role]], 1).flatten(0, 2)

    def joined(
        self, parts: Mapping[str, Shaped[Tensor, "own ..."]], tasks: int
    ) -> Shaped[Tensor, "row ..."]:
        """Return the rows of all roles again, as they lay."""
        teams, laid = self.teams(tasks), dict[int, Tensor]()
        for role, own in self.agents.items():
            agents = parts[role].unflatten(0, (teams, len(own), -1)).unbind(1)
            laid |= dict(zip(own, agents, strict=True))
        return torch.stack([laid[i] for i in range(self.size)], 1).flatten(0, 2)

    def acted(self, each: Mapping[str, Distribution], tasks: int) -> Distribution:
        """Return the distributions of all rows."""
        found = {role: parts(d.whole()) for role, d in each.items()}
        places = {role: location for role, (location, _) in found.items()}
        spreads = {r: spread for r, (_, spread) in found.items() if spread is not None}
        spread = self.joined(spreads, tasks) if spreads else None
        return distribution(self.joined(places, tasks), spread)

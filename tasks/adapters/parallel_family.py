"""Teams in other simulators: any parallel environment of PettingZoo as a family."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from tasks.external import ExternalFamily
from tasks.parameters import Value
from tasks.rows import AGENT
from tasks.spaces import Vector

Game = ParallelEnv[str, Any, Any]


class ParallelFamily(ExternalFamily):
    """A distribution of tasks in a parallel environment of PettingZoo, on the CPU.

    Subclasses state what those of `ExternalFamily` do, and `agents`, all of which have
    observations and actions of the same sizes; `tasks.rows.agent_parameter(agents)` is
    among their parameters.
    """

    agents: ClassVar[tuple[str, ...]]

    @abstractmethod
    def make_game(self) -> Game:
        """Make the environment of one world."""

    @abstractmethod
    def set_task(self, game: Game, parameters: Mapping[str, Value]) -> None:
        """Give a world its task, from its next reset on and until it is set again."""

    def make(self, worlds: int) -> Vector:
        """Make the worlds of so many rows."""
        return ParallelRows(self, worlds // self.team)

    def set_tasks(
        self,
        envs: Vector,
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        """Give worlds their tasks; the first agent's is the world's."""
        rows = envs.unwrapped
        assert isinstance(rows, ParallelRows)
        if len(worlds) == rows.num_envs:
            rows.arrange([str(task[AGENT]) for task in tasks])
        for row, task in zip(worlds, tasks, strict=True):
            if task[AGENT] == self.agents[0]:
                game = rows.games[int((rows.places == row).any(1).argmax())]
                self.set_task(game, {k: v for k, v in task.items() if k != AGENT})


class ParallelRows(VectorEnv[Any, Any, Any]):
    """Worlds of a parallel environment as rows of a vector environment, one an agent.

    An agent that left its world stays as it was. A world is reset when the episodes of
    all of its agents are over.

    Args:
        family: makes the worlds.
        worlds: number of worlds.

    Raises:
        ValueError: for agents of other names than the family's, or unequal spaces.
    """

    def __init__(self, family: ParallelFamily, worlds: int) -> None:
        self.games = [family.make_game() for _ in range(worlds)]
        self.agents, first = list(family.agents), self.games[0]
        if set(first.possible_agents) != set(self.agents):
            raise ValueError(
                f"family {family.name} states the agents {', '.join(self.agents)}; its "
                f"environment has {', '.join(first.possible_agents)}"
            )
        spaces = [
            (first.observation_space(a), first.action_space(a)) for a in self.agents
        ]
        if any(pair != spaces[0] for pair in spaces):
            raise ValueError(
                f"the agents of family {family.name} have spaces of different sizes: "
                "pad them (SuperSuit does) so that one policy fits all"
            )
        self.num_envs = worlds * len(self.agents)
        self.single_observation_space, self.single_action_space = spaces[0]
        self.observation_space = batch_space(spaces[0][0], self.num_envs)
        self.action_space = batch_space(spaces[0][1], self.num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.arrange(self.agents * worlds)
        blank = np.zeros_like(self.single_observation_space.sample())
        self._obs = np.stack([blank] * self.num_envs)

    def arrange(self, agents: Sequence[str]) -> None:
        """Say whose each row is; the i-th rows of all agents share the i-th world."""
        named = np.array(agents)
        columns = [np.flatnonzero(named == agent) for agent in self.agents]
        self.places: NDArray[np.int_] = np.stack(columns, axis=1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begin an episode in every world, or in those whose rows are all masked."""
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_))
        for world, game in enumerate(self.games):
            if mask[self.places[world]].all():
                obs, _ = game.reset(seed=None if seed is None else seed + world)
                self._keep(world, obs)
        return self._obs.copy(), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every world that still has an agent."""
        reward = np.zeros(self.num_envs)
        ended, cut, success = (np.zeros(self.num_envs, np.bool_) for _ in range(3))
        ended[:] = True
        for world, game in enumerate(self.games):
            rows = dict(zip(self.agents, self.places[world], strict=True))
            if not game.agents:
                continue
            obs, won, over, late, infos = game.step(
                {agent: actions[rows[agent]] for agent in game.agents}
            )
            self._keep(world, obs)
            for agent in won:
                row = rows[agent]
                reward[row], ended[row], cut[row] = won[agent], over[agent], late[agent]
                info = infos.get(agent, {})
                success[row] = info.get("is_success", info.get("success", False))
        return self._obs.copy(), reward, ended, cut, {"is_success": success}

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ANN401  (Gymnasium's)
        """Close every world."""
        for game in self.games:
            game.close()

    def _keep(self, world: int, obs: Mapping[str, Any]) -> None:
        for agent, row in zip(self.agents, self.places[world], strict=True):
            if agent in obs:
                self._obs[row] = obs[agent]

"""Teams as environments of PettingZoo: one world, an action and a reward an agent."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.utils import EzPickle
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from tasks.adapters.gym import spaces_of, stream_of
from tasks.adapters.pictures import MODES, Picture, make_pictures
from tasks.adapters.stream import batched, step_info
from tasks.registry import FAMILIES
from tasks.task import Task

Floats = NDArray[np.float32]


class TeamEnv(ParallelEnv[str, Any, Any], EzPickle):
    """One world of a team family, in which every agent acts at once.

    Each reset draws a new task, unless it is given one: `reset(options={"task": task})`
    takes the `Task` of any agent, or its JSON. An agent whose episode ended leaves
    `agents`, and the others go on.

    Args:
        family: name of the family.
        split: where tasks are drawn from.
        oracle: whether observations end with the hidden parameters.
        render_mode: `rgb_array`, or none.
        width: of a picture [pixels].
        height: of a picture [pixels].
        camera: name of a camera of the scene; by default the one that sees most.

    Raises:
        ValueError: for a family that is unknown or no team, a split or a render mode.
    """

    # as PettingZoo wants it
    metadata: dict[str, Any] = {"render_modes": list(MODES), "is_parallelizable": True}  # noqa: RUF012

    def __init__(
        self,
        family: str,
        *,
        split: str = "train",
        oracle: bool = False,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
    ) -> None:
        EzPickle.__init__(
            self,
            family,
            split=split,
            oracle=oracle,
            render_mode=render_mode,
            width=width,
            height=height,
            camera=camera,
        )
        agents = _agents_of(family)
        self.possible_agents = list(agents)
        self.agents: list[str] = []
        self.render_mode = render_mode
        self._stream = stream_of(family, split, len(agents), oracle=oracle)
        env = self._stream.env
        self._pictures = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        fps = round(1 / env.sim.control_dt)
        self.metadata = self.metadata | {"name": family, "render_fps": fps}
        obs, action = spaces_of(env)
        self.observation_spaces = {agent: obs for agent in agents}
        self.action_spaces = {agent: action for agent in agents}
        whole = (len(agents) * env.obs_dim,)
        self.state_space = Box(-np.inf, np.inf, whole, np.float32)
        self._seeds = np.random.default_rng()
        self._state = np.zeros(whole, np.float32)

    @property
    def task(self) -> Task:
        """The task of the episode, as the first agent has it."""
        return self._stream.env.tasks[0]

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Floats], dict[str, dict[str, Any]]]:
        """Begin an episode; a seed decides its task and state, and all that follow.

        Options other than `task` are ignored, as PettingZoo's tests want it.

        Raises:
            ValueError: for a task of another family.
        """
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        self._stream.restart(int(self._seeds.integers(2**62)))
        given, tasks = (options or {}).get("task"), None
        if given is not None:
            family = self._stream.env.family
            team = family.of_team(self._stream.parse(given))
            tasks = dict[int, object](enumerate(team))
        obs = self._stream.reset(tasks=tasks)
        self.agents = list(self.possible_agents)
        self.close()
        infos = {
            agent: {"task": task.to_json()}
            for agent, task in zip(self.agents, self._stream.env.tasks, strict=True)
        }
        return self._seen(obs), infos

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, Floats],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Take one step; success, fault and the reward's terms are in the infos.

        Raises:
            ValueError: for agents that do not act, or an action of another shape.
        """
        if set(actions) != set(self.agents):
            raise ValueError(
                f"the agents that act are {', '.join(self.agents) or 'none: reset'}; "
                f"got actions of {', '.join(actions) or 'none'}"
            )
        if not self.agents:
            return {}, {}, {}, {}, {}
        env, acting = self._stream.env, self.agents
        rows = {agent: self.possible_agents.index(agent) for agent in acting}
        moves = torch.zeros(env.worlds, env.action_dim)
        for agent, row in rows.items():
            moves[row] = batched(actions[agent], env.action_dim)
        step = env.step(moves)
        ended = {a: bool(step.terminated[row]) for a, row in rows.items()}
        cut = {a: bool(step.truncated[row]) and not ended[a] for a, row in rows.items()}
        seen = self._seen(step.obs)
        info = step_info(step)
        self.agents = [a for a in acting if not (ended[a] or cut[a])]
        return (
            seen,
            {agent: float(step.reward[row]) for agent, row in rows.items()},
            ended,
            cut,
            {a: {k: v[row].item() for k, v in info.items()} for a, row in rows.items()},
        )

    def state(self) -> Floats:
        """Return all agents' observations in one row, for a critic that sees them."""
        return self._state

    def render(self) -> Picture | None:
        """Draw the world, if the render mode is `rgb_array`."""
        return self._pictures.draw([0])[0] if self._pictures else None

    def close(self) -> None:
        """Give the renderer's memory back."""
        if self._pictures:
            self._pictures.close()

    def _seen(self, obs: torch.Tensor) -> dict[str, Floats]:
        self._state = obs.flatten().numpy()
        rows = zip(self.possible_agents, obs, strict=True)
        return {a: row.numpy() for a, row in rows if a in self.agents}


def _agents_of(family: str) -> tuple[str, ...]:
    kind = FAMILIES.get(family)
    if not (agents := kind.agents if kind else ()):
        teams = ", ".join(name for name, kind in FAMILIES.items() if kind.agents)
        raise ValueError(f"family {family!r} is no team; teams: {teams}")
    return agents

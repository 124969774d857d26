"""The environment: a family's tasks on a simulator, one task a world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from robots.sim.simulator import Readings, Simulator
from tasks.family import Family, Instant, Values
from tasks.simulators import make_simulator
from tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step returned. An episode that ended stays as it is until its reset."""

    obs: Float[Tensor, "world obs"]
    """The observation after the step; of an ended episode, its last."""
    reward: Float[Tensor, "world"]
    terminated: Bool[Tensor, "world"]
    """Ended by the task's own rule or by a fault."""
    truncated: Bool[Tensor, "world"]
    """Ended by the horizon."""
    fault: Bool[Tensor, "world"]
    success: Bool[Tensor, "world"]
    terms: Mapping[str, Float[Tensor, "world"]]


class Env:
    """W worlds of one family.

    One step: clip actions, let the family turn them into controls, advance the
    physics by one control period, read, judge, observe. Worlds are never reset
    silently.

    Args:
        family: the family; its device is that of the worlds.
        worlds: number of worlds W.
        oracle: whether observations end with the hidden parameters.
        threads: simulator threads on the CPU; 0 means one per CPU.
        simulator: W worlds of the family's model; made for its device if not given.
    """

    def __init__(
        self,
        family: Family,
        *,
        worlds: int,
        oracle: bool = False,
        threads: int = 0,
        simulator: Simulator | None = None,
    ) -> None:
        self.family = family
        self.worlds = worlds
        self.oracle = oracle
        revealed = sum(p.width for p in family.hidden) if oracle else 0
        self.obs_dim = family.obs_dim + revealed
        self.action_dim = family.action_dim
        self.horizon = family.horizon
        self.device = family.device
        self.sim = simulator or make_simulator(family, worlds, threads)
        self.tasks: tuple[Task, ...] = ()
        self._values: Values = {}
        self._revealed = torch.empty(worlds, 0, device=self.device)
        self._steps = torch.zeros(worlds, device=self.device)

    def assign(self, tasks: Sequence[Task]) -> None:
        """Give each world its task; a reset must follow.

        Raises:
            ValueError: for another number of tasks than worlds, or another family.
        """
        if len(tasks) != self.worlds:
            raise ValueError(
                f"{self.worlds} worlds take as many tasks, got {len(tasks)}"
            )
        strange = {task.family for task in tasks} - {self.family.name}
        if strange:
            raise ValueError(
                f"tasks of {', '.join(sorted(strange))} in worlds of {self.family.name}"
            )
        self.tasks = tuple(tasks)
        # what a task means is worked out once, however many worlds have it
        distinct = {id(task): task for task in tasks}
        place = {key: i for i, key in enumerate(distinct)}
        rows = torch.tensor([place[id(task)] for task in tasks])
        values = self.family.values(list(distinct.values()))
        if self.family.fields:
            fields = self.family.model_fields(values)
            self.sim.assign({name: v[rows] for name, v in fields.items()})
        if self.oracle:
            self._revealed = self.family.reveal(values)[rows].to(self.device)
        self._values = {name: v[rows].to(self.device) for name, v in values.items()}

    def reset(
        self, rng: torch.Generator, worlds: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "world obs"]:
        """Start a new episode in some worlds (all by default)."""
        if not self.tasks:
            raise RuntimeError("the worlds have no tasks yet: call assign first")
        chosen = slice(None) if worlds is None else worlds
        values = {name: v[chosen] for name, v in self._values.items()}
        qpos, qvel = self.family.start(values, rng)
        readings = self.sim.reset(qpos, qvel, worlds)
        self._steps[chosen] = 0
        self._now = self._instant(readings)
        return self._observe()

    def step(self, action: Float[Tensor, "world action"]) -> Step:
        """Advance every world by one control period."""
        action = action.clamp(-1.0, 1.0)
        before = self._now
        readings = self.sim.step(self.family.control(before, action))
        self._steps += 1
        self._now = self._instant(readings)
        outcome = self.family.judge(before, self._now, action)
        reward = torch.zeros(self.worlds, device=self.device)
        for name, term in outcome.terms.items():
            reward += self.family.weights[name] * term
        return Step(
            obs=self._observe(),
            reward=reward,
            terminated=outcome.terminated | readings.fault,
            truncated=self._steps >= self.horizon,
            fault=readings.fault,
            success=outcome.success & ~readings.fault,
            terms=outcome.terms,
        )

    def _instant(self, readings: Readings) -> Instant:
        return Instant(
            readings=readings,
            progress=self._steps / self.horizon,
            values=self._values,
        )

    def _observe(self) -> Float[Tensor, "world obs"]:
        obs = self.family.observe(self._now)
        return torch.cat([obs, self._revealed], dim=-1) if self.oracle else obs

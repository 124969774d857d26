"""The environment: a family's tasks on a simulator, one task a world."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from robots.sim.simulator import Readings, Simulator
from tasks.contract import Step, check_tasks, observation_size, sound
from tasks.family import Family, Instant, Outcome
from tasks.rows import Rows
from tasks.simulators import make_simulator
from tasks.task import Task


class Env:
    """W worlds of one family, or of a team as many rows: one an agent of each world.

    One step: clip actions, let the family turn them into controls, advance the
    physics by one control period, read, judge, observe. Worlds are never reset
    silently. An action, observation or reward that is not finite, or one beyond the
    family's bound, is a fault, as a state is that the simulator cannot go on from.

    Args:
        family: the family; its device is that of the worlds.
        worlds: number of worlds W; of rows, for a team.
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
        self.obs_dim = observation_size(family, oracle=oracle)
        self.action_dim = family.action_dim
        self.horizon = family.horizon
        self.device = family.device
        self._rows = Rows(family.agents)
        count = self._rows.worlds(worlds)
        self.sim = simulator or make_simulator(family, count, threads)
        self.tasks: tuple[Task, ...] = ()
        self._values: dict[str, Tensor] = {}
        self._revealed = torch.empty(worlds, 0, device=self.device)
        self._started = False
        self._steps = torch.zeros(count, device=self.device)
        # worlds whose numbers were unsound, though their states are not
        self._unsound = torch.zeros(worlds, dtype=torch.bool, device=self.device)
        # agents whose episodes are over: they act no more, and the others go on
        self._over = torch.zeros_like(self._unsound)

    def assign(
        self, tasks: Sequence[Task], worlds: Int[Tensor, "n"] | None = None
    ) -> None:
        """Give some worlds (all by default) their tasks.

        An episode that is under way goes on in the new task, unless it is reset.

        Args:
            tasks: one a world.
            worlds: indices of the n worlds, ascending.

        Raises:
            ValueError: for another number of tasks than worlds, or another family.
            RuntimeError: for some worlds before all have had a task.
        """
        check_tasks(self, tasks, worlds)
        given = torch.arange(self.worlds) if worlds is None else worlds.cpu()
        named = dict(zip(given.tolist(), tasks, strict=True))
        every = tuple(named.get(w) or self.tasks[w] for w in range(self.worlds))
        self._rows.arrange(every, self.device, again=worlds is not None)
        chosen = None if worlds is None else self._rows.chosen(worlds)
        # each task is worked out once, however many worlds have it
        distinct = {id(task): task for task in tasks}
        place = {key: i for i, key in enumerate(distinct)}
        rows = torch.tensor([place[id(task)] for task in tasks])
        values = self.family.values(list(distinct.values()))
        # a team's world is what the task of its first agent says
        lead = self._rows.first(
            torch.zeros(self.worlds).long().index_copy(0, given, rows)
        )
        lead = lead if chosen is None else lead[chosen.cpu()]
        if self.family.fields:
            fields = self._fields(values, len(distinct))
            self.sim.assign({name: v[lead] for name, v in fields.items()}, chosen)
        own = {name: v[lead].to(self.device) for name, v in values.items()}
        revealed = self._revealed
        if self.oracle:
            revealed = self.family.reveal(values)[rows].to(self.device)
        if worlds is not None and chosen is not None:
            own = {k: self._values[k].index_copy(0, chosen, v) for k, v in own.items()}
            if self.oracle:
                revealed = self._revealed.index_copy(0, worlds, revealed)
        self.tasks, self._values, self._revealed = every, own, revealed
        if self._started:
            self._now = replace(self._now, values=own)

    def reset(
        self, rng: torch.Generator, worlds: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "world obs"]:
        """Start a new episode in some worlds (all by default)."""
        if not self.tasks:
            raise RuntimeError("the worlds have no tasks yet: call assign first")
        begun = None if worlds is None else self._rows.chosen(worlds)
        chosen = slice(None) if begun is None else begun
        values = {name: v[chosen] for name, v in self._values.items()}
        start: Any = self.family.start(values, rng)
        if not isinstance(start, tuple | list) or len(start) != 2:
            raise self._other("start returns qpos and qvel", start)
        qpos, qvel = start
        count, model = len(self._steps[chosen]), self.family.model
        self._check_shape("qpos that start", qpos, (count, model.nq))
        self._check_shape("qvel that start", qvel, (count, model.nv))
        readings = self.sim.reset(qpos, qvel, begun)
        self._steps[chosen] = 0
        self._now, self._started = self._instant(readings), True
        obs = self._observe(self._now)
        rows = slice(None) if worlds is None else worlds
        self._unsound[rows] = ~sound(self.family, obs)[rows]
        self._over[rows] = False
        self._obs = torch.where(self._unsound[:, None], 0.0, obs)
        return self._obs

    def step(self, action: Float[Tensor, "world action"]) -> Step:
        """Advance every world by one control period."""
        if not self._started:
            raise RuntimeError("the worlds have no state yet: call reset first")
        rows = self._rows
        sane = action.isfinite().all(-1, keepdim=True)
        acts = sane & ~self._over[:, None]
        action = rows.by_world(torch.where(acts, action.clamp(-1.0, 1.0), 0.0))
        before = self._now
        control = self.family.control(before, action)
        wanted = len(self._steps), self.family.model.nu
        self._check_shape("what control", control, wanted)
        # the simulator stops a world whose control is not finite
        going = rows.by_world(sane).flatten(1).any(-1, keepdim=True)
        readings = self.sim.step(torch.where(going, control, torch.nan))
        self._steps += 1
        now = self._now = self._instant(readings)
        outcome = self._judge(before, now, action)
        terms = {name: rows.of_each(term) for name, term in outcome.terms.items()}
        reward = torch.zeros(self.worlds, device=self.device)
        for name, term in terms.items():
            reward += self.family.weights[name] * term
        obs = self._observe(now)
        broken = ~sane[:, 0] | ~sound(self.family, obs, reward)
        self._unsound = self._unsound | broken
        fault = rows.of_each(readings.fault) | self._unsound
        self._obs = torch.where(fault[:, None], self._obs, obs)
        terminated = rows.of_each(outcome.terminated) | fault
        if self.family.agents:
            self._over = self._over | terminated
        return Step(
            obs=self._obs,
            reward=torch.where(fault, 0.0, reward),
            terminated=terminated,
            truncated=rows.of_each(self._steps >= self.horizon),
            fault=fault,
            success=rows.of_each(outcome.success) & ~fault,
            terms={k: torch.where(fault, 0.0, v) for k, v in terms.items()},
        )

    def _other(self, wanted: str, got: object) -> ValueError:
        """Return the error for something else than a method of the family returns."""
        kind = type(got).__name__
        return ValueError(f"family {self.family.name}: {wanted}, got {kind}")

    def _check_shape(self, what: str, value: object, wanted: tuple[int, int]) -> None:
        shape = tuple(value.shape) if isinstance(value, Tensor) else None
        if shape != wanted:
            got = shape or type(value).__name__
            raise ValueError(
                f"family {self.family.name}: {what} returns is a tensor of shape "
                f"{wanted}, got {got}"
            )

    def _instant(self, readings: Readings) -> Instant:
        return Instant(
            readings=readings,
            progress=self._steps / self.horizon,
            values=self._values,
        )

    def _judge(self, before: Instant, now: Instant, action: Tensor) -> Outcome:
        outcome: Any = self.family.judge(before, now, action)
        name, weights = self.family.name, self.family.weights
        if not isinstance(outcome, Outcome):
            kind = type(outcome).__name__
            raise ValueError(f"family {name}: judge returns an Outcome, got a {kind}")
        if strange := sorted(outcome.terms.keys() - weights.keys()):
            raise ValueError(
                f"family {name}: reward terms {', '.join(weights)} have a weight, "
                f"{', '.join(strange)} has none"
            )
        count = (len(self._steps),)
        allowed = (count, (*count, self._rows.team)) if self.family.agents else (count,)
        parts = {"success": outcome.success, "terminated": outcome.terminated}
        for part, value in {**outcome.terms, **parts}.items():
            if (shape := tuple(value.shape)) not in allowed:
                raise ValueError(
                    f"family {name}: {part} that judge returns has shape "
                    f"{' or '.join(map(str, allowed))}, got {shape}"
                )
        for part, value in parts.items():
            if value.dtype != torch.bool:
                raise ValueError(
                    f"family {name}: {part} that judge returns is of torch.bool, got "
                    f"{value.dtype}"
                )
        return outcome

    def _fields(self, values: Mapping[str, Tensor], tasks: int) -> Mapping[str, Tensor]:
        fields: Any = self.family.model_fields(values)
        wanted = set(self.family.fields)
        if not isinstance(fields, Mapping):
            each = f"for each of {', '.join(sorted(wanted))}"
            raise self._other(f"model_fields returns a tensor by name {each}", fields)
        shapes = {name: tuple(value.shape) for name, value in fields.items()}
        if set(shapes) != wanted or any(s[:1] != (tasks,) for s in shapes.values()):
            raise ValueError(
                f"family {self.family.name}: model_fields returns "
                f"{', '.join(sorted(wanted))}, each with a row for all {tasks} tasks, "
                "got "
                f"{', '.join(f'{name} {s}' for name, s in sorted(shapes.items()))}"
            )
        return fields

    def _observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        seen: Any = self.family.observe(now)
        if not isinstance(seen, Tensor):
            raise self._other("observe returns a tensor", seen)
        obs = self._rows.of_each(seen)
        if obs.shape[-1:] != (self.family.obs_dim,):
            raise ValueError(
                f"family {self.family.name}: observe returns obs_dim = "
                f"{self.family.obs_dim} numbers a world, got {tuple(obs.shape)}"
            )
        return torch.cat([obs, self._revealed], dim=-1) if self.oracle else obs

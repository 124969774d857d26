"""Worlds with people of which every physics step is looked at."""

import numpy as np
import torch
from torch import Tensor

from robots.humans.person import HAND
from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings
from tasks.contract import Step
from tasks.env import Env
from tasks.family import Instant
from tasks.people import safety
from tasks.people.handover import Handover

STILL = {"person": 0.05, "robot": 0.03}
"""Speeds below which the hand and the tool are idle [m/s]."""


class Unsafe(Handover):
    """The family with its layer switched off."""

    def safe(self, now: Instant, action: Tensor) -> safety.Checked:
        """Return the velocity as the policy wants it."""
        wanted = self.wanted(now, action)
        return safety.Checked(wanted, torch.zeros(len(wanted), dtype=torch.bool))


class Watched(CpuSimulator):
    """Worlds of which every physics step is looked at."""

    def __init__(self, family: Handover, worlds: int) -> None:
        super().__init__(family.model, worlds=worlds, substeps=1, threads=1)
        self._held = family.substeps
        dofs = [int(family.model.joint(name).dofadr[0]) for name in HAND]
        self._dofs, self._forces = dofs, self._batch.bind("qfrc_constraint")
        self._joints = family.hand
        self.clear()

    def clear(self) -> None:
        """Begin to watch anew."""
        self.nearest = torch.full((self.worlds,), torch.inf)
        self.excess = torch.full((self.worlds,), -torch.inf)
        self.force = torch.zeros(self.worlds)

    def step(self, ctrl: Tensor) -> Readings:
        """Advance by one control period, and keep the worst of its steps."""
        readings = super().step(ctrl)
        self._watch(readings)
        for _ in range(self._held - 1):
            readings = super().step(ctrl)
            self._watch(readings)
        return readings

    def _watch(self, readings: Readings) -> None:
        sensors = readings.sensors
        apart, towards = safety.separation(
            sensors["tool_pos"], self._joints.positions(readings)
        )
        speed = (sensors["tool_vel"] * towards).sum(-1)
        force = torch.from_numpy(np.linalg.norm(self._forces[:, self._dofs], axis=1))
        self.nearest = torch.minimum(self.nearest, apart)
        self.excess = torch.maximum(self.excess, speed - safety.allowed(apart))
        self.force = torch.maximum(self.force, force.float())


class Counted(Env):
    """Worlds that count their protective stops, and see who is idle."""

    stops: Tensor
    _places: list[Tensor]
    _open: list[Tensor]

    def reset(self, rng: torch.Generator, worlds: Tensor | None = None) -> Tensor:
        """Start new episodes, of which nothing is counted yet."""
        self.stops = torch.zeros(self.worlds)
        self._places, self._open = [], []
        obs = super().reset(rng, worlds)
        self._look()
        return obs

    def step(self, action: Tensor) -> Step:
        """Advance, and count."""
        step = super().step(action)
        self.stops = self.stops + step.terms["stopped"]
        self._look()
        return step

    def idle(self) -> dict[str, Tensor]:
        """Return the time until the person has decided [s], and shares of it.

        Those in which the person's hand and the robot's tool are still.
        """
        places, going = torch.stack(self._places), torch.stack(self._open[:-1])
        period = self.sim.control_dt * self.family.substeps
        speed = (places[1:] - places[:-1]).norm(dim=-1) / period
        steps = going.sum(0).clamp(min=1)
        found = {
            name: ((speed[..., i] < most) & going).sum(0) / steps
            for i, (name, most) in enumerate(STILL.items())
        }
        return found | {"time": steps * period}

    def _look(self) -> None:
        r = self._now.readings
        family = self.family
        assert isinstance(family, Handover)
        tool, hand = r.sensors["tool_pos"], family.hand.positions(r)
        self._places.append(torch.stack([hand, tool], dim=1))
        self._open.append(family.mood(self._now) == 0)

"""A simulator that keeps the episode it runs."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings, Simulator


class Tape:
    """A simulator of one world that keeps the states and controls of its episode."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = cpu_simulator(sim)
        self.model, self.worlds = sim.model, sim.worlds
        self.control_dt, self.device = sim.control_dt, sim.device
        self.states: list[Float[np.ndarray, "1 state"]] = []
        self.controls: list[Float[np.ndarray, "1 nu"]] = []

    def assign(
        self, fields: Mapping[str, Tensor], worlds: Int[Tensor, "n"] | None = None
    ) -> None:
        """See `Simulator.assign`."""
        self.sim.assign(fields, worlds)

    def reset(
        self, qpos: Tensor, qvel: Tensor, worlds: Int[Tensor, "n"] | None = None
    ) -> Readings:
        """Begin the episode that is kept."""
        readings = self.sim.reset(qpos, qvel, worlds)
        self.states, self.controls = [self.sim.state()], []
        return readings

    def step(self, ctrl: Float[Tensor, "1 nu"]) -> Readings:
        """Keep the control, and the state that it led to."""
        self.controls.append(ctrl.double().numpy())
        readings = self.sim.step(ctrl)
        self.states.append(self.sim.state())
        return readings


def cpu_simulator(sim: Simulator) -> CpuSimulator:
    """Return the simulator, if it is one whose states can be kept."""
    if not isinstance(sim, CpuSimulator):
        raise TypeError("states are recorded and replayed by the CPU simulator")
    return sim

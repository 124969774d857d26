"""The CPU simulator: `mujoco.batch.Batch` behind the contract of `simulator.py`."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Int, Num
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray
from torch import Tensor

from robots.sim.simulator import (
    MAX_THREADS,
    Pools,
    Readings,
    check_declared,
    check_shape,
    force_columns,
    sensor_columns,
)

# a world that diverges is reported as a fault: MuJoCo need not write a file about it
_hooks: Any = mujoco  # whose stubs lack them
if _hooks.get_mju_user_warning() is None:
    _hooks.set_mju_user_warning(logging.getLogger("mujoco").info)
_SENSED = mujoco.mjtStage.mjSTAGE_VEL.value
"""The last stage that positions and velocities decide; makes their sensors current."""


class CpuSimulator:
    """W worlds stepped on a thread pool, in float64, bit-identical to `mj_step`.

    Args:
        model: the compiled model all worlds share.
        worlds: number of worlds W.
        substeps: physics steps per control period.
        fields: names of the MjModel fields that `assign` may write per world.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for non-positive counts, or a field that cannot differ per world.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        worlds: int,
        substeps: int,
        fields: Sequence[str] = (),
        threads: int = 0,
    ) -> None:
        if worlds < 1 or substeps < 1 or not 0 <= threads <= MAX_THREADS:
            raise ValueError(
                "worlds and substeps must be at least 1 and threads at least 0 and at "
                f"most {MAX_THREADS}, got worlds={worlds}, substeps={substeps}, "
                f"threads={threads}"
            )
        self.model = model
        self.worlds = worlds
        self.substeps = substeps
        self.control_dt = substeps * float(model.opt.timestep)
        self.device = torch.device("cpu")
        # a world that diverges is reported, never silently restarted
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._batch = Batch(model, worlds, threads)
        self._state = {n: self._batch.bind(n) for n in ("time", "qpos", "qvel", "ctrl")}
        self._sensordata = self._batch.bind("sensordata")
        self._ncon, self._nefc = self._batch.bind("ncon"), self._batch.bind("nefc")
        self._fields = {name: self._batch.expand(name) for name in fields}
        # mj_setConst would put these, although assigned, back to the model's values
        only_derived = set(mujoco.MjModel._setconst_outputs)
        only_derived -= set(mujoco.MjModel._setconst_inputs)
        self._kept = [v for n, v in self._fields.items() if n in only_derived]
        self._columns, self._force_columns = sensor_columns(model), force_columns(model)
        self._felt = np.zeros((worlds, len(self._force_columns)))
        self._before = np.empty_like(self._batch.state)
        self._fault = np.zeros(worlds, dtype=bool)

    def assign(
        self,
        fields: Mapping[str, Num[Tensor, "n ..."]],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> None:
        """See `Simulator.assign`."""
        ids = _ids(worlds)
        rows = slice(None) if ids is None else ids
        for name, values in fields.items():
            check_declared(name, self._fields)
            target = self._fields[name]
            count = self.worlds if ids is None else len(ids)
            check_shape(f"field {name!r}", values, (count, *target.shape[1:]))
            target[rows] = values.numpy()
        kept = [target.copy() for target in self._kept]
        try:
            self._batch.set_const(ids)
        except SimulationError as error:
            raise ValueError(f"cannot assign {', '.join(fields)}: {error}") from error
        for target, values in zip(self._kept, kept, strict=True):
            target[:] = values

    def reset(
        self,
        qpos: Float[Tensor, "n nq"],
        qvel: Float[Tensor, "n nv"],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> Readings:
        """See `Simulator.reset`."""
        ids = _ids(worlds)
        rows = slice(None) if ids is None else ids
        count = self.worlds if ids is None else len(ids)
        for name, values in (("qpos", qpos), ("qvel", qvel)):
            check_shape(name, values, (count, self._state[name].shape[1]))
            if not values.isfinite().all():
                raise ValueError(f"{name} to reset to must be finite")
        self._batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        self._state["qpos"][rows] = qpos.numpy()
        self._state["qvel"][rows] = qvel.numpy()
        self._batch.warning[rows] = 0
        self._fault[rows] = False
        self._felt[rows] = 0.0
        self._batch.forward(ids, stage=_SENSED)
        return self._read()

    def step(self, ctrl: Float[Tensor, "world nu"]) -> Readings:
        """See `Simulator.step`."""
        check_shape("ctrl", ctrl, self._state["ctrl"].shape)
        finite = ctrl.isfinite().all(1).numpy()
        self._fault |= ~finite
        self._state["ctrl"][:] = np.where(finite[:, None], ctrl.numpy(), 0.0)
        np.copyto(self._before, self._batch.state)
        healthy = np.flatnonzero(~self._fault) if self._fault.any() else None
        raised = np.empty(0, dtype=int)
        try:
            self._batch.step(healthy, nstep=self.substeps, stage=_SENSED)
        except SimulationError as error:
            raised = error.ids
        self._freeze(raised)
        if self._force_columns.size:
            sound = ~self._fault
            self._felt[sound] = self._sensordata[sound][:, self._force_columns]
        return self._read()

    def state(self) -> Float[np.ndarray, "world size"]:
        """Copy all that the next step depends on: rows of mjSTATE_INTEGRATION."""
        return self._batch.state.copy()

    def set_state(self, state: Float[np.ndarray, "world size"]) -> Readings:
        """Continue every world from a copy of `state`, with no fault.

        Raises:
            ValueError: for a wrong shape.
        """
        if state.shape != self._batch.state.shape:
            raise ValueError(
                f"state takes values of shape {self._batch.state.shape}, "
                f"got {state.shape}"
            )
        self._batch.state[:] = state
        self._batch.warning[:] = 0
        self._fault[:] = False
        self._felt[:] = 0.0
        self._batch.forward(stage=_SENSED)
        return self._read()

    def peak_contacts(self) -> Pools:
        """Return the most contacts and constraint rows that any world has now."""
        return Pools(contacts=int(self._ncon.max()), constraints=int(self._nefc.max()))

    def model_of(self, world: int) -> mujoco.MjModel:
        """Copy the model with the fields of one world, to render or inspect."""
        return self._batch.get_model(world)

    def _freeze(self, raised: NDArray[np.int_]) -> None:
        """Return newly faulty worlds to their state before the step, and mark them."""
        finite = np.isfinite(self._batch.state).all(axis=1)
        fault = np.asarray(~finite | self._batch.warning[:, :, 1].any(axis=1))
        fault[raised] = True
        fresh = np.flatnonzero(fault & ~self._fault)
        if not fresh.size:
            return
        self._fault[fresh] = True
        self._batch.state[fresh] = self._before[fresh]
        self._batch.forward(fresh, stage=_SENSED)

    def _read(self) -> Readings:
        # casting copies: a reading does not change under its holder
        sensed = self._sensordata.astype(np.float32)
        sensed[:, self._force_columns] = self._felt
        sensordata = torch.from_numpy(sensed)
        state = {
            name: torch.from_numpy(self._state[name].astype(np.float32))
            for name in ("time", "qpos", "qvel")
        }
        return Readings(
            **state,
            sensors={n: sensordata[:, columns] for n, columns in self._columns.items()},
            fault=torch.from_numpy(self._fault.copy()),
        )


def _ids(worlds: Int[Tensor, "n"] | None) -> NDArray[np.int_] | None:
    return None if worlds is None else worlds.numpy().astype(int)

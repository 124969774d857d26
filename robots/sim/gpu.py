"""The GPU simulator: MuJoCo Warp behind the contract of `simulator.py`.

It also runs on Warp's CPU device, serially and only for tests: there it must agree with
`CpuSimulator` to single precision.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from jaxtyping import Float, Int, Num
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from robots.sim.derived import derived
from robots.sim.simulator import (
    Pools,
    Readings,
    check_declared,
    check_shape,
    force_columns,
    sensor_columns,
)
from robots.sim.warp import captured, find_device, freeze, move_columns

_CHUNK = 1024  # worlds whose derived constants are computed at once
_STATE = ("time", "qpos", "qvel", "act", "qacc_warmstart")
_POSES = ("body_pos", "body_quat", "geom_pos", "geom_quat")
# contacts dropped when a pool is too small change the physics; solvers that stop at
# their iteration limit do not count, here as on the CPU
_DROPPED = int(mjw.OverflowType.ALL) & ~int(
    mjw.OverflowType.ITERATIONS | mjw.OverflowType.LS_ITERATIONS
)


class WarpSimulator:
    """W worlds in single precision; nothing leaves the device between resets.

    One captured graph is one control period. On CUDA, Warp's stream is ordered with
    torch's default stream, on which all tensors must be used.

    Args:
        model: the compiled model all worlds share.
        worlds: number of worlds W.
        substeps: physics steps per control period.
        pools: room for contacts and constraints. A world that lacks it has a fault.
        fields: names of the MjModel fields that `assign` may write per world.
        device: where the worlds live: a CUDA device, or "cpu".

    Raises:
        ValueError: for non-positive counts, a field that cannot differ per world here,
            a model with a feature that MuJoCo Warp lacks, no such device, or a driver
            that is too old.
        MemoryError: if the device's memory does not hold the worlds.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        worlds: int,
        substeps: int,
        pools: Pools,
        fields: Sequence[str] = (),
        device: torch.device | str = "cuda",
    ) -> None:
        if min(worlds, substeps, pools.contacts, pools.constraints) < 1:
            raise ValueError(
                "worlds, substeps and pools must be at least 1, got "
                f"worlds={worlds}, substeps={substeps}, {pools}"
            )
        self.model = model
        self.worlds = worlds
        self.substeps = substeps
        self.control_dt = substeps * float(model.opt.timestep)
        self.device = torch.device(device)
        self._fields = tuple(fields)
        self._derived = derived(model, fields)
        self._warp = find_device(self.device)
        try:
            with wp.ScopedDevice(self._warp):
                self._allocate(pools)
                self._capture()
        except RuntimeError as error:
            if "allocate" not in str(error):
                raise
            raise MemoryError(
                f"{self.device} has no room for {worlds} worlds of {pools}"
            ) from error
        self._columns = sensor_columns(model)

    def assign(
        self,
        fields: Mapping[str, Num[Tensor, "n ..."]],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> None:
        """See `Simulator.assign`. Derived constants are computed on the CPU."""
        ids = slice(None) if worlds is None else worlds.to(self.device)
        count = self.worlds if worlds is None else len(worlds)
        for name, values in fields.items():
            check_declared(name, self._fields)
            shape = (count, *np.shape(getattr(self.model, name)))
            check_shape(f"field {name!r}", values, shape)
            self._check_movable(name, values)
        fields = self._whole(fields, ids)
        for start in range(0, count, _CHUNK):
            part = {n: v[start : start + _CHUNK] for n, v in fields.items()}
            rows = torch.arange(self.worlds, device=self.device)[ids]
            rows = rows[start : start + _CHUNK]
            for name, values in (part | self._constants(part)).items():
                target = self._targets[name]
                target[rows] = values.reshape(len(rows), *target.shape[1:]).to(target)

    def reset(
        self,
        qpos: Float[Tensor, "n nq"],
        qvel: Float[Tensor, "n nv"],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> Readings:
        """See `Simulator.reset`."""
        ids = slice(None) if worlds is None else worlds
        count = self.worlds if worlds is None else len(worlds)
        for name, values in (("qpos", qpos), ("qvel", qvel)):
            check_shape(name, values, (count, self._views[name].shape[1]))
            if not values.isfinite().all():
                raise ValueError(f"{name} to reset to must be finite")
        self._mask.fill_(worlds is None)
        self._mask[ids] = True
        self._clear()
        self._views["qpos"][ids] = qpos
        self._views["qvel"][ids] = qvel
        self._fault[ids] = False
        self._sense()
        return self._read()

    def step(self, ctrl: Float[Tensor, "world nu"]) -> Readings:
        """See `Simulator.step`."""
        check_shape("ctrl", ctrl, tuple(self._views["ctrl"].shape))
        self._views["ctrl"].copy_(ctrl)
        self._advance()
        return self._read()

    def _check_movable(self, name: str, values: Tensor) -> None:
        """Refuse to move what is fixed to the world: Warp places it once, at the start.

        It would do so without a word.
        """
        if name not in _POSES:
            return
        rows = np.arange(len(getattr(self.model, name)))
        bodies = self.model.geom_bodyid[rows] if name.startswith("geom") else rows
        fixed = rows[self.model.body_weldid[bodies] == 0]
        model = torch.from_numpy(getattr(self.model, name)[fixed])
        if not torch.equal(
            values.cpu()[:, fixed].double(), model.expand(len(values), *model.shape)
        ):
            raise ValueError(
                f"field {name!r} cannot move what is fixed to the world on MuJoCo "
                "Warp: hang it on a mocap body"
            )

    def _allocate(self, pools: Pools) -> None:
        sizes = dict.fromkeys((*self._fields, *self._derived), self.worlds)
        model = copy.copy(self.model)
        # Warp never restarts a world that diverges, and does not know the flag
        model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        # between boxes, the up to eight contacts of the CPU and not four
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        try:
            self._m = mjw.put_model(model, batch_sizes=sizes)
        except (ValueError, NotImplementedError) as error:
            raise ValueError(f"MuJoCo Warp cannot run this model: {error}") from error
        self._m.opt.warn_overflow = 0  # the bits are read, nothing is printed
        self._d = mjw.make_data(
            model,
            nworld=self.worlds,
            nconmax=pools.contacts,
            njmax=pools.constraints,
        )
        self._kept = [wp.clone(getattr(self._d, name)) for name in _STATE]
        self._faulty = wp.zeros(self.worlds, dtype=bool)
        self._chosen = wp.zeros(self.worlds, dtype=bool)
        self._fault, self._mask = wp.to_torch(self._faulty), wp.to_torch(self._chosen)
        self._felt = wp.clone(self._d.sensordata)
        self._none = wp.zeros(self.worlds, dtype=bool)
        self._force_columns = wp.array(force_columns(model), dtype=int)
        named = ("time", "qpos", "qvel", "ctrl", "sensordata")
        self._views = {n: wp.to_torch(getattr(self._d, n)) for n in named}
        self._targets = {n: wp.to_torch(getattr(self._m, n)) for n in sizes}

    def _capture(self) -> None:
        m, d, device = self._m, self._d, self._warp
        self._clear = captured(device, partial(mjw.reset_data, m, d, self._chosen))
        self._sense = captured(device, self._refresh)
        self._advance = captured(device, self._period)

    def _refresh(self) -> None:
        """Sense worlds whose state was written from outside."""
        if self.model.neq:
            # equality constraints read velocities of bodies before they are computed
            mjw.fwd_position(self._m, self._d)
            mjw.fwd_velocity(self._m, self._d)
        self._sense_all()

    def _period(self) -> None:
        """Take sensed worlds to sensed worlds, one control period later."""
        m, d = self._m, self._d
        state = [getattr(d, name) for name in _STATE]
        for kept, now in zip(self._kept, state, strict=True):
            wp.copy(kept, now)
        d.sensordata.zero_()  # step2 adds to the forces of touch
        mjw.step2(m, d)
        for _ in range(self.substeps - 1):
            mjw.step(m, d)
        wp.launch(
            freeze,
            dim=self.worlds,
            inputs=[_DROPPED, d.overflow, d.ctrl, *self._kept],
            outputs=[*state, self._faulty],
        )
        self._sense_all()

    def _sense_all(self) -> None:
        """Sense what positions and velocities decide, and keep the forces as they are.

        `mjw.step1` clears them. Worlds with a fault have those of before it.
        """
        felt, sensed = self._felt, self._d.sensordata
        move = partial(
            wp.launch, move_columns, dim=(self.worlds, len(self._force_columns))
        )
        move(inputs=[self._force_columns, self._faulty], outputs=[sensed, felt])
        mjw.step1(self._m, self._d)
        move(inputs=[self._force_columns, self._none], outputs=[felt, sensed])

    def _whole(
        self, fields: Mapping[str, Tensor], ids: Tensor | slice
    ) -> dict[str, Tensor]:
        """Return all declared fields of some worlds, those not given as they are."""
        return {
            name: fields[name].cpu()
            if name in fields
            else self._targets[name][ids].cpu().double()
            for name in self._fields
        }

    def _constants(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Let MuJoCo derive the constants of worlds with these fields.

        Neighbours that are alike, the worlds of one task, are worked out once.
        """
        if not self._derived:
            return {}
        flat = torch.cat([v.flatten(1).double() for v in fields.values()], dim=1)
        starts = torch.ones(len(flat), dtype=torch.bool)
        starts[1:] = (flat[1:] != flat[:-1]).any(1)
        fields = {name: values[starts] for name, values in fields.items()}
        group = starts.cumsum(0) - 1
        count = int(starts.sum())
        batch = Batch(self.model, count)
        for name, values in fields.items():
            target = batch.expand(name)
            target[:] = values.numpy().reshape(target.shape)
        try:
            batch.set_const()
        except SimulationError as error:
            raise ValueError(f"cannot assign {', '.join(fields)}: {error}") from error
        found: dict[str, Tensor] = {}
        for name in self._derived:
            values = batch.expanded(name)
            if values is None:
                values = np.repeat(getattr(self.model, name)[None], count, axis=0)
            found[name] = torch.from_numpy(np.array(values))[group]
        return found

    def _read(self) -> Readings:
        # copies: a reading does not change under its holder
        sensors = self._views["sensordata"].clone()
        return Readings(
            time=self._views["time"].clone(),
            qpos=self._views["qpos"].clone(),
            qvel=self._views["qvel"].clone(),
            sensors={n: sensors[:, columns] for n, columns in self._columns.items()},
            fault=self._fault.clone(),
        )

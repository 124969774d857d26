"""drive-avoid: pass somebody who jumps aside late, and always the same way.

Somebody stands on the lane and jumps aside when the car is near, to a side that is
their habit. A car that has made for that side hits them, and one that waits to see has
to be slow, the more so the more slippery the road. Passing on the other side from afar
is fast and safe: which one it is must be known beforehand, and how fast the car may go
depends on the grip.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.wheeled.figures import STEER
from robots.wheeled.road import TARMAC, add_camera, make_scene
from tasks.contract import Values
from tasks.driving.drive_family import DriveFamily, between
from tasks.driving.scenery import add_line
from tasks.family import Instant, Outcome, per_world
from tasks.parameters import Choice, Scalar

SPEED = (2.0, 2.8)  # [m/s], at which the car comes along
TOP = 2.8  # [m/s], faster earns no more
AHEAD = (3.0, 3.8)  # [m], of the car: where somebody stands
NEAR = 1.4  # [m], ahead of the car: where they jump
ROOM = 0.5  # [m], from the middle of the lane to its edge, and how far they jump
REACH = (0.35, 0.32)  # [m], ahead and aside: nearer than both is a collision


class DriveAvoid(DriveFamily):
    """Pass somebody whose habit it is to jump to one side, at a grip unknown."""

    name = "drive-avoid"
    summary = "pass somebody who jumps aside late, to a side that is their habit"
    success = "the car has passed them, and neither hit them nor left its lane"
    horizon = 34
    substeps = 15
    obs_dim = 9
    action_dim = 2
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("habit", "haste"), "they may be jumping"
    )
    scenery = ("haste",)
    parameters = (
        Choice(name="habit", options=("left", "right")),
        Scalar(
            name="friction",
            unit="1",
            low=0.08,
            high=0.6,
            hole=(0.18, 0.25),
            beyond=((0.06, 0.08), (0.6, 0.9)),
            log=True,
        ),
        Scalar(name="haste", unit="m/s", low=0.4, high=0.7, beyond=((0.7, 0.9),)),
    )
    fields = ("geom_friction",)
    weights: ClassVar[Mapping[str, float]] = {"progress": 1.0, "forfeited": -1.0}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._walker = Coordinates(self.model, ["walker_x", "walker_y"], device)
        self._full = TOP * self.substeps * self.model.opt.timestep * self.horizon

    def compile(self) -> mujoco.MjModel:
        """A lane with the car, and somebody on it."""
        spec = make_scene(centre=(2.5, 0.0))
        add_line(spec, (2.9, 0.0), (3.9, ROOM + 0.15), TARMAC)
        for side in (-ROOM - 0.12, ROOM + 0.12):
            add_line(spec, (2.9, side), (3.9, 0.012))
        self.car.attach(spec)
        _add_walker(spec)
        add_camera(spec, "overview", pos=(-2.0, -1.0, 1.4), towards=(2.2, 0.0, 0.0))
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The grip of all tyres."""
        grip = values["friction"].double()[:, None].expand(-1, 4)
        return per_world(self.model, **self._own.friction(grip))

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The car rolling along its lane, somebody some way ahead."""
        worlds = len(values["friction"])
        u = torch.rand(worlds, 5, generator=rng, device=self.device)
        y, yaw = 0.2 * (u[:, 1] - 0.5), 0.1 * (u[:, 2] - 0.5)
        zero = torch.zeros(worlds, device=self.device)
        qpos, qvel = self.begin(zero, y, yaw, between(SPEED, u[:, 0]))
        place = [between(AHEAD, u[:, 3]), 0.2 * (u[:, 4] - 0.5)]
        qpos[:, self._walker.qpos] = torch.stack(place, dim=-1)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A steering angle and a pedal; and the jump of the one on the lane."""
        ahead, _ = self._gap(now)
        y = self._walker.positions(now.readings)[:, 1]
        side = 1 - 2 * now.values["habit"]
        jump = side * now.values["haste"] * ((ahead < NEAR) & (y.abs() < ROOM)).float()
        command = torch.stack([STEER * action[:, 0], action[:, 1]], dim=-1)
        return torch.cat([self._drive(now.readings, command), jump[:, None]], dim=-1)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """The car on its lane, where somebody is (not how fast they move), time."""
        motion = self.motion(now.readings)
        ahead, aside = self._gap(now)
        return torch.stack(
            [
                2 * motion.y,
                2 * motion.yaw.sin(),
                (motion.ahead - 2) / 1.5,
                motion.aside,
                0.3 * motion.turn,
                ahead / 2,
                (2 * ahead).tanh(),
                2 * aside,
                2 * now.progress - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """The way made good; a collision or the roadside forfeits all of it."""
        was, motion = self.motion(before.readings), self.motion(now.readings)
        ahead, aside = self._gap(now)
        hit = (ahead.abs() < REACH[0]) & (aside.abs() < REACH[1])
        over = hit | (motion.y.abs() > ROOM)
        most = self._full / self.horizon
        won = (motion.x / self._full).clamp(0, 1)
        return Outcome(
            terms={
                "progress": (motion.x - was.x).clamp(0, most) / self._full,
                "forfeited": over * won,
            },
            success=~over & (ahead < -REACH[0]),
            terminated=over,
        )

    def _gap(self, now: Instant) -> tuple[Tensor, Tensor]:
        """Return how far ahead and to the left of the car somebody is [m]."""
        motion, walker = self.motion(now.readings), self._walker.positions(now.readings)
        return walker[:, 0] - motion.x, walker[:, 1] - motion.y


def _add_walker(spec: mujoco.MjSpec) -> None:
    """Add somebody whose place is part of the physics state, and who touches nothing.

    A collision is judged by distance: what follows one decides nothing.
    """
    body = spec.worldbody.add_body(name="walker", gravcomp=1)
    body.explicitinertial, body.mass = True, 1.0
    body.ipos, body.inertia = np.zeros(3), np.ones(3)
    for name, axis in (("walker_x", [1, 0, 0]), ("walker_y", [0, 1, 0])):
        body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    for kind, z, size, rgba in (
        (mujoco.mjtGeom.mjGEOM_CAPSULE, 0.16, [0.07, 0.09, 0], (0.95, 0.72, 0.18, 1)),
        (mujoco.mjtGeom.mjGEOM_SPHERE, 0.34, [0.06, 0, 0], (0.87, 0.68, 0.55, 1)),
    ):
        body.add_geom(
            type=kind,
            pos=[0, 0, z],
            size=size,
            contype=0,
            conaffinity=0,
            rgba=list(rgba),
        )
    jump = spec.add_actuator(
        name="jump", target="walker_y", trntype=mujoco.mjtTrn.mjTRN_JOINT
    )
    jump.set_to_velocity(kv=50.0)

"""push: a finger pushes an object to a pose without seeing where it goes.

The object turns away from a push beside its centre of mass, which a shape moves, too.
The hand hides it from the camera until the push is over, so that it cannot be corrected
on the way: a policy that does not know the object averages. Friction and mass vary too,
and next to nothing depends on them.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome, per_world
from tasks.manipulation.arm_family import around
from tasks.manipulation.handles import Handles
from tasks.manipulation.handling import PATCH, BankFamily, yaw
from tasks.manipulation.target import add_target
from tasks.objects import bank, generator
from tasks.objects.generated import Generated
from tasks.objects.object_set import Objects
from tasks.parameters import Scalar
from tasks.rewards import closeness

PLACE = (0.55, -0.10)  # [m], the side of the object that is pushed; along y
TARGET = ((-0.02, 0.02), (0.12, 0.20))  # [m], across and along the push
TOOL_Z = 0.045  # [m], height of the finger's centre
SPEED = 0.35  # [m/s], of a full command
PUSHING = 8  # steps that the push may take; the hand rests in those that are left
INSERT_SHARE = 0.6  # share of the object's mass in the insert that shifts its centre
SUCCESS = (0.03, math.radians(15))  # [m], [rad]

SOLIDS = Generated(generator.TRAIN, flat=True)
UNSEEN = Generated(generator.UNSEEN, flat=True)


class Push(BankFamily):
    """Push an object of hidden centre of mass and shape to a pose."""

    name = "push"
    summary = "push an unknown object to a pose, unseen while it is pushed"
    success = "the object ends within 3 cm and 15 degrees of the pose"
    horizon = 12
    substeps = 20
    obs_dim = 10
    action_dim = 2
    start_x, start_y = around(PLACE[0], 0.01), (PLACE[1] - 0.04, PLACE[1] - 0.03)
    tool_z = TOOL_Z
    # the finger reaches down to 5 mm above the table, the hand to 13 cm; half to twice
    # as long and wide as the objects that training shows
    handles = Handles(
        length=(0.04, 0.25),
        width=(0.04, 0.25),
        height=(0.02, 0.125),
        slope=math.radians(20),  # more slender ones fall over instead of sliding
    )
    solids, insert, insert_share = (SOLIDS, UNSEEN), "insert_y", INSERT_SHARE
    splits = (*Family.splits, "unseen")
    fixed_within_episode: ClassVar[Mapping[str, str]] = {
        "shape": "the robot may touch the object"
    }
    scenery = ("friction", "mass")
    parameters = (
        Scalar(
            name="insert_y",
            unit="m",
            low=-0.045,
            high=0.045,
            hole=(0.012, 0.022),
            beyond=((-0.055, -0.045), (0.045, 0.055)),
        ),
        Scalar(
            name="friction",
            unit="1",
            low=0.15,
            high=0.4,
            beyond=((0.1, 0.15), (0.4, 0.6)),
            log=True,
        ),
        Scalar(name="mass", unit="kg", low=0.2, high=0.8, beyond=((0.8, 1.2),)),
        bank.shape_among(SOLIDS, UNSEEN),
    )
    fields = (*bank.GEOM_FIELDS, *bank.BODY_FIELDS, "geom_friction", "body_pos")
    weights: ClassVar[Mapping[str, float]] = {
        "near": 0.5 / horizon,
        "placed": 1.0,
        "effort": -0.05 / horizon,
    }

    def __init__(
        self, device: torch.device | str = "cpu", objects: Objects | None = None
    ) -> None:
        super().__init__(device, objects)
        self._goal = Coordinates(self.model, ["target_x", "target_y"], device)
        self._place = torch.tensor(PLACE, device=device)
        low, high = torch.tensor(TARGET, device=device).mT
        self._target = low, high - low
        # the pushed side of every object is at the same place, its middle is not
        self._half_here = self._half.to(device)

    @staticmethod
    def place_insert(
        value: Float[Tensor, "world"], half: Float[Tensor, "world"]
    ) -> Float[Tensor, "world 3"]:
        """On the table, across the push."""
        zero = torch.zeros_like(value)
        return torch.stack([zero, value, zero], dim=-1)

    def compile(self) -> mujoco.MjModel:
        """The arm with a finger, an object before it and where that is to be."""
        spec = self.robot.scene()
        spec.geom("paddle").size = np.array([0.008, 0.012, 0.04])
        self.add_object(spec, PLACE, condim=4)
        add_target(spec, axes="xy", at=(*PLACE, 0.001), radius=SUCCESS[0])
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Shape, mass properties and friction of the object, and the target's place."""
        body = self.model.body("target")
        target = torch.from_numpy(body.pos).repeat(len(values["shape"]), 1)
        target[:, 1] += self._half[values["shape"].long()]
        return per_world(
            self.model,
            **self.object_fields(values, torsional=PATCH),
            body_pos=(body.id, target),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The finger behind the object, a little off; the target anew each episode."""
        worlds = len(values["mass"])
        u = torch.rand(worlds, 4, generator=rng, device=self.device)
        low, extent = self._target
        qpos, qvel = self.begin(u[:, :2])
        pose = qpos[:, self._object.qpos]
        pose[:, 0] = PLACE[0]
        pose[:, 1] = PLACE[1] + self._half_here[values["shape"].long()]
        pose[:, 2] = bank.RESTING
        pose[:, 3] = pose[:, 6] = math.sqrt(0.5)  # its x axis along the push
        qpos[:, self._goal.qpos] = low + extent * u[:, 2:]
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A planar velocity of the finger, at constant height, while it may push."""
        plane = SPEED * action.flip(-1) * ~_over(now)[:, None]
        return self.move_level(now, plane)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Finger, target and time; how the object has moved once the push is over."""
        r = now.readings
        moved, turned = self._moved(now)
        seen = torch.cat([10 * moved, turned[:, None]], -1) * _over(now)[:, None]
        return torch.cat(
            [
                10 * (r.sensors["tool_pos"][:, :2] - self._place),
                r.sensors["tool_vel"][:, :2],
                10 * self._goal.positions(r),
                2 * now.progress[:, None] - 1,
                seen,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the place all along, to the whole pose at the end."""
        moved, turned = self._moved(now)
        miss = (moved - self._goal.positions(now.readings)).norm(dim=-1)
        placed = closeness(miss, 0.05) * closeness(turned.abs(), 0.4)
        return Outcome(
            terms={
                "near": closeness(miss, 0.1),
                "placed": placed * (now.progress >= 1),
                "effort": action.square().mean(-1) * ~_over(before),
            },
            success=(miss < SUCCESS[0]) & (turned.abs() < SUCCESS[1]),
            terminated=torch.zeros_like(miss, dtype=torch.bool),
        )

    def _moved(
        self, now: Instant
    ) -> tuple[Float[Tensor, "world 2"], Float[Tensor, "world"]]:
        """Return how far the object has moved [m], and how far it is turned [rad]."""
        pose = self._object.positions(now.readings)
        moved = pose[:, :2] - self._place
        half = self._half_here[now.values["shape"].long()]
        moved = torch.stack([moved[:, 0], moved[:, 1] - half], dim=-1)
        turned = yaw(pose) - math.pi / 2
        return moved, torch.atan2(turned.sin(), turned.cos())


def _over(now: Instant) -> Tensor:
    return now.progress > (PUSHING - 0.5) / Push.horizon

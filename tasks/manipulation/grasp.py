"""grasp: two fingers lift an object of unknown balance and shape.

Held beside its centre of mass an object tips between the fingertips. Where its centre
of mass is shows only when it leaves the table, and then there is no time for another
grasp. Friction and mass vary too, and next to nothing depends on them.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float, Num
from torch import Tensor

from robots.arms.gripper import FINGERS, FORCE, OPEN, PandaGripper
from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome, per_world
from tasks.manipulation.arm_family import HOLD_GAIN, around
from tasks.manipulation.handles import Handles
from tasks.manipulation.handling import BankFamily
from tasks.objects import bank, generator
from tasks.objects.generated import Generated
from tasks.objects.object_set import Objects
from tasks.parameters import Scalar
from tasks.rewards import closeness

PLACE = (0.50, 0.0)  # [m], of the object, whose length lies along x
TOOL_Z = 0.02  # [m], height at which the fingers start, open, around the object
SPEED = (0.25, 0.25)  # [m/s], of a full command along x and up
OPENING = 5.0  # [N], of the least grip command; the greatest closes with all FORCE
INSERT_SHARE = 0.6  # share of the object's mass in the insert that shifts its centre
LIFTED = 0.08  # [m]
UPRIGHT = 0.25  # [rad]

SOLIDS = Generated(generator.TRAIN, flat=False)
UNSEEN = Generated(generator.UNSEEN, flat=False)


class Grasp(BankFamily):
    """Lift and hold objects of hidden centre of mass and shape."""

    name = "grasp"
    summary = "lift an unknown object level, with no more force than it needs"
    success = "the object ends more than 8 cm up, tilted by less than 14 degrees"
    horizon = 12
    substeps = 20
    obs_dim = 9
    action_dim = 3
    robot = PandaGripper()
    start_x, start_y, tool_z = around(PLACE[0], 0.01), around(0.0, 0.005), TOOL_Z
    # the fingers open to 8 cm and start up to 0.5 cm beside the middle; when they stand
    # on the table, the palm is 6.5 cm above it
    handles = Handles(length=(0.03, 0.25), width=(0.01, 0.075), height=(0.025, 0.065))
    solids, insert, insert_share = (SOLIDS, UNSEEN), "insert_x", INSERT_SHARE
    splits = (*Family.splits, "unseen")
    fixed_within_episode: ClassVar[Mapping[str, str]] = {
        "shape": "the robot may touch the object"
    }
    scenery = ("friction", "mass")
    parameters = (
        Scalar(
            name="insert_x",
            unit="half lengths",
            low=-0.7,
            high=0.7,
            hole=(0.15, 0.3),
            beyond=((-0.85, -0.7), (0.7, 0.85)),
        ),
        Scalar(
            name="friction",
            unit="1",
            low=0.5,
            high=1.0,
            beyond=((0.4, 0.5), (1.0, 1.3)),
            log=True,
        ),
        Scalar(name="mass", unit="kg", low=0.2, high=0.5, beyond=((0.5, 0.65),)),
        bank.shape_among(SOLIDS, UNSEEN),
    )
    fields = (*bank.GEOM_FIELDS, *bank.BODY_FIELDS, "geom_friction")
    weights: ClassVar[Mapping[str, float]] = {
        "lifted": 0.5 / horizon,
        "held": 1.0,
        "squeeze": -0.1 / horizon,
    }

    def __init__(
        self, device: torch.device | str = "cpu", objects: Objects | None = None
    ) -> None:
        super().__init__(device, objects)
        self._fingers = Coordinates(self.model, FINGERS, device)

    @staticmethod
    def place_insert(
        value: Float[Tensor, "world"], half: Float[Tensor, "world"]
    ) -> Float[Tensor, "world 3"]:
        """Along the object, as high as the fingers start."""
        zero = torch.zeros_like(value)
        return torch.stack([value * half, zero, zero + TOOL_Z], dim=-1)

    def compile(self) -> mujoco.MjModel:
        """The arm with its fingers around an object on the table."""
        spec = self.robot.scene()
        self.add_object(spec, PLACE, condim=3)
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 100  # friction that creeps would let a held object turn
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Shape, mass properties and friction of the object."""
        return per_world(self.model, **self.object_fields(values, torsional=0.0))

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Open fingers around the object's middle, a little off."""
        worlds = len(values["mass"])
        u = torch.rand(worlds, 3, generator=rng, device=self.device)
        qpos, qvel = self.begin(u[:, :2])
        qpos[:, self._fingers.qpos] = OPEN
        pose = qpos[:, self._object.qpos]
        pose[:, 0] = PLACE[0] + 0.01 * (2 * u[:, 2] - 1)
        pose[:, 1], pose[:, 2] = 0.0, bank.RESTING
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Velocity of the hand along x and up, and the force of the fingers."""
        along, up, grip = action.unbind(-1)
        across = -HOLD_GAIN * now.readings.sensors["tool_pos"][:, 1]
        velocity = torch.stack([SPEED[0] * along, across, SPEED[1] * up], -1)
        force = OPENING - (OPENING + FORCE) * (grip[:, None] + 1) / 2
        return torch.cat([self.move(now, velocity), force], dim=-1)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Hand, fingers, the object's place and tilt, and the time."""
        r = now.readings
        tool, pose = r.sensors["tool_pos"], self._object.positions(r)
        return torch.stack(
            [
                10 * (tool[:, 0] - PLACE[0]),
                10 * (tool[:, 2] - TOOL_Z),
                2 * r.sensors["tool_vel"][:, 0],
                2 * r.sensors["tool_vel"][:, 2],
                50 * (self._fingers.positions(r)[:, 0] - OPEN / 2),
                10 * (pose[:, 0] - tool[:, 0]),
                10 * pose[:, 2],
                2 * (pose[:, 3] * pose[:, 5] - pose[:, 6] * pose[:, 4]),
                2 * now.progress - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Reward height and level, all along and mostly at the end."""
        pose = self._object.positions(now.readings)
        height = pose[:, 2]
        upright = 1 - 2 * (pose[:, 4].square() + pose[:, 5].square())
        tilt = torch.acos(upright.clamp(-1.0, 1.0))
        # a hanging object counts a little, or training settles on lifting nothing
        level = 0.3 + 0.7 * closeness(tilt, 0.3)
        lifted = (height / 0.1).clamp(0.0, 1.0) * level
        return Outcome(
            terms={
                "lifted": lifted,
                "held": lifted * (now.progress >= 1),
                "squeeze": ((action[:, 2] + 1) / 2).square(),
            },
            success=(height > LIFTED) & (tilt < UPRIGHT),
            terminated=torch.zeros_like(height, dtype=torch.bool),
        )

"""strike: an arm strikes an object that slides out of reach, to stop on a target.

One blow decides. How hard to strike depends on the friction, and where on the centre of
mass and the shape, none of which the policy sees; a robust policy can only average.
Mass and size vary too, and next to nothing depends on them.
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
from tasks.manipulation.handles import Handles
from tasks.manipulation.handling import (
    BODY,
    PATCH,
    HandlingFamily,
    decide_friction,
    shortened,
    slot_friction,
    yaw,
)
from tasks.manipulation.target import add_target
from tasks.objects import shapes
from tasks.objects.bank import BODY_FIELDS, GEOM_FIELDS, Bank
from tasks.objects.object_set import Objects, ObjectSet
from tasks.objects.solids import Solid, spread_of
from tasks.parameters import Choice, Parameter, Scalar
from tasks.rewards import closeness

# The blow goes along y, across the arm's front, where its first joint is fastest: the
# speed limits allow 1.4 m/s there and only 0.5 m/s along x.
PLACE = (0.60, -0.05)  # [m], middle of the face that the object shows to the paddle
TARGET_Y = (0.52, 0.66)  # [m]; at x = 0.6 m that is beyond the arm's reach
TOOL_Z = 0.045  # [m], height of the paddle's centre
SPEED = (1.4, 0.5)  # [m/s], of a full command along and across the blow
INSERT_SHARE = 0.4  # share of the object's mass in the insert that shifts its centre
SUCCESS = 0.06  # [m]


class Strike(HandlingFamily):
    """Strike an object of hidden friction, centre of mass and shape."""

    name = "strike"
    summary = "strike an unknown object so that it slides to a target out of reach"
    success = "the object ends within 6 cm of the target, slower than 5 cm/s"
    horizon = 20
    substeps = 20
    obs_dim = 14
    action_dim = 2
    start_x, start_y, tool_z = (0.58, 0.62), (-0.08, -0.07), TOOL_Z
    # the paddle reaches down to 5 mm above the table and the hand to 13 cm, and a blow
    # dents 1 cm; half to twice as long and wide as the objects that training shows
    handles = Handles(
        length=(0.03, 0.2),
        width=(0.04, 0.25),
        height=(0.02, 0.125),
        slope=math.radians(20),  # more slender ones fall over instead of sliding
    )
    splits = (*Family.splits, "unseen")
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("shape", "size"), "the robot may touch the object"
    )
    scenery = ("mass", "size")
    parameters = (
        Scalar(
            name="friction",
            unit="1",
            low=0.04,
            high=0.13,
            hole=(0.065, 0.08),
            beyond=((0.03, 0.04), (0.13, 0.16)),
            log=True,
        ),
        Scalar(name="mass", unit="kg", low=0.2, high=0.8, beyond=((0.8, 1.2),)),
        Scalar(name="insert_y", unit="m", low=-0.03, high=0.03),
        Scalar(name="size", unit="m", low=0.045, high=0.06, beyond=((0.035, 0.045),)),
        Choice(
            name="shape",
            options=("box", "disc", "ell", "lollipop"),
            unseen=shapes.UNSEEN,
            traits=shapes.traits(),
        ),
    )
    fields = (
        "body_mass",
        "body_ipos",
        "body_iquat",
        "body_inertia",
        "geom_size",
        "geom_pos",
        "geom_margin",
        "geom_rgba",
        "geom_friction",
    )
    weights: ClassVar[Mapping[str, float]] = {
        "near": 0.5 / horizon,
        "placed": 1.0,
        "effort": -0.1 / horizon,
    }

    def __init__(
        self, device: torch.device | str = "cpu", objects: Objects | None = None
    ) -> None:
        self._bank: Bank | None = None
        self._slots = [f"object_{slot}" for slot in shapes.SLOTS]
        super().__init__(device, objects)
        self._target = Coordinates(self.model, ["target_y"], device)
        self._place = torch.tensor(PLACE, device=device)
        self._body = self.model.body(BODY).id
        self._geoms = [self.model.geom(name).id for name in self._slots]

    def use_objects(self, objects: ObjectSet) -> None:
        """A bank instead of the slots; the shape tells the size, which is its own."""
        struck = ObjectSet(
            *(
                tuple(shapes.in_strike_frame(s) for s in part)
                for part in (objects.seen, objects.unseen)
            )
        )
        self._bank = Bank(struck.all)
        self._slots = [f"{BODY}_{slot}" for slot in range(self._bank.slots)]
        [size] = (p for p in self.parameters if p.name == "size")
        sizes = [shapes.size_of(solid) for solid in struck.all]
        encoded = size.encode(torch.tensor(sizes))
        shape = Choice(
            name="shape",
            options=tuple(s.name for s in struck.seen),
            unseen=tuple(s.name for s in struck.unseen),
            # the features of size and shape, where the oracle was trained on them
            traits={
                s.name: (*row, *shapes.traits_of(s))
                for s, row in zip(struck.all, encoded.tolist(), strict=True)
            },
        )
        own: dict[str, Parameter] = {
            "shape": shape,
            "insert_y": shortened(self, "insert_y", objects.all, _place_insert),
        }
        self.parameters = tuple(
            own.get(p.name, p) for p in self.parameters if p is not size
        )
        self.scenery = tuple(name for name in self.scenery if name != size.name)
        self.fields = (*GEOM_FIELDS, *BODY_FIELDS, "geom_friction")

    def compile(self) -> mujoco.MjModel:
        """The arm, an object within its reach and a target beyond it."""
        spec = self.robot.scene()
        # the paddle's broad face looks along the blow
        spec.geom("paddle").size = np.array([0.06, 0.012, 0.04])
        if self._bank:
            self._bank.add_to(spec, BODY, (0.5, 0.0, shapes.HALF_HEIGHT))
        else:
            shapes.add_object(spec, "object")
        decide_friction(spec, self._slots, condim=4)
        self.let_touch(spec, self._slots)
        for name in self._slots:
            # softer than the default 0.02 s, at which flat objects rattle as they slide
            spec.geom(name).solref = np.array([0.03, 1.0])
        add_target(spec, axes="y", at=(PLACE[0], 0.0, 0.001), radius=SUCCESS)
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Shape, mass properties and friction of the object."""
        friction = slot_friction(values, len(self._slots), PATCH)
        body, geoms = self._body, self._geoms
        if self._bank:
            insert = torch.from_numpy(self._bank.com)[values["shape"].long()]
            insert[:, 1] += values["insert_y"]
            inertia = self._bank.inertia(
                self.model,
                BODY,
                values["shape"],
                mass=values["mass"],
                insert=insert,
                insert_share=INSERT_SHARE,
            )
            look = self._bank.fields(self.model, BODY, values["shape"])
            return per_world(
                self.model, **look, **inertia, geom_friction=(geoms, friction)
            )
        geometry = shapes.geometry(values["shape"], values["size"])
        inertia = shapes.inertia(
            values["shape"],
            values["size"],
            values["mass"],
            values["insert_y"],
            INSERT_SHARE,
        )
        return per_world(
            self.model,
            body_mass=(body, inertia.mass),
            body_ipos=(body, inertia.ipos),
            body_iquat=(body, inertia.iquat),
            body_inertia=(body, inertia.inertia),
            geom_size=(geoms, geometry.size),
            geom_pos=(geoms, geometry.pos),
            geom_margin=(geoms, geometry.margin),
            geom_rgba=(geoms, geometry.rgba),
            geom_friction=(geoms, friction),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The paddle behind the object, a little off; the target anew each episode."""
        worlds = len(values["mass"])
        u = torch.rand(worlds, 4, generator=rng, device=self.device)
        qpos, qvel = self.begin(u[:, :2])
        pose = qpos[:, self._object.qpos]
        pose[:, 0] = PLACE[0] + 0.02 * (u[:, 2] - 0.5)
        pose[:, 1] = PLACE[1]
        pose[:, 2] = shapes.HALF_HEIGHT
        pose[:, 3] = pose[:, 6] = math.sqrt(0.5)  # its x axis along the blow
        target = TARGET_Y[0] + (TARGET_Y[1] - TARGET_Y[0]) * u[:, 3:]
        qpos[:, self._target.qpos] = target
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A planar velocity of the paddle, at constant height, in the first step only.

        The blow is ballistic, 0.1 s long: over before anything it moved can be seen.
        With several steps, a robust policy taps the object, watches it slow down, and
        strikes again, knowing the friction.
        """
        blow = (now.progress == 0).float()
        along, across = (blow * v * a for v, a in zip(SPEED, action.mT, strict=True))
        return self.move_level(now, torch.stack([across, along], dim=-1))

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Paddle, object and target in the plane, and the time."""
        r = now.readings
        tool, target = r.sensors["tool_pos"][:, :2], self._target.positions(r)
        pose, velocity = self._object.positions(r), self._object.velocities(r)
        obj, turned = pose[:, :2], yaw(pose)
        return torch.cat(
            [
                10 * (tool - self._place),
                r.sensors["tool_vel"][:, :2],
                10 * (obj - tool),
                5 * (obj[:, :1] - PLACE[0]),
                2 * (target - obj[:, 1:]),
                velocity[:, :2],
                torch.stack([turned.cos(), 0.1 * velocity[:, 5]], dim=-1),
                10 * (target - sum(TARGET_Y) / 2),
                2 * now.progress[:, None] - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the target all along, and mostly at the end."""
        r = now.readings
        x, y = self._object.positions(r)[:, :2].unbind(-1)
        miss = torch.hypot(x - PLACE[0], y - self._target.positions(r)[:, 0])
        close = closeness(miss, 0.2)
        slow = torch.hypot(*self._object.velocities(r)[:, :2].unbind(-1)) < 0.05
        return Outcome(
            terms={
                "near": close,
                "placed": close * (now.progress >= 1),
                "effort": action.square().mean(-1),
            },
            success=(miss < SUCCESS) & slow,
            terminated=torch.zeros_like(slow),
        )


def _place_insert(solid: Solid, value: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Return a place beside the centre of mass of an object that a user brought."""
    com = torch.from_numpy(spread_of(solid.moments)[0]).float()
    return com + value[:, None] * torch.tensor([0.0, 1.0, 0.0])

"""drive-slide: one pull of the handbrake, and the car slides into a bay.

The car rolls towards a bay. Once the handbrake is pulled it stays pulled; its cable has
some slack, then all four wheels are locked, and where the car comes to rest is decided.
Grip and slack are hidden and cannot be felt before: a robust policy pulls it where a
middling road asks it to, and one that has seen where it stopped knows better. Within
the training ranges the bay is always far enough away; beyond them a fast car may not
stop in time, whatever it does.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.wheeled.road import TARMAC, add_camera, make_scene
from tasks.contract import Values
from tasks.driving.drive_family import DriveFamily, between
from tasks.driving.scenery import add_bay, add_line
from tasks.family import Instant, Outcome, per_world
from tasks.parameters import Scalar
from tasks.rewards import closeness

SPEED = (2.0, 2.7)  # [m/s], at which the car comes along
PLACE = (2.8, 3.4)  # [m], where the middle of the bay is
REACH = 3.2  # [m], the greatest distance from the bay at which to pull
HALF = (0.33, 0.22)  # [m], half the bay
STILL = 0.1  # [m/s], slower is at rest
PULLED = 0.001  # [s], what the clock shows at least once it is pulled


class DriveSlide(DriveFamily):
    """Slide to a stop in a bay, grip and brake unknown."""

    name = "drive-slide"
    summary = "slide into a bay by one pull of the handbrake"
    success = "the car stands (under 10 cm/s) within 15 cm of the middle of the bay"
    horizon = 80
    substeps = 7
    obs_dim = 5
    action_dim = 1
    fixed_within_episode: ClassVar[Mapping[str, str]] = {
        "slack": "the cable may be tight already"
    }
    parameters = (
        Scalar(
            name="friction",
            unit="1",
            low=0.2,
            high=0.9,
            hole=(0.4, 0.5),
            beyond=((0.17, 0.2), (0.9, 1.1)),
            log=True,
        ),
        Scalar(
            name="slack",
            unit="s",
            low=0.0,
            high=0.3,
            hole=(0.12, 0.17),
            beyond=((0.3, 0.4),),
        ),
    )
    fields = ("geom_friction",)
    weights: ClassVar[Mapping[str, float]] = {"near": 0.3 / horizon, "stopped": 1.0}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._bay = Coordinates(self.model, ["bay_x"], device)
        self._pulled = Coordinates(self.model, ["pulled"], device)
        self._period = self.substeps * self.model.opt.timestep

    def compile(self) -> mujoco.MjModel:
        """A lane with the car, a bay across it, and a clock that the pull starts."""
        spec = make_scene(centre=(2.0, 0.0))
        add_line(spec, (1.9, 0.0), (2.5, 0.5), TARMAC)
        for side in (-0.46, 0.46):
            add_line(spec, (1.9, side), (2.5, 0.012))
        self.car.attach(spec)
        add_bay(spec, axes=("x",), half=HALF)
        _add_clock(spec)
        add_camera(spec, "overview", pos=(2.6, -3.7, 1.9), towards=(1.95, 0.2, 0.0))
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The grip of all tyres."""
        grip = values["friction"].double()[:, None].expand(-1, 4)
        return per_world(self.model, **self._own.friction(grip))

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The car rolling at some speed, the bay some way ahead."""
        worlds = len(values["friction"])
        u = torch.rand(worlds, 2, generator=rng, device=self.device)
        zero = torch.zeros(worlds, device=self.device)
        speed = between(SPEED, u[:, 0])
        qpos, qvel = self.begin(zero, zero, zero, speed)
        qpos[:, self._bay.qpos] = between(PLACE, u[:, 1:])
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A distance from the bay: the car pulls the handbrake when it is nearer."""
        since = self._pulled.positions(now.readings)
        near = self._left(now)[:, None] < REACH * (1 + action) / 2
        pull = near | (since > PULLED)
        # half a period early as often as half a period late
        tight = pull & (since + self._period / 2 >= now.values["slack"][:, None])
        zero = torch.zeros_like(action)
        command = torch.cat([zero, zero, tight.float()], dim=-1)
        return torch.cat([self._drive(now.readings, command), pull.float()], dim=-1)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """The way that is left, the speed, whether the handbrake is pulled, time."""
        left = self._left(now)
        pulled = self._pulled.positions(now.readings)[:, 0] > PULLED
        return torch.stack(
            [
                left / 2 - 0.8,
                (3 * left).tanh(),
                2 * (self.motion(now.readings).ahead - 2.3),
                pulled.float(),
                2 * now.progress - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the bay all along, and of the car at rest at the end."""
        miss = self._left(now).abs()
        still = self.motion(now.readings).ahead.abs() < STILL
        near = closeness(miss, 0.3)
        return Outcome(
            terms={"near": near, "stopped": near * (still & (now.progress >= 1))},
            success=still & (miss < 0.15),
            terminated=torch.zeros_like(still),
        )

    def _left(self, now: Instant) -> Float[Tensor, "world"]:
        """Return the way that is left to the middle of the bay [m]."""
        bay = self._bay.positions(now.readings)[:, 0]
        return bay - self.motion(now.readings).x


def _add_clock(spec: mujoco.MjSpec) -> None:
    """Add a joint that moves at 1 m/s once the handbrake is pulled.

    It says for how many seconds that has been so, and is part of the physics state.
    """
    body = spec.worldbody.add_body(name="clock", pos=[0, 0, -1], gravcomp=1)
    body.explicitinertial, body.mass = True, 1.0
    body.ipos, body.inertia = np.zeros(3), np.ones(3)
    body.add_joint(name="pulled", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0])
    clock = spec.add_actuator(
        name="pulled", target="pulled", trntype=mujoco.mjtTrn.mjTRN_JOINT
    )
    clock.set_to_velocity(kv=1e4)

"""intercept: a paddle meets a puck that comes back from behind a screen.

The puck is shot at a bumper and returns across the line that the paddle moves on.
Launcher and bumper are out of true by angles that stay the same throughout a task, and
how lively the bumper is decides how far the puck's path is bent. The screen hides it
until it crosses the line, when it is too late to move: a robust policy waits in the
middle, and one that has seen where it missed knows where to wait.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Instant, Outcome, per_world
from tasks.manipulation.arm_family import HOLD_GAIN, ArmFamily, around
from tasks.manipulation.target import add_target
from tasks.parameters import Scalar
from tasks.rewards import closeness

LINE = 0.50  # [m], x of the line that the paddle moves on
CROSSED = 0.55  # [m], x at which the puck comes out, 1 cm before it meets the paddle
LAUNCH = 0.60  # [m], x that the puck is shot from, away from the arm
BUMPER = 0.90  # [m], x of the middle of the bumper's face
LAUNCH_HALF = 0.06  # [m], half the extent along y of the launcher's places
RADIUS, HALF_HEIGHT = 0.025, 0.02  # [m], of the puck
MASS = 0.2  # [kg], of the puck
FLOAT = 0.002  # [m], gap to the table: the puck hovers, and nothing slows it
SHOT = 1.2  # [m/s]
SPEED = 1.0  # [m/s], of the paddle at a full command
PADDLE = (0.012, 0.03, 0.04)  # [m], half sizes
FACE = (0.02, 0.45, 0.03)  # [m], half sizes of the bumper
CONTACT = 0.05  # [s], time that the puck stays at the bumper: ten physics steps


class Intercept(ArmFamily):
    """Meet a puck whose way back is hidden."""

    name = "intercept"
    summary = "meet a puck that comes back from a bumper behind a screen"
    success = "the puck has not got past the paddle"
    horizon = 24
    substeps = 10
    obs_dim = 6
    action_dim = 1
    start_x, start_y, tool_z = around(LINE, 0.002), (-0.1, 0.1), 0.045
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("aim", "bumper", "restitution"), "the puck is on its way"
    )
    parameters = (
        Scalar(
            name="aim",
            unit="deg",
            low=-6.0,
            high=6.0,
            hole=(1.5, 2.5),
            beyond=((-8.0, -6.0), (6.0, 8.0)),
        ),
        Scalar(
            name="bumper",
            unit="deg",
            low=-5.0,
            high=5.0,
            hole=(-2.5, -1.5),
            beyond=((-6.5, -5.0), (5.0, 6.5)),
        ),
        Scalar(
            name="restitution",
            unit="1",
            low=0.4,
            high=0.9,
            hole=(0.6, 0.65),
            beyond=((0.33, 0.4),),
        ),
    )
    fields = ("geom_pos", "geom_quat", "geom_solref")
    weights: ClassVar[Mapping[str, float]] = {
        "met": 1.0,
        "kept": 0.5,
        "effort": -0.1 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._puck = Coordinates(self.model, ["puck_x", "puck_y"], device)
        self._launcher = Coordinates(self.model, ["target_y"], device)
        self._bumper = self.model.geom("bumper").id
        self._period = self.substeps * self.model.opt.timestep

    def compile(self) -> mujoco.MjModel:
        """The arm with a narrow paddle, a puck, a bumper and a mark at the launcher."""
        spec = self.robot.scene()
        spec.geom("paddle").size = np.array(PADDLE)
        _add_puck(spec)
        _add_bumper(spec)
        add_target(spec, axes="y", at=(LAUNCH, 0.0, 0.001), radius=RADIUS)
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The bumper turned about the middle of its face, and how lively it is."""
        angle = torch.deg2rad(values["bumper"].double())
        zero = torch.zeros_like(angle)
        place = FACE[0] * torch.stack([angle.cos(), angle.sin(), zero], dim=-1)
        turn = torch.stack([(angle / 2).cos(), zero, zero, (angle / 2).sin()], dim=-1)
        return per_world(
            self.model,
            geom_pos=(self._bumper, place),
            geom_quat=(self._bumper, turn),
            geom_solref=(self._bumper, spring(values["restitution"].double())),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The paddle anywhere on its line; the puck shot from a new place."""
        worlds = len(values["aim"])
        u = torch.rand(worlds, 3, generator=rng, device=self.device)
        qpos, qvel = self.begin(u[:, :2])
        place = LAUNCH_HALF * (2 * u[:, 2:] - 1)
        qpos[:, self._launcher.qpos] = place
        qpos[:, self._puck.qpos] = torch.cat(
            [torch.full_like(place, LAUNCH), place], -1
        )
        aim = torch.deg2rad(values["aim"])
        qvel[:, self._puck.qvel] = SHOT * torch.stack([aim.cos(), aim.sin()], dim=-1)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A velocity of the paddle along its line."""
        off = HOLD_GAIN * (LINE - now.readings.sensors["tool_pos"][:, :1])
        return self.move_level(now, torch.cat([off, SPEED * action], dim=-1))

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Paddle and launcher, and the puck once it has crossed the line."""
        sensors = now.readings.sensors
        tool = sensors["tool_pos"][:, 1:2]
        x, y = self._puck.positions(now.readings).split(1, dim=-1)
        seen = (x < CROSSED).float()
        return torch.cat(
            [
                5 * tool,
                2 * sensors["tool_vel"][:, 1:2],
                10 * self._launcher.positions(now.readings),
                5 * seen * (y - tool),
                seen,
                2 * now.progress[:, None] - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the puck as it crosses the line; whether it was kept out."""
        x, y = self._puck.positions(before.readings).unbind(-1)
        vx, vy = self._puck.velocities(before.readings).unbind(-1)
        # nothing bends the path between the bumper and the paddle
        wait = (x - CROSSED) / (-vx).clamp(min=1e-6)
        crosses = (x >= CROSSED) & (vx < 0) & (wait < self._period)
        was, tool = (i.readings.sensors["tool_pos"][:, 1] for i in (before, now))
        met = torch.lerp(was, tool, (wait / self._period).clamp(0, 1))
        miss = (y + vy * wait - met).abs()
        kept = self._puck.positions(now.readings)[:, 0] > LINE
        ended = now.progress >= 1
        return Outcome(
            terms={
                "met": closeness(miss, 0.05) * crosses,
                "kept": (kept & ended).float(),
                "effort": action.square().mean(-1),
            },
            success=kept & ended,
            terminated=torch.zeros_like(kept),
        )


def spring(restitution: Float[Tensor, "world"]) -> Float[Tensor, "world 2"]:
    """Return MuJoCo's `solref` of a contact that gives back a share of the speed.

    A spring and a damper with damping ratio z let go after half a period of their
    damped oscillation, at exp(-pi z / sqrt(1 - z^2)) of the speed.
    """
    log = restitution.log()
    ratio = -log / (math.pi**2 + log**2).sqrt()
    rate = math.pi / CONTACT / (1 - ratio**2).sqrt()
    return torch.stack([-(rate**2), -2 * ratio * rate], dim=-1)


def _add_puck(spec: mujoco.MjSpec) -> None:
    """Add the puck, which slides over the table without touching it."""
    puck = spec.worldbody.add_body(
        name="puck", pos=[0, 0, HALF_HEIGHT + FLOAT], gravcomp=1
    )
    for axis, along in (("x", [1, 0, 0]), ("y", [0, 1, 0])):
        puck.add_joint(
            name=f"puck_{axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=along
        )
    puck.add_geom(
        name="puck",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[RADIUS, HALF_HEIGHT, 0],
        mass=MASS,
        condim=1,
        rgba=[0.90, 0.45, 0.13, 1],
    )


def _add_bumper(spec: mujoco.MjSpec) -> None:
    """Add the bumper, and the screen above the way to it."""
    # Warp moves only what hangs on a mocap body
    bumper = spec.worldbody.add_body(
        name="bumper", mocap=True, pos=[BUMPER, 0, FACE[2]]
    )
    # of a geom whose frame is that of the body or of its inertia, the compiler
    # drops the rotation
    bumper.explicitinertial, bumper.mass = True, 1.0
    bumper.inertia = np.full(3, 1e-2)
    bumper.add_geom(
        name="bumper",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(FACE),
        pos=[FACE[0], 0, 0],
        quat=[math.cos(0.1), 0, 0, math.sin(0.1)],
        condim=1,
        priority=1,  # its own stiffness and damping decide
        solimp=[0.95, 0.95, 0.001, 0.5, 2],
        rgba=[0.55, 0.58, 0.62, 1],
    )
    spec.worldbody.add_geom(
        name="screen",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[(BUMPER - CROSSED) / 2 - 0.01, 0.4, 0.001],
        pos=[(BUMPER + CROSSED) / 2, 0, 0.09],
        contype=0,
        conaffinity=0,
        rgba=[0.3, 0.4, 0.5, 0.15],
    )

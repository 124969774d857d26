"""shove: two arms shove the ends of a long load, which slides out of their reach.

Each end slides on feet of a friction of its own, and the load's weight is not in its
middle. One shove decides, and both arms give it: how hard one must depends on what lies
under the other's end, for the load turns unless the ends slow down alike. No arm feels
friction as it shoves, and where the load comes to rest tells of both ends at once.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from robots.arms.inverse_kinematics import StartTable
from robots.arms.panda import Panda, table
from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome, per_world
from tasks.manipulation.handling import yaw
from tasks.parameters import Scalar
from tasks.rewards import closeness
from tasks.rows import AGENT, agent_parameter

SIDES = ("left", "right")
FORWARD, BACK = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
APART = 1.5  # [m], between the arms, which face each other along x
REACH = 0.52  # [m], of each arm, to where its paddle meets the load
LENGTH, WIDTH, HEIGHT = 0.25, 0.04, 0.02  # [m], half the beam's
FOOT = 0.012  # [m], radius of a foot
LEVEL = 0.045  # [m], height of the beam's middle and of the paddles' centres
BEHIND = 0.06  # [m], paddles' centres behind the load's middle at the start
TARGET_Y = (0.42, 0.58)  # [m], of the load's middle: out of reach
SPEED = 1.4  # [m/s], of a full command
GAIN = 8.0  # [1/s], of the velocity that holds the paddle's line
MASS, INSERT = 1.0, 0.4  # [kg], of the whole load and of the weight inside it
SUCCESS = 0.06  # [m]


class Shove(Family):
    """Shove the ends of a load of hidden frictions and balance, one arm at each."""

    name = "shove"
    summary = "two arms shove a long load so that it slides onto its place, unturned"
    success = "both ends come to rest within 6 cm of their places"
    agents = SIDES
    horizon = 20
    substeps = 20
    obs_dim = 15
    action_dim = 1
    parameters = (
        agent_parameter(SIDES),
        *(
            Scalar(
                name=f"friction_{side}",
                unit="1",
                low=0.04,
                high=0.13,
                hole=(0.065, 0.08),
                beyond=((0.03, 0.04), (0.13, 0.16)),
                log=True,
            )
            for side in SIDES
        ),
        Scalar(
            name="load_x",
            unit="m",
            low=-0.2,
            high=0.2,
            beyond=((-0.24, -0.2), (0.2, 0.24)),
        ),
    )
    fields = ("body_ipos", "body_inertia", "geom_friction")
    weights: ClassVar[Mapping[str, float]] = {
        "near": 0.5 / horizon,
        "placed": 1.0,
        "effort": -0.1 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._arms = [Panda(f"{side}/") for side in SIDES]
        super().__init__(device)
        model = self.model
        self._joints = [arm.coordinates(model, device) for arm in self._arms]
        self._controls = [arm.controls(model, device) for arm in self._arms]
        self._drives = [
            arm.controller("cartesian-velocity", model, device) for arm in self._arms
        ]
        # in an arm's own frame the load is shoved to its left, or to its right
        self._starts = [
            StartTable(x=(REACH, REACH + 0.02), y=y, z=LEVEL, device=device)
            for y in ((-BEHIND, -BEHIND + 0.005), (BEHIND - 0.005, BEHIND))
        ]
        self._load = Coordinates(model, ["load"], device)
        self._target = Coordinates(model, ["target_y"], device)
        self._rest = torch.from_numpy(model.qpos0).float().to(device)
        self._body = model.body("load").id
        self._feet = [model.geom(f"foot_{i}").id for i in range(4)]
        self._signs = torch.tensor([1.0, -1.0], device=device)

    def compile(self) -> mujoco.MjModel:
        """Build two arms that face each other, the load between them and its place."""
        spec = table()
        places = ((0.0, FORWARD), (APART, BACK))
        for arm, (x, quat) in zip(self._arms, places, strict=True):
            arm.attach(spec, pos=(x, 0.0, 0.0), quat=quat)
            # the paddle's broad face looks along the shove
            spec.geom(f"{arm.prefix}paddle").size = np.array([0.06, 0.012, 0.04])
        spec.stat.center, spec.stat.extent = np.array([APART / 2, 0.2, 0.2]), 1.6
        camera = spec.camera("overview")
        camera.pos = np.array([APART / 2, -1.5, 1.1])
        camera.alt.xyaxes = np.array([1, 0, 0, 0, 0.49, 0.87])
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        _add_load(spec)
        _add_place(spec)
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Friction of the feet at either end, and where the load's weight is."""
        ends = torch.stack([values[f"friction_{side}"] for side in SIDES], -1).double()
        feet = torch.zeros(len(ends), 4, 3, dtype=torch.float64)
        feet[..., 0] = ends.repeat_interleave(2, dim=1)
        ipos, inertia = _balance(values["load_x"].double())
        return per_world(
            self.model,
            body_ipos=(self._body, ipos),
            body_inertia=(self._body, inertia),
            geom_friction=(self._feet, feet),
        )

    def reveal(self, values: Values) -> Float[Tensor, "world features"]:
        """Encode own end's friction, the other's, and how near the weight is."""
        left, right, load = super().reveal(values).unbind(-1)
        own = values[AGENT] == 0
        return torch.stack(
            [
                torch.where(own, left, right),
                torch.where(own, right, left),
                torch.where(own, -load, load),
            ],
            dim=-1,
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Both paddles behind the load, a little off; its place anew each episode."""
        worlds = len(values["load_x"])
        u = torch.rand(worlds, 6, generator=rng, device=self.device)
        qpos = self._rest.repeat(worlds, 1)
        for i, joints in enumerate(self._joints):
            qpos[:, joints.qpos] = self._starts[i](u[:, 2 * i : 2 * i + 2])
        qpos[:, self._load.qpos][:, 0] += 0.02 * (u[:, 4] - 0.5)
        low, high = TARGET_Y
        qpos[:, self._target.qpos] = low + (high - low) * u[:, 5:]
        return qpos, torch.zeros(worlds, self.model.nv, device=self.device)

    def control(
        self, now: Instant, action: Float[Tensor, "world agent action"]
    ) -> Float[Tensor, "world nu"]:
        """Speeds of the paddles along y, in the first step only, as in `strike`."""
        speed = SPEED * action[..., 0] * (now.progress == 0).float()[:, None]
        ctrl = torch.zeros(len(speed), self.model.nu, device=self.device)
        places = (REACH + 0.01, APART - REACH - 0.01)
        for i, arm in enumerate(self._arms):
            at = now.readings.sensors[f"{arm.prefix}tool_pos"]
            line = GAIN * (places[i] - at[:, 0]), GAIN * (LEVEL - at[:, 2])
            velocity = torch.stack([line[0], speed[:, i], line[1]], dim=-1)
            ctrl[:, self._controls[i]] = self._drives[i](now.readings, velocity)
        return ctrl

    def observe(self, now: Instant) -> Float[Tensor, "world agent obs"]:
        """Both paddles, the load and its place, each arm as in a mirror of the other.

        x runs from the middle to the arm's own end, and the load turns towards it.
        """
        r, signs = now.readings, self._signs
        tools = [r.sensors[f"{arm.prefix}tool_pos"] for arm in self._arms]
        speeds = [r.sensors[f"{arm.prefix}tool_vel"] for arm in self._arms]
        y = torch.stack([tool[:, 1] for tool in tools], -1)
        vy = torch.stack([speed[:, 1] for speed in speeds], -1)
        pose, velocity = self._load.positions(r), self._load.velocities(r)
        target = self._target.positions(r)
        x = signs * (APART / 2 - pose[:, :1])
        turned = -signs * yaw(pose)[:, None]
        time = 2 * now.progress[:, None] - 1
        parts = [
            10 * (y + BEHIND),
            10 * (y.flip(-1) + BEHIND),
            vy,
            vy.flip(-1),
            10 * (pose[:, 1:2] - y),
            10 * (signs * torch.stack([APART / 2 - t[:, 0] for t in tools], -1) - 0.23),
            10 * x,
            2 * (target - pose[:, 1:2]),
            10 * (target - sum(TARGET_Y) / 2),
            turned.cos(),
            2 * turned.sin(),
            -signs * velocity[:, :1],
            velocity[:, 1:2],
            -0.5 * signs * velocity[:, 5:6],
            time,
        ]
        return torch.stack([part.expand(-1, 2) for part in parts], dim=-1)

    def judge(
        self,
        before: Instant,
        now: Instant,
        action: Float[Tensor, "world agent action"],
    ) -> Outcome:
        """Closeness of the two ends to their places all along, mostly at the end."""
        r = now.readings
        pose, velocity = self._load.positions(r), self._load.velocities(r)
        angle = yaw(pose)
        half = LENGTH * torch.stack([angle.cos(), angle.sin()], -1)
        place = torch.tensor([LENGTH, 0.0], device=self.device)
        middle = pose[:, :2] - torch.stack(
            [torch.full_like(angle, APART / 2), self._target.positions(r)[:, 0]], -1
        )
        miss = torch.stack([middle - half + place, middle + half - place]).norm(dim=-1)
        close = closeness(miss, 0.2).mean(0)
        slow = (velocity[:, :2].norm(dim=-1) < 0.05) & (velocity[:, 5].abs() < 0.2)
        return Outcome(
            terms={
                "near": close,
                "placed": close * (now.progress >= 1),
                "effort": action.square().mean(-1),
            },
            success=(miss.amax(0) < SUCCESS) & slow,
            terminated=torch.zeros_like(slow),
        )


def _balance(
    load_x: Float[Tensor, "world"],
) -> tuple[Float[Tensor, "world 3"], Float[Tensor, "world 3"]]:
    """Return the centre of mass [m] and principal inertia [kg m^2] of the load.

    A uniform beam, and in it a weight that is a point.

    Args:
        load_x: place of the weight along the beam, from its middle [m].
    """
    share = INSERT / MASS
    ipos = torch.zeros(len(load_x), 3, dtype=load_x.dtype)
    ipos[:, 0] = share * load_x
    beam = MASS - INSERT
    across = beam * LENGTH**2 / 3 + MASS * share * (1 - share) * load_x**2
    thin = torch.full_like(load_x, MASS * (WIDTH**2 + HEIGHT**2) / 3)
    return ipos, torch.stack([thin, across, across], dim=-1)


def _add_load(spec: mujoco.MjSpec) -> None:
    """Add the body `load`, a beam on two feet at its left end and two at its right."""
    body = spec.worldbody.add_body(name="load", pos=[APART / 2, 0.0, LEVEL])
    body.add_freejoint(name="load")
    body.explicitinertial, body.mass = True, MASS
    [ipos], [inertia] = _balance(torch.zeros(1).double())
    body.ipos, body.inertia = ipos.numpy(), inertia.numpy()
    # a weight that is moved off the middle leaves it no axes of inertia
    body.simple = False
    body.add_geom(
        name="beam",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[LENGTH, WIDTH, HEIGHT],
        rgba=[0.80, 0.52, 0.25, 1.0],
    )
    below = FOOT - LEVEL
    for i, (x, y) in enumerate((x, y) for x in (-1, 1) for y in (-1, 1)):
        foot = body.add_geom(
            name=f"foot_{i}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=[x * (LENGTH - FOOT), y * (WIDTH - FOOT), below],
            size=[FOOT, 0, 0],
            rgba=[0.25, 0.26, 0.28, 1.0],
        )
        # its own friction decides
        foot.priority, foot.condim = 1, 3


def _add_place(spec: mujoco.MjSpec) -> None:
    """Add the load's place, which touches nothing and slides along y.

    Kept in the state, it is drawn anew each episode and a replay shows it.
    """
    body = spec.worldbody.add_body(name="target", pos=[APART / 2, 0, 0.001], gravcomp=1)
    body.add_joint(name="target_y", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
    body.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[LENGTH, WIDTH, 0.001],
        mass=1.0,
        contype=0,
        conaffinity=0,
        rgba=[0.2, 0.7, 0.3, 0.6],
    )

"""drive-fork: choose one of two ways that look alike, and a speed before the bend.

The road forks, and either way bends as sharply and is as long. Which of them grips, and
how well, shows in the bend only, where the car can no longer turn back and has no
drive: it has to come in slowly enough to keep to the road, and the time that it lost
before it cannot make good. A car that slides has left a narrow road before it has
slowed down. So a robust policy picks a way blindly and gambles on a speed, and an
episode tells of one way alone.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.wheeled.figures import WHEELBASE
from robots.wheeled.road import TARMAC, add_camera, add_patch, make_scene
from tasks.contract import Values
from tasks.driving.drive_family import DriveFamily, between
from tasks.driving.scenery import add_line
from tasks.driving.ways import (
    LAYOUTS,
    POINTS,
    STRIPES,
    WAYS,
    add_stripes,
    lay_ways,
    stripes,
    traits,
)
from tasks.family import Family, Instant, Outcome, per_world
from tasks.parameters import Choice, Scalar
from tasks.rewards import closeness
from tasks.task import Task

SPEED = (1.8, 2.6)  # [m/s], at which the car comes along
AWAY = (0.8, 1.0)  # [m], before the fork: where it starts
ASKED = (0.6, 3.4)  # [m/s], between which a speed is asked for
GAIN = 4.0  # [s/m], of the pedal that holds a speed
PARTED = (0.45, 0.6)  # [m], ahead and aside: nearer to the fork, all ground grips
BEHIND, FAR, WIDE = -5.0, 7.0, 6.0  # [m], where the ground ends
_GROUNDS = {  # of a way, in x and y
    "": ((PARTED[0], FAR), (0.0, WIDE)),
    "_back": ((BEHIND, PARTED[0]), (PARTED[1], WIDE)),
}
COMMIT = 0.3  # [m], before the fork: from there on the way is chosen
ROOM = 0.25  # [m], half the width of the road
LOOK = (0.2, 0.14)  # [m, s], ahead of the car: the point that it steers for
AHEAD = (0.4, 0.9, 1.4, 2.1, 2.8)  # [m], of the car: where the road's bend is seen
UNSEEN = ("hairpin", "esses")
TOP = 2.2  # [m/s], who drove the whole way so fast would be in time
LATE = 0.7  # [s], later than that, it is worth 1/e
_WORDS = {
    "bend": "a long bend",
    "corner": "a right angle",
    "island": "round an island",
    "hairpin": "a hairpin bend",
    "esses": "bends out and back",
}
_GRIPS = (
    "very slippery",
    "slippery",
    "neither slippery nor grippy",
    "grippy",
    "very grippy",
)


class Track(NamedTuple):
    """Where a car is along the way that it has chosen, in every world."""

    along: Float[Tensor, "world"]
    """From the fork [m]; negative before it."""
    aside: Float[Tensor, "world"]
    """To the left of the middle of the road [m]; all mirrored on the way right."""
    length: Float[Tensor, "world"]
    """The whole way [m]."""


class DriveFork(DriveFamily):
    """Choose a way and a speed for a bend whose grip cannot be felt before it."""

    name = "drive-fork"
    summary = "choose one of two ways that look alike, and a speed before its bend"
    success = "the car is round the bend in time and never left the road"
    horizon = 50
    substeps = 15
    obs_dim = 12
    action_dim = 2
    splits = (*Family.splits, "unseen")
    parameters = (
        Choice(
            name="layout",
            options=tuple(n for n in LAYOUTS if n not in UNSEEN),
            unseen=UNSEEN,
            traits={name: traits(name) for name in LAYOUTS},
            hidden=False,
            words={name: f"{word}|{name}" for name, word in _WORDS.items()},
        ),
        Scalar(
            name="radius",
            unit="m",
            low=0.85,
            high=1.25,
            hole=(1.0, 1.08),
            beyond=((1.25, 1.45),),
            hidden=False,
        ),
        *(
            Scalar(
                name=f"friction_{way}",
                unit="1",
                low=0.1,
                high=0.9,
                hole=(0.25, 0.33),
                beyond=((0.08, 0.1), (0.9, 1.1)),
                log=True,
                words=tuple(f"the {way} way {w}|{w} on the {way}" for w in _GRIPS),
            )
            for way in WAYS
        ),
    )
    fields = ("geom_friction", "geom_pos", "geom_quat", "geom_size")
    weights: ClassVar[Mapping[str, float]] = {
        "progress": 0.3,
        "early": 1.0,
        "forfeited": -0.3,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._way = Coordinates(self.model, ["way"], device)
        self._ways = lay_ways(device)
        self._period = self.substeps * self.model.opt.timestep

    def object_of(self, task: Task) -> str:
        """Return nothing: the few layouts of a split are all that it claims about."""
        return ""

    def compile(self) -> mujoco.MjModel:
        """A road that forks, each way with ground of its own, and the car."""
        spec = make_scene(ground=False, centre=(0.3, 0.0))
        _add_ground(spec, "approach", (BEHIND, PARTED[0]), (-PARTED[1], PARTED[1]))
        for part, (x, y) in _GROUNDS.items():
            _add_ground(spec, f"left{part}", x, y)
            _add_ground(spec, f"right{part}", x, (-y[1], -y[0]))
        add_line(spec, (-1.5, 0.0), (1.5, ROOM), TARMAC)
        add_stripes(spec, ROOM)
        self.car.attach(spec)
        _add_choice(spec)
        add_camera(spec, "overview", pos=(-2.8, 0.0, 3.4), towards=(0.45, 0.0, 0.0))
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The grip of either way, and how they are drawn."""
        grip = torch.zeros(len(values["layout"]), 4, 3, dtype=torch.float64)
        for i, way in enumerate(WAYS):
            grip[:, 2 * i : 2 * i + 2, 0] = values[f"friction_{way}"][:, None]
        rows = [self.model.geom(w + name).id for w in WAYS for name in _GROUNDS]
        drawn = [self.model.geom(name).id for name in STRIPES]
        pos, quat, size = stripes(values["layout"], values["radius"], ROOM)
        return per_world(
            self.model,
            geom_friction=(rows, grip),
            geom_pos=(drawn, pos),
            geom_quat=(drawn, quat),
            geom_size=(drawn, size),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The car rolling towards the fork."""
        worlds = len(values["layout"])
        u = torch.rand(worlds, 4, generator=rng, device=self.device)
        y, yaw = 0.1 * (u[:, 1] - 0.5), 0.1 * (u[:, 2] - 0.5)
        x = -between(AWAY, u[:, 3])
        return self.begin(x, y, yaw, between(SPEED, u[:, 0]))

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A way, and a speed; the car keeps to the middle of the way by itself."""
        chosen = self._way.positions(now.readings)[:, 0]
        motion, track = self.motion(now.readings), self._track(now)
        free = track.along < -COMMIT
        side = torch.where(free, action[:, 0], chosen) >= 0
        turn = (2 * side.float() - 1 - chosen) / self._period
        wanted = between(ASKED, (1 + action[:, 1]) / 2)
        pedal = (GAIN * (wanted - motion.ahead)).clamp(-1, 1)
        pedal = torch.where(track.along < 0, pedal, pedal.clamp(max=0))
        command = torch.stack([self._steer(now), pedal], dim=-1)
        return torch.cat([self._drive(now.readings, command), turn[:, None]], dim=-1)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """The way that is taken, the car on it, and the bends to come."""
        motion, track = self.motion(now.readings), self._track(now)
        side = self._side(now)
        own = [
            side * (track.along > -COMMIT),
            track.along / 2,
            track.length / 2 - 1.2,
            (motion.ahead - 2) / 1.5,
            side * motion.aside,
            3 * track.aside,
            2 * now.progress - 1,
        ]
        bends = [self._ahead(now, track.along + d)[2] for d in AHEAD]
        return torch.stack([*own, *bends], dim=-1)

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """The way made good, and the time that is left; the roadside forfeits all."""
        was, track = self._track(before), self._track(now)
        won = [(t.along / t.length).clamp(0, 1) for t in (was, track)]
        off = track.aside.abs() > ROOM
        round_ = ~off & (track.along >= track.length)
        time = now.progress * self.horizon * self._period
        late = (time - track.length / TOP).clamp(min=0)
        return Outcome(
            terms={
                "progress": (won[1] - won[0]).clamp(min=0),
                "early": round_ * closeness(late, LATE),
                "forfeited": off * won[1],
            },
            success=round_,
            terminated=off | round_,
        )

    def _side(self, now: Instant) -> Float[Tensor, "world"]:
        """Return 1 on the way to the left, and -1 on the other."""
        return torch.where(self._way.positions(now.readings)[:, 0] >= 0, 1.0, -1.0)

    def _track(self, now: Instant) -> Track:
        """Return where the car is along its way."""
        motion, side = self.motion(now.readings), self._side(now)
        layout, radius = now.values["layout"].long(), now.values["radius"]
        points = self._ways.place[layout] * radius[:, None, None]
        own = torch.stack([motion.x, side * motion.y], dim=-1)
        nearest = (points - own[:, None]).square().sum(-1).argmin(-1)
        row = torch.arange(len(nearest), device=self.device)
        off = own - points[row, nearest]
        heading = self._ways.heading[layout, nearest]
        cos, sin = heading.cos(), heading.sin()
        length = self._ways.length[layout] * radius
        return Track(
            along=nearest * length / (POINTS - 1) + cos * off[:, 0] + sin * off[:, 1],
            aside=cos * off[:, 1] - sin * off[:, 0],
            length=length,
        )

    def _ahead(
        self, now: Instant, along: Float[Tensor, "world"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return x, mirrored y and curvature of a point of the way [m]."""
        layout, radius = now.values["layout"].long(), now.values["radius"]
        step = self._ways.length[layout] * radius / (POINTS - 1)
        i = (along / step).round().clamp(0, POINTS - 1).long()
        rest, heading = along - i * step, self._ways.heading[layout, i]
        x, y = (self._ways.place[layout, i] * radius[:, None]).unbind(-1)
        bend = self._ways.curvature[layout, i] / radius
        bend = bend * ((along >= 0) & (along <= step * (POINTS - 1)))
        return x + rest * heading.cos(), y + rest * heading.sin(), bend

    def _steer(self, now: Instant) -> Float[Tensor, "world"]:
        """Return the angle that steers for a point ahead on the way [rad]."""
        motion, side = self.motion(now.readings), self._side(now)
        look = LOOK[0] + LOOK[1] * motion.ahead.clamp(min=0)
        x, y, _ = self._ahead(now, self._track(now).along + look)
        x, y, yaw = x - motion.x, y - side * motion.y, side * motion.yaw
        aside = yaw.cos() * y - yaw.sin() * x
        bend = 2 * aside / (x.square() + y.square()).clamp(min=1e-4)
        return side * torch.atan(WHEELBASE * bend)


def _add_ground(
    spec: mujoco.MjSpec, name: str, x: tuple[float, float], y: tuple[float, float]
) -> None:
    add_patch(spec, name, x=x, y=y, friction=1.0, rgba=(0.6, 0.63, 0.56, 1.0))


def _add_choice(spec: mujoco.MjSpec) -> None:
    """Add a joint that is at 1 on the way to the left and at -1 on the other.

    So the way that was chosen is part of the physics state.
    """
    body = spec.worldbody.add_body(name="choice", pos=[0, 0, -2], gravcomp=1)
    body.explicitinertial, body.mass = True, 1.0
    body.ipos, body.inertia = np.zeros(3), np.ones(3)
    body.add_joint(name="way", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0])
    choice = spec.add_actuator(
        name="way", target="way", trntype=mujoco.mjtTrn.mjTRN_JOINT
    )
    choice.set_to_velocity(kv=1e4)

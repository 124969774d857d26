"""carry: two arms press a carton between them, lift it and bring it to its place.

Nothing holds the carton but friction at its ends, and nothing but its own strength
keeps it from being crushed. How hard both press is decided as they take hold: the end
that would slip first says how hard they must, by what lies under that paddle and by how
much of the weight that end bears. Neither arm feels any of it before it has decided,
and a carton that has slipped or is crushed cannot be taken again.
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
from tasks.parameters import Scalar
from tasks.rewards import closeness
from tasks.rows import AGENT, agent_parameter
from tasks.teams.carton import (
    APART,
    HEIGHT,
    LENGTH,
    LIFT,
    SIDES,
    SIGNS,
    add_carton,
    add_place,
    balance,
    needed,
)
from tasks.teams.plans import add_plans

FORWARD, BACK = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
THICK = 0.012  # [m], half a paddle's
GAP = 0.001  # [m], between paddles and carton at the start
LEVEL = 0.055  # [m], height of the paddles' centres at the start
STRENGTH = 1.8  # of a carton, in what it takes to hold it at rest
PRESS = (0.01, 0.12)  # [m/s], of the paddles' towards each other; in between by powers
SPEED = (0.15, 0.1)  # [m/s], of a full command along y and up
HOLD = 2  # steps in which they take hold, and do not move
TARGET_Y = (0.03, 0.09)  # [m], of its place
SUCCESS = 0.03  # [m]


class Carry(Family):
    """Carry a carton of hidden weight, balance and friction, as two."""

    name = "carry"
    summary = "two arms press a carton between them and carry it, not too hard"
    success = "both ends are within 3 cm of their places, and it is whole"
    agents = SIDES
    horizon = 14
    substeps = 20
    obs_dim = 15
    action_dim = 3
    parameters = (
        agent_parameter(SIDES),
        *(
            Scalar(
                name=f"friction_{side}",
                unit="1",
                low=0.4,
                high=1.2,
                hole=(0.65, 0.75),
                beyond=((0.33, 0.4), (1.2, 1.5)),
                log=True,
            )
            for side in SIDES
        ),
        Scalar(
            name="load_x",
            unit="m",
            low=-0.15,
            high=0.15,
            beyond=((-0.18, -0.15), (0.15, 0.18)),
        ),
        Scalar(
            name="mass", unit="kg", low=0.25, high=0.6, beyond=((0.6, 0.75),), log=True
        ),
    )
    fields = ("body_ipos", "body_inertia", "body_mass", "geom_friction")
    weights: ClassVar[Mapping[str, float]] = {
        "near": 0.5 / horizon,
        "placed": 1.0,
        "crushed": -0.2,
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
        reach = APART / 2 - LENGTH - THICK - GAP
        self._starts = StartTable(
            x=(reach - GAP, reach), y=(-0.005, 0.005), z=LEVEL, device=device
        )
        self._load = Coordinates(model, ["load"], device)
        self._target = Coordinates(model, ["target_y"], device)
        self._asked = Coordinates(model, [f"press_{s}" for s in SIDES], device)
        self._rest = torch.from_numpy(model.qpos0).float().to(device)
        self._body = model.body("load").id
        self._pads = [model.geom(f"pad_{s}").id for s in SIDES]
        self._signs = torch.tensor(SIGNS, device=device)
        self._period = self.substeps * model.opt.timestep

    def compile(self) -> mujoco.MjModel:
        """Build two arms that face each other, the carton between them, its place."""
        spec = table()
        places = ((0.0, FORWARD), (APART, BACK))
        for arm, (x, quat) in zip(self._arms, places, strict=True):
            arm.attach(spec, pos=(x, 0.0, 0.0), quat=quat)
        spec.stat.center, spec.stat.extent = np.array([APART / 2, 0.2, 0.2]), 1.6
        camera = spec.camera("overview")
        camera.pos = np.array([APART / 2, -1.5, 1.1])
        camera.alt.xyaxes = np.array([1, 0, 0, 0, 0.49, 0.87])
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 100  # friction that creeps would let the carton sink
        add_carton(spec)
        add_place(spec)
        add_plans(spec, [f"press_{side}" for side in SIDES])
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Friction of the carton's ends, its weight and its balance."""
        ends = torch.stack([values[f"friction_{side}"] for side in SIDES], -1).double()
        pads = torch.zeros(len(ends), 2, 3, dtype=torch.float64)
        pads[..., 0] = ends
        mass = values["mass"].double()
        ipos, inertia = balance(values["load_x"].double(), mass)
        return per_world(
            self.model,
            body_ipos=(self._body, ipos),
            body_inertia=(self._body, inertia),
            body_mass=(self._body, mass),
            geom_friction=(self._pads, pads),
        )

    def reveal(self, values: Values) -> Float[Tensor, "world features"]:
        """Encode own end's friction, the other's, how near the weight is, the rest."""
        left, right, load, *rest = super().reveal(values).unbind(-1)
        own = values[AGENT] == 0
        mine, other = torch.where(own, left, right), torch.where(own, right, left)
        return torch.stack([mine, other, torch.where(own, -load, load), *rest], dim=-1)

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Both paddles at the carton's ends, a little off; its place anew."""
        worlds = len(values["mass"])
        u = torch.rand(worlds, 6, generator=rng, device=self.device)
        qpos = self._rest.repeat(worlds, 1)
        for i, joints in enumerate(self._joints):
            qpos[:, joints.qpos] = self._starts(u[:, 2 * i : 2 * i + 2])
        qpos[:, self._load.qpos][:, 1] += 0.01 * (u[:, 4] - 0.5)
        low, high = TARGET_Y
        qpos[:, self._target.qpos] = low + (high - low) * u[:, 5:]
        return qpos, torch.zeros(worlds, self.model.nv, device=self.device)

    def control(
        self, now: Instant, action: Float[Tensor, "world agent action"]
    ) -> Float[Tensor, "world nu"]:
        """Speeds along y and up; how hard to press is asked in the first step only."""
        first = (now.progress == 0)[:, None]
        asked = (1 + action[..., 0]) / 2
        asked = torch.where(first, asked, self._asked.positions(now.readings))
        press = PRESS[0] * (PRESS[1] / PRESS[0]) ** asked
        ctrl = torch.zeros(len(press), self.model.nu, device=self.device)
        moving = (now.progress >= (HOLD - 0.5) / self.horizon).float()
        for i, drive in enumerate(self._drives):
            y, z = (s * moving * action[:, i, 1 + j] for j, s in enumerate(SPEED))
            velocity = torch.stack([-SIGNS[i] * press[:, i], y, z], dim=-1)
            ctrl[:, self._controls[i]] = drive(now.readings, velocity)
        ctrl[:, -2:] = first * asked / self._period
        return ctrl

    def observe(self, now: Instant) -> Float[Tensor, "world agent obs"]:
        """Both paddles, the ends of the carton and its place, each as in a mirror."""
        r, signs = now.readings, self._signs
        tools = torch.stack(
            [r.sensors[f"{arm.prefix}tool_pos"] for arm in self._arms], 1
        )
        ends = self._ends(now)
        target = self._target.positions(r)
        x = signs * (tools[..., 0] - APART / 2) - LENGTH - THICK
        y, z = tools[..., 1], tools[..., 2] - LEVEL
        slid = ends[..., 2] - HEIGHT - z
        drift = -signs * (ends[..., 0].mean(1, keepdim=True) - APART / 2)
        time = 2 * now.progress[:, None] - 1
        parts = [
            20 * x,
            10 * y,
            10 * (y.flip(-1) - y),
            10 * z,
            10 * (z.flip(-1) - z),
            20 * slid,
            20 * slid.flip(-1),
            10 * (ends[..., 1] - y),
            10 * (target - ends[..., 1]),
            10 * (target - ends[..., 1].flip(-1)),
            10 * (LIFT - ends[..., 2]),
            10 * (LIFT - ends[..., 2].flip(-1)),
            10 * drift,
            20 * (target - sum(TARGET_Y) / 2),
            time,
        ]
        return torch.stack([part.expand(-1, 2) for part in parts], dim=-1)

    def judge(
        self,
        before: Instant,
        now: Instant,
        action: Float[Tensor, "world agent action"],
    ) -> Outcome:
        """Closeness of both ends to their places; a crushed carton ends the episode."""
        target = self._target.positions(now.readings)
        place = torch.stack(
            [
                APART / 2 + LENGTH * self._signs.expand(len(target), 2),
                target.expand(-1, 2),
                torch.full_like(target, LIFT).expand(-1, 2),
            ],
            dim=-1,
        )
        miss = (self._ends(now) - place).norm(dim=-1)
        close = closeness(miss, 0.04).mean(1)
        crushed = self._crushed(before) & self._crushed(now)
        return Outcome(
            terms={
                "near": close,
                "placed": close * (now.progress >= 1),
                "crushed": crushed.float(),
            },
            success=(miss.amax(1) < SUCCESS) & ~crushed,
            terminated=crushed,
        )

    def _crushed(self, now: Instant) -> Tensor:
        """Tell whether it is pressed harder than it bears, once they have hold of it.

        From both ends, for what slips is knocked at one of them.
        """
        sensors, values = now.readings.sensors, now.values
        pressed = torch.cat([sensors[f"pressed_{side}"] for side in SIDES], -1)
        holding = now.progress >= (HOLD + 0.5) / self.horizon
        return holding & (pressed.amin(-1) > STRENGTH * needed(values))

    def _ends(self, now: Instant) -> Float[Tensor, "world 2 3"]:
        """Return where the middles of the carton's left and right end are [m]."""
        pose = self._load.positions(now.readings)
        w, x, y, z = pose[:, 3:].unbind(-1)
        along = torch.stack(
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1
        )
        return pose[:, None, :3] + LENGTH * self._signs[:, None] * along[:, None]

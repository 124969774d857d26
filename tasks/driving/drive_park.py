"""drive-park: into a bay on one look, with a steering that is not what it seems.

The car stands and sees the bay; then it drives, and sees it again only when the time is
over. Its steering may be mirrored, and has a gain, a bias and a lag. With the bay in
sight all along a driver would feel his way in, and with one look he has to know what a
command does. The lag matters little: it delays every turn alike.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.wheeled.figures import STEER
from robots.wheeled.road import TARMAC, add_camera, make_scene
from tasks.contract import Values
from tasks.driving.drive_family import DriveFamily, between
from tasks.driving.scenery import add_bay, add_line
from tasks.family import Instant, Outcome, per_world
from tasks.parameters import Choice, Scalar
from tasks.rewards import closeness

PLACE = ((1.3, 1.9), (-0.5, 0.5), (-0.3, 0.3))
"""Middle of the bay, ahead and to the left of the standing car [m], and its heading
[rad]."""
TOP = 2.0  # [m/s], the greatest speed that can be asked for
HALF = (0.33, 0.22)  # [m], half the bay
AIM = 0.3  # [m/rad], how much a wrong heading counts beside a wrong place
STILL = 0.1  # [m/s], slower is at rest


class DrivePark(DriveFamily):
    """Drive into a bay by a steering that has to be known."""

    name = "drive-park"
    summary = "park on one look, with a steering that may be mirrored, weak or biased"
    success = "the car stands (under 10 cm/s) within 10 cm and 0.2 rad of the bay"
    horizon = 30
    substeps = 15
    obs_dim = 7
    action_dim = 2
    scenery = ("lag",)
    parameters = (
        Choice(name="mirrored", options=("no", "yes")),
        Scalar(
            name="gain",
            unit="of nominal",
            low=0.6,
            high=1.1,
            hole=(0.8, 0.88),
            beyond=((0.5, 0.6), (1.1, 1.2)),
        ),
        Scalar(
            name="bias",
            unit="rad",
            low=-0.15,
            high=0.15,
            hole=(0.03, 0.07),
            beyond=((-0.22, -0.15), (0.15, 0.22)),
        ),
        Scalar(name="lag", unit="s", low=0.02, high=0.3, beyond=((0.3, 0.45),)),
    )
    fields = ("actuator_dynprm",)
    weights: ClassVar[Mapping[str, float]] = {"near": 0.3 / horizon, "parked": 1.0}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._bay = Coordinates(self.model, ["bay_x", "bay_y", "bay_yaw"], device)

    def compile(self) -> mujoco.MjModel:
        """A yard with the car and a bay."""
        spec = make_scene(centre=(1.0, 0.0))
        add_line(spec, (1.0, 0.0), (2.2, 1.5), TARMAC)
        self.car.attach(spec)
        add_bay(spec, axes=("x", "y", "yaw"), half=HALF)
        add_camera(spec, "overview", pos=(-1.9, -1.5, 1.9), towards=(1.0, 0.0, 0.0))
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The lag of the steering; the rest of it is in `control`."""
        return per_world(self.model, **self._own.lag(values["lag"]))

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The car standing at the origin, the bay somewhere ahead."""
        worlds = len(values["lag"])
        u = torch.rand(worlds, 3, generator=rng, device=self.device)
        zero = torch.zeros(worlds, device=self.device)
        qpos, qvel = self.begin(zero, zero, zero, zero)
        place = [between(ends, u[:, i]) for i, ends in enumerate(PLACE)]
        qpos[:, self._bay.qpos] = torch.stack(place, dim=-1)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A steering angle, through the hidden steering, and a speed to be held."""
        values = now.values
        gain = (1 - 2 * values["mirrored"]) * values["gain"]
        steer = STEER * gain * action[:, 0] + values["bias"]
        wanted = TOP * (1 + action[:, 1]) / 2
        pedal = (2 * (wanted - self.motion(now.readings).ahead)).clamp(-1, 1)
        return self._drive(now.readings, torch.stack([steer, pedal], dim=-1))

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """The bay as it was seen at the start, time, and it once more at the end.

        Nothing of how the car moves: it would tell within the episode. Rewards do, to
        methods that read them.
        """
        bay = self._bay.positions(now.readings)
        over = (now.progress >= 1).float()[:, None]
        first = [2 * bay[:, 0] - 3.2, 2 * bay[:, 1], 3 * bay[:, 2]]
        ahead, aside, turn = self._relative(now)
        last = torch.stack([2 * ahead, 2 * aside, turn], dim=-1) * over
        return torch.cat(
            [torch.stack([*first, 2 * now.progress - 1], dim=-1), last], dim=-1
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the bay all along, and of the standing car at the end."""
        ahead, aside, turn = self._relative(now)
        miss = torch.hypot(ahead, aside)
        still = self.motion(now.readings).ahead.abs() < STILL
        wrong = miss + AIM * turn.abs()
        parked = closeness(wrong, 0.3) * (still & (now.progress >= 1))
        return Outcome(
            terms={"near": closeness(wrong, 0.5), "parked": parked},
            success=still & (miss < 0.1) & (turn.abs() < 0.2),
            terminated=torch.zeros_like(still),
        )

    def _relative(self, now: Instant) -> tuple[Tensor, Tensor, Tensor]:
        """Return where the bay is ahead and to the left of the car [m], and turned."""
        motion, bay = self.motion(now.readings), self._bay.positions(now.readings)
        x, y = bay[:, 0] - motion.x, bay[:, 1] - motion.y
        cos, sin = motion.yaw.cos(), motion.yaw.sin()
        off = bay[:, 2] - motion.yaw
        turn = torch.atan2(off.sin(), off.cos())
        return cos * x + sin * y, cos * y - sin * x, turn

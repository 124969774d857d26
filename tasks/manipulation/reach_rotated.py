"""reach-rotated: an arm reaches visible goals through a rotated command frame.

The visuomotor rotation of human motor learning (Krakauer et al. 2000): commands in the
plane are turned by a hidden angle, and perhaps mirrored. Where the hand goes says
nothing until it has moved, and where it started is not remembered, so that no robust
policy exists. The motors' strengths vary too, and next to nothing depends on them.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.manipulation.arm_family import ArmFamily, around
from tasks.manipulation.target import add_target
from tasks.parameters import Choice, Scalar
from tasks.rewards import closeness

CENTRE = (0.50, 0.0)  # [m], of the square in which hand and goals start
HALF = 0.12  # [m], half the side of that square
TOOL_Z = 0.20  # [m]
SPEED = 0.5  # [m/s], of a full command
SUCCESS = 0.03  # [m]
SHOULDER = (0, 1, 2)  # actuators of joints 1 to 3
ELBOW = (3, 4, 5, 6)


class ReachRotated(ArmFamily):
    """Reach goals with rotated and mirrored commands."""

    name = "reach-rotated"
    summary = "reach visible goals through a rotated or mirrored command frame"
    success = "the hand ends within 3 cm of the goal"
    horizon = 25
    substeps = 8
    obs_dim = 5
    action_dim = 2
    start_x, start_y, tool_z = around(CENTRE[0], HALF), around(CENTRE[1], HALF), TOOL_Z
    scenery = ("shoulder_strength", "elbow_strength")
    parameters = (
        Scalar(
            name="rotation",
            unit="deg",
            low=-135.0,
            high=135.0,
            hole=(45.0, 75.0),
            beyond=((-180.0, -135.0), (135.0, 180.0)),
        ),
        Choice(name="mirrored", options=("no", "yes")),
        Scalar(
            name="shoulder_strength",
            unit="of nominal",
            low=0.6,
            high=1.0,
            beyond=((0.4, 0.6),),
        ),
        Scalar(
            name="elbow_strength",
            unit="of nominal",
            low=0.6,
            high=1.0,
            beyond=((0.4, 0.6),),
        ),
    )
    fields = ("actuator_gainprm",)
    weights: ClassVar[Mapping[str, float]] = {
        "near": 1.0 / horizon,
        "reached": 0.5,
        "effort": -0.1 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._target = Coordinates(self.model, ["target_x", "target_y"], device)
        self._centre = torch.tensor(CENTRE, device=device)

    def compile(self) -> mujoco.MjModel:
        """The arm and a goal in the plane of its hand."""
        spec = self.robot.scene()
        add_target(spec, axes="xy", at=(0.0, 0.0, TOOL_Z), radius=SUCCESS)
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Motor strengths scale the velocity that a command asks for."""
        gains = torch.from_numpy(self.model.actuator_gainprm)
        fields = gains.repeat(len(values["rotation"]), 1, 1)
        for joints, name in ((SHOULDER, "shoulder"), (ELBOW, "elbow")):
            strength = values[f"{name}_strength"].double()
            fields[:, list(joints), 0] *= strength[:, None]
        return {"actuator_gainprm": fields}

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Hand and goal anywhere in the square."""
        worlds = len(values["rotation"])
        u = torch.rand(worlds, 4, generator=rng, device=self.device)
        goals = self._centre + HALF * (2 * u[:, 2:] - 1)
        qpos, qvel = self.begin(u[:, :2])
        qpos[:, self._target.qpos] = goals
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Mirror and turn the command, then a planar velocity at constant height."""
        angle = torch.deg2rad(now.values["rotation"])
        x, y = action.unbind(-1)
        y = torch.where(now.values["mirrored"] > 0, -y, y)
        cos, sin = angle.cos(), angle.sin()
        turned = [SPEED * (cos * x - sin * y), SPEED * (sin * x + cos * y)]
        return self.move_level(now, torch.stack(turned, dim=-1))

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Hand, goal and time; no velocity and no past, which would give it away."""
        tool = now.readings.sensors["tool_pos"][:, :2]
        goal = self._target.positions(now.readings)
        return torch.cat(
            [
                (tool - self._centre) / HALF,
                (goal - tool) / HALF,
                2 * now.progress[:, None] - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the goal all along, and at the end."""
        tool = now.readings.sensors["tool_pos"][:, :2]
        miss = (tool - self._target.positions(now.readings)).norm(dim=-1)
        close = closeness(miss, 0.1)
        return Outcome(
            terms={
                "near": close,
                "reached": closeness(miss, 0.03) * (now.progress >= 1),
                "effort": action.square().mean(-1),
            },
            success=miss < SUCCESS,
            terminated=torch.zeros_like(miss, dtype=torch.bool),
        )

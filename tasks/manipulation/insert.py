"""insert: an arm puts a peg into a hole that is not where the camera says.

The hole that is seen is off by a calibration error, which stays the same throughout a
task. Until the peg falls in, nothing that the policy sees tells where the hole is, but
the reward does, near it. Searching takes most of an episode: a robust policy that does
not remember its rewards can only sweep a part of the plate.
Clearance, friction and the hole's outline vary too, and nothing depends on them.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Values
from tasks.family import Instant, Outcome, per_world
from tasks.manipulation import plate
from tasks.manipulation.arm_family import ArmFamily, around
from tasks.parameters import Choice, Scalar
from tasks.rewards import closeness

SEEN = (0.50, 0.0)  # [m], where the camera sees the hole
RADIUS = 0.01  # [m], of the peg; its round nose is the chamfer
NOSE = 0.06  # [m], from the tool's centre down to the peg's end
START_Z = plate.HEIGHT + NOSE + 0.015  # [m], height of the tool's centre
START_HALF = 0.01  # [m], half the side of the square around SEEN in which it starts
SOFTNESS = 0.015  # [s], time constant of contact; below, a pressed peg chatters
SPEED = (0.3, 0.3, 0.2)  # [m/s], of a full command along x, y and z
SUCCESS = 0.03  # [m], depth of the peg's end below the plate's top


class Insert(ArmFamily):
    """Insert a peg into a hole of hidden place."""

    name = "insert"
    summary = "insert a peg into a hole that is not quite where it is seen"
    success = "the peg ends more than 3 cm deep in the hole"
    horizon = 12
    substeps = 10
    obs_dim = 7
    action_dim = 3
    start_x, start_y = around(SEEN[0], START_HALF), around(SEEN[1], START_HALF)
    tool_z = START_Z
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("offset_x", "offset_y", "clearance", "hole"),
        "the peg may be in the hole",
    )
    # to a round peg every outline is the same circle
    scenery = ("clearance", "friction", "hole")
    parameters = (
        *(
            Scalar(
                name=f"offset_{axis}",
                unit="m",
                low=-0.05,
                high=0.05,
                hole=(0.015, 0.025),
                beyond=((-0.065, -0.05), (0.05, 0.065)),
            )
            for axis in "xy"
        ),
        Scalar(
            name="clearance", unit="m", low=0.001, high=0.003, beyond=((5e-4, 1e-3),)
        ),
        Scalar(
            name="friction",
            unit="1",
            low=0.1,
            high=0.4,
            beyond=((0.4, 0.6),),
            log=True,
        ),
        Choice(
            name="hole",
            options=("square", "hexagon"),
            # of tasks that were drawn when this family had a split of unseen outlines
            unseen=("triangle", "pentagon"),
            traits={name: (plate.corner_reach(name),) for name in plate.HOLES},
        ),
    )
    fields = (
        "geom_size",
        "geom_pos",
        "geom_quat",
        "geom_margin",
        "geom_rgba",
        "geom_friction",
    )
    # the reward for being near the hole must not drown in that for having found it
    weights: ClassVar[Mapping[str, float]] = {
        "near": 1.0 / horizon,
        "deep": 0.5 / horizon,
        "inserted": 0.5,
        "effort": -0.1 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._speed = torch.tensor(SPEED, device=device)
        self._seen = torch.tensor([*SEEN, plate.HEIGHT + NOSE], device=device)
        self._boxes = [self.model.geom(n).id for n in plate.FRAME + plate.WALLS]
        self._peg = self.model.geom("peg").id

    def compile(self) -> mujoco.MjModel:
        """The arm with a peg, a plate with a hole, a mark where the hole is seen."""
        spec = self.robot.scene()
        peg = spec.geom("paddle")
        peg.name, peg.type = "peg", mujoco.mjtGeom.mjGEOM_CAPSULE
        # from the holder, 3 cm behind the tool's centre, to the nose
        half = (0.03 + NOSE - RADIUS) / 2
        peg.size, peg.pos = np.array([RADIUS, half, 0]), np.array([0, 0, half - 0.03])
        # the peg's friction and stiffness decide, whatever it touches
        peg.priority, peg.solref = 1, np.array([SOFTNESS, 1.0])
        plate.add_plate(spec, *SEEN)
        spec.worldbody.add_geom(
            name="seen",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[*SEEN, plate.HEIGHT],
            size=[RADIUS, 0.001, 0],
            contype=0,
            conaffinity=0,
            rgba=[0.2, 0.7, 0.3, 0.6],
        )
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The hole's true place, its size and outline, and the peg's friction."""
        centre = torch.stack([values["offset_x"], values["offset_y"]], dim=-1)
        boxes = plate.geometry(values["hole"], RADIUS + values["clearance"], centre)
        friction = torch.zeros(len(centre), 3)
        friction[:, 0] = values["friction"]
        return per_world(
            self.model,
            geom_size=(self._boxes, boxes.size),
            geom_pos=(self._boxes, boxes.pos),
            geom_quat=(self._boxes, boxes.quat),
            geom_margin=(self._boxes, boxes.margin),
            geom_rgba=(self._boxes, boxes.rgba),
            geom_friction=(self._peg, friction),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The peg above the hole that is seen, a little off."""
        worlds = len(values["clearance"])
        u = torch.rand(worlds, 2, generator=rng, device=self.device)
        return self.begin(u)

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A velocity of the tool."""
        return self.move(now, self._speed * action)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """The peg's nose from the hole that is seen, its velocity, and the time."""
        sensors = now.readings.sensors
        return torch.cat(
            [
                20 * (sensors["tool_pos"] - self._seen),
                4 * sensors["tool_vel"],
                2 * now.progress[:, None] - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Closeness to the true hole and depth in it all along; depth at the end."""
        nose = now.readings.sensors["tool_pos"] - self._seen
        offset = torch.stack([now.values["offset_x"], now.values["offset_y"]], -1)
        depth = -nose[:, 2]
        deep = (depth / plate.HEIGHT).clamp(0, 1)
        return Outcome(
            terms={
                "near": closeness((nose[:, :2] - offset).norm(dim=-1), 0.03),
                "deep": deep,
                "inserted": deep * (now.progress >= 1),
                "effort": action.square().mean(-1),
            },
            success=depth > SUCCESS,
            terminated=torch.zeros_like(depth, dtype=torch.bool),
        )

"""open: an arm that holds a handle opens furniture whose mechanism is hidden.

Drawer or door, to be pulled, pushed, slid or swung: closed, they all look alike. The
hand feels only where it is, and not where it took hold of the handle, so that a robust
policy must push and pull blindly, one way after the other, until there is no time left.
Latch, damping and travel vary too, and next to nothing depends on them.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome, per_world
from tasks.manipulation.arm_family import ArmFamily, around
from tasks.parameters import Choice, Scalar
from tasks.rewards import closeness

CENTRE = (0.50, 0.0)  # [m], of the square in which closed handles are
HALF = 0.06  # [m], half the side of that square
TOOL_Z = 0.20  # [m], height of the handle
SPEED = 0.4  # [m/s], of a full command
ANGLE = 1.4  # [rad], by which a door opens
SUCCESS = 0.9  # share of the way
PANEL_MASS = 3.0  # [kg]
# a joint that a mechanism lacks, and the floor the furniture stands on, give way by
# less than 0.01 mm in an episode: inertia locks without adding a constraint
LOCKED = 1e6  # [kg] and [kg m^2]

MECHANISMS: Mapping[str, tuple[float, float, float]] = {
    "drawer": (-1.0, 0.0, 0.0),
    "door-left": (-1.0, 0.0, -1.0),
    "door-right": (-1.0, 0.0, 1.0),
    "push-in": (1.0, 0.0, 0.0),
    "swing-in-left": (1.0, 0.0, 1.0),
    "swing-in-right": (1.0, 0.0, -1.0),
    "slide-left": (0.0, 1.0, 0.0),
    "slide-right": (0.0, -1.0, 0.0),
    "oblique-left": (-(0.5**0.5), 0.5**0.5, 0.0),
    "oblique-right": (-(0.5**0.5), -(0.5**0.5), 0.0),
}
"""Mechanisms by name: the way the handle starts to move (x, y), and the way it then
turns: 0 along a line, 1 counterclockwise, -1 clockwise, seen from above."""
_UNSEEN = 2  # the last of them


class Open(ArmFamily):
    """Open a drawer or a door of hidden mechanism."""

    name = "open"
    summary = "open furniture that may want to be pulled, pushed, slid or swung"
    success = "the furniture ends open by more than 90 % of its travel"
    horizon = 12
    substeps = 12
    obs_dim = 3
    action_dim = 2
    start_x, start_y, tool_z = around(CENTRE[0], HALF), around(CENTRE[1], HALF), TOOL_Z
    splits = (*Family.splits, "unseen")
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("mechanism", "travel"), "the furniture may be open"
    )
    scenery = ("latch", "damping", "travel")
    in_episode = True
    parameters = (
        Choice(
            name="mechanism",
            options=tuple(MECHANISMS)[:-_UNSEEN],
            unseen=tuple(MECHANISMS)[-_UNSEEN:],
            traits=MECHANISMS,
        ),
        Scalar(
            name="latch",
            unit="N",
            low=15.0,
            high=35.0,
            hole=(23.0, 27.0),
            beyond=((8.0, 15.0), (35.0, 40.0)),
        ),
        Scalar(
            name="damping",
            unit="N s/m",
            low=10.0,
            high=50.0,
            beyond=((50.0, 70.0),),
        ),
        Scalar(
            name="travel",
            unit="m",
            low=0.14,
            high=0.18,
            beyond=((0.18, 0.2),),
        ),
    )
    fields = (
        "jnt_axis",
        "jnt_pos",
        "jnt_range",
        "dof_armature",
        "dof_damping",
        "dof_frictionloss",
    )
    weights: ClassVar[Mapping[str, float]] = {
        "open": 1.0 / horizon,
        "opened": 0.5,
        "strain": -0.1 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._chest = Coordinates(self.model, ["chest_x", "chest_y"], device)
        self._opening = Coordinates(self.model, ["slide", "hinge"], device)
        self._centre = torch.tensor(CENTRE, device=device)

    def compile(self) -> mujoco.MjModel:
        """The arm, and furniture whose handle it holds."""
        spec = self.robot.scene()
        _shape_hand(spec)
        _add_furniture(spec)
        # soft enough for steps of 5 ms, and free to turn about the handle
        spec.add_equality(
            name="grip",
            type=mujoco.mjtEq.mjEQ_CONNECT,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            name1="tool",
            name2="handle",
        )
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The joint that moves, its resistance and end; the other one locked."""
        travel, latch, damping = (
            values[name].double() for name in ("travel", "latch", "damping")
        )
        table = torch.tensor(list(MECHANISMS.values()), dtype=torch.float64)
        x, y, turn = table[values["mechanism"].long()].unbind(-1)
        zero = torch.zeros_like(x)
        swings = turn != 0
        radius = travel / ANGLE
        # the hinge is to the left of where the handle goes if it turns that way
        pivot = torch.stack([-y, x, zero], -1) * (turn * radius)[:, None]
        upright = torch.stack([zero, zero, torch.where(swings, turn, 1.0)], -1)
        moves = torch.stack([~swings, swings], -1)
        # forces at the handle act on the hinge with the radius as lever
        lever = torch.stack([torch.ones_like(x), radius], -1)
        # every joint has one degree of freedom, whose index is the joint's own
        rows = [self.model.joint(name).id for name in ("slide", "hinge")]
        ends = torch.where(moves, travel[:, None] / lever, 1.0)
        return per_world(
            self.model,
            jnt_axis=(rows, torch.stack([torch.stack([x, y, zero], -1), upright], 1)),
            jnt_pos=(rows[1], pivot),
            jnt_range=(rows, torch.stack([torch.where(moves, 0.0, -1.0), ends], -1)),
            dof_armature=(rows, torch.where(moves, 0.0, LOCKED)),
            dof_damping=(rows, torch.where(moves, damping[:, None] * lever**2, 0.0)),
            dof_frictionloss=(rows, torch.where(moves, latch[:, None] * lever, 0.0)),
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """The furniture anywhere in the square, closed, with the hand on its handle."""
        worlds = len(values["travel"])
        u = torch.rand(worlds, 2, generator=rng, device=self.device)
        qpos, qvel = self.begin(u)
        qpos[:, self._chest.qpos] = HALF * (2 * u - 1)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """A planar velocity of the hand at constant height, of at most `SPEED`."""
        return self.move_level(now, SPEED * _bounded(action))

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Hand and time; neither velocity nor handle, which would give it away."""
        tool = now.readings.sensors["tool_pos"][:, :2]
        return torch.cat(
            [(tool - self._centre) / 0.1, 2 * now.progress[:, None] - 1], dim=-1
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Reward openness, all along and mostly at the end; punish vain strain."""
        share = self.openness(now)
        # the servos pull in proportion to what their command is short of
        short = _bounded(action) - now.readings.sensors["tool_vel"][:, :2] / SPEED
        return Outcome(
            terms={
                "open": share,
                "opened": closeness(1 - share, 0.2) * (now.progress >= 1),
                "strain": short.square().sum(-1).clamp(max=1.0),
            },
            success=share > SUCCESS,
            terminated=torch.zeros_like(share, dtype=torch.bool),
        )

    def openness(self, now: Instant) -> Float[Tensor, "world"]:
        """Return the share of its travel that the handle has come; a lock adds 0."""
        slid, turned = self._opening.positions(now.readings).unbind(-1)
        return (slid / now.values["travel"] + turned / ANGLE).clamp(0.0, 1.0)


def _bounded(action: Float[Tensor, "world 2"]) -> Float[Tensor, "world 2"]:
    """Shorten what is longer than 1: two ways at once are not twice the force."""
    return action / action.norm(dim=-1, keepdim=True).clamp(min=1.0)


def _shape_hand(spec: mujoco.MjSpec) -> None:
    """Turn the paddle into a fist around the handle, which touches nothing else."""
    paddle = spec.geom("paddle")
    paddle.size[:] = (0.022, 0.03, 0.03)
    paddle.contype = paddle.conaffinity = 0


def _add_furniture(spec: mujoco.MjSpec) -> None:
    """A chest without a lid, whose front moves; its handle's post is on the front."""
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    chest = spec.worldbody.add_body(name="chest", pos=[*CENTRE, 0.0], gravcomp=1)
    for axis, way in (("x", [1, 0, 0]), ("y", [0, 1, 0])):
        chest.add_joint(name=f"chest_{axis}", type=slide, axis=way, armature=LOCKED)
    wood, front = [0.72, 0.56, 0.40, 1.0], [0.35, 0.52, 0.62, 1.0]
    walls = {
        "floor": ((0.135, 0.0, 0.006), (0.12, 0.141, 0.006)),
        "back": ((0.25, 0.0, 0.07), (0.006, 0.141, 0.07)),
        "left": ((0.135, 0.141, 0.07), (0.12, 0.006, 0.07)),
        "right": ((0.135, -0.141, 0.07), (0.12, 0.006, 0.07)),
    }
    for name, (pos, size) in walls.items():
        _add_box(chest, name, pos, size, wood)
    panel = chest.add_body(name="panel", gravcomp=1)
    for name, kind in (("slide", slide), ("hinge", hinge)):
        joint = panel.add_joint(name=name, type=kind, range=[0, 1])
        # by default, what friction holds creeps by 8 mm/s
        joint.solimp_friction[:2] = 0.99
    _add_box(panel, "front", (0.0, 0.0, 0.075), (0.01, 0.1, 0.06), front, PANEL_MASS)
    _add_box(panel, "post", (0.0, 0.0, 0.165), (0.008, 0.008, 0.035), front)
    panel.add_site(name="handle", pos=[0.0, 0.0, TOOL_Z])


def _add_box(
    body: mujoco.MjsBody,
    name: str,
    pos: tuple[float, float, float],
    size: tuple[float, float, float],
    rgba: list[float],
    mass: float = 0.1,
) -> None:
    """A box that touches nothing; size is half its edges [m]."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=list(pos),
        size=list(size),
        mass=mass,
        contype=0,
        conaffinity=0,
        rgba=rgba,
    )

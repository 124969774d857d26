"""Limits on how a robot moves its tool near a person, whatever its policy asks for.

The ideas are those of ISO/TS 15066, speed and separation monitoring and power and force
limiting; the figures are ours, and this is a simulation: nothing is certified.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from robots.humans.person import BACK, FRONT, RADIUS

FAR_SPEED = 0.8
"""Greatest speed of the tool [m/s], far from the person."""
NEAR_SPEED = 0.12
"""Greatest speed within `NEAR` [m/s]."""
NEAR = 0.15
"""Separation at which the speed is down to `NEAR_SPEED` [m]."""
SLOPE = 1.2
"""Speed for each metre of separation beyond [1/s]."""
STOP = 0.03
"""Separation below which the robot only moves away [m]."""
ALLOWED = 0.25
"""The limit: approach at no more than this, and `SLOPE` of the separation [m/s]."""
FORCE = 140.0
"""The limit of contact force on the hand [N], ISO/TS 15066's for lasting contact."""
WALLS = ((0.32, 0.70), (-0.34, 0.34), (0.14, 0.62))
"""Extent of what the tool may reach along x, y and z [m]."""
STRETCH, WRIST = 0.66, (-0.088, 0.0, 0.207 - 0.333)
"""Greatest distance from shoulder to wrist [m], and what is to be added to the tool's
place for it: an arm that is stretched out does not go where it is told to."""
WALL_GAIN = 5.0
"""Speed for each metre to a wall [1/s]."""
GRIPPER = (-0.02, 0.30, 0.085)
"""A vertical capsule that holds gripper and wrist: its ends above the tool, its radius
[m]."""


class Checked(NamedTuple):
    """A command after the layer has seen it."""

    velocity: Float[Tensor, "world 3"]
    stopped: Bool[Tensor, "world"]
    """Worlds in which it stopped the robot, which wanted to go nearer."""


def separation(
    tool: Float[Tensor, "world 3"], hand: Float[Tensor, "world 3"]
) -> tuple[Float[Tensor, "world"], Float[Tensor, "world 3"]]:
    """Return the distance between gripper and forearm [m], and the way to the person.

    Between two capsules, one vertical and one along x: exact, and negative where they
    overlap. The way is a unit vector, or 0 where their axes meet.

    Args:
        tool: the tool's centre [m].
        hand: the hand's place [m].
    """
    low, high, width = GRIPPER
    x, y, z = (hand - tool).unbind(-1)
    gap = torch.stack(
        [_beside(x + FRONT, x + BACK), y, _beside(z - high, z - low)], dim=-1
    )
    length = gap.norm(dim=-1)
    return length - width - RADIUS, gap / length.clamp(min=1e-6)[:, None]


def _beside(
    low: Float[Tensor, "world"], high: Float[Tensor, "world"]
) -> Float[Tensor, "world"]:
    """Return the number nearest to 0 between two others."""
    return low.clamp(min=0) + high.clamp(max=0)


def allowed(apart: Float[Tensor, "world"]) -> Float[Tensor, "world"]:
    """Return the limit of the approach at a separation [m/s]."""
    return ALLOWED + SLOPE * apart.clamp(min=0)


def check(
    velocity: Float[Tensor, "world 3"],
    tool: Float[Tensor, "world 3"],
    hand: Float[Tensor, "world 3"],
) -> Checked:
    """Slow a command down by the separation, and stop one that comes too near.

    Args:
        velocity: of the tool, as the policy wants it [m/s].
        tool: the tool's centre [m].
        hand: the hand's place [m].
    """
    apart, towards = separation(tool, hand)
    most = (NEAR_SPEED + SLOPE * (apart - NEAR)).clamp(NEAR_SPEED, FAR_SPEED)
    speed = velocity.norm(dim=-1).clamp(min=1e-6)
    slowed = velocity * (most / speed).clamp(max=1)[:, None]
    stopped = (apart < STOP) & ((velocity * towards).sum(-1) > 0)
    return Checked(torch.where(stopped[:, None], 0.0, slowed), stopped)


def within_reach(
    velocity: Float[Tensor, "world 3"], tool: Float[Tensor, "world 3"]
) -> Float[Tensor, "world 3"]:
    """Slow a command down towards walls, and towards where the arm is stretched out.

    Args:
        velocity: of the tool, as the policy wants it [m/s].
        tool: the tool's centre [m].
    """
    sides = zip(velocity.unbind(-1), tool.unbind(-1), WALLS, strict=True)
    within = [
        torch.minimum(torch.maximum(v, WALL_GAIN * (low - x)), WALL_GAIN * (high - x))
        for v, x, (low, high) in sides
    ]
    velocity = torch.stack(within, dim=-1)
    x, y, z = tool.unbind(-1)
    arm = torch.stack([x + WRIST[0], y + WRIST[1], z + WRIST[2]], dim=-1)
    length = arm.norm(dim=-1, keepdim=True)
    out = (velocity * arm).sum(-1, keepdim=True) / length
    over = (out - WALL_GAIN * (STRETCH - length)).clamp(min=0)
    return velocity - over * arm / length

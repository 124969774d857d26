"""The script that a person follows: when and where the hand goes, and what it feels.

Nothing is remembered but what can be seen: a head that is raised or bowed has decided,
and how far it is says how long ago.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.contract import Values

REST = (1.10, 0.24)
"""The hand's place before the belly, x and height [m]; y is where the person stands."""
PLACE_X, SIDE = 0.74, 0.16
"""Where the hand is held out: x, and to the side of the hand that is used [m]."""
PATIENCE = 0.4
"""Time during which the person is ready [s]."""
WITHDRAWAL = 0.6
"""Time that the hand takes to withdraw [s]."""
DIP, PAUSE, AGAIN = 0.6, 0.1, 0.7
"""Share of the way that an impatient person draws back, how long after arriving, and
how long after that the hand is there again [s]."""
NOD = 0.5
"""Angle of the head when it has stopped [rad]: bowed if content, raised if not."""
NOD_RATE = 1.0
"""Speed of the head [rad/s]."""
DECIDED = 0.03
"""Angle from which on the person has decided [rad]."""
TOO_MUCH = 2.0
"""Force that startles, over that of the grip."""


def minimum_jerk(share: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return how much of the way is made after a share of the time.

    The path of least jerk between two rests: 10 s^3 - 15 s^4 + 6 s^5 (Flash and Hogan
    1985, "The coordination of arm movements", equation 3).
    """
    s = share.clamp(0, 1)
    return s**3 * (10 - 15 * s + 6 * s.square())


def ready(values: Values) -> Float[Tensor, "world"]:
    """Return the time from which on the person is ready [s]."""
    impatient = values["style"]
    wait = values["hesitation"] * (1 - impatient / 2)
    return values["reach_time"] + impatient * AGAIN + wait


def reached(values: Values, time: Float[Tensor, "world"]) -> Float[Tensor, "world"]:
    """Return how much of the way out the hand has made, if nothing disturbs it."""
    since = time - values["reach_time"] - PAUSE
    turn = (AGAIN - PAUSE) / 2
    back = minimum_jerk(since / turn) - minimum_jerk(since / turn - 1)
    gone = (time - ready(values) - PATIENCE) / WITHDRAWAL
    out = minimum_jerk(time / values["reach_time"]) - values["style"] * DIP * back
    return out * (1 - minimum_jerk(gone))


def place(
    values: Values, stand: Float[Tensor, "world"], share: Float[Tensor, "world"]
) -> Float[Tensor, "world 3"]:
    """Return the hand's place after a share of the way out [m].

    Args:
        values: of the tasks.
        stand: where the person stands along y [m].
        share: 0 at rest, 1 where the hand is held out.
    """
    # the person faces the robot: the left hand is on the robot's right
    side = SIDE * (2 * values["handed"] - 1)
    x = REST[0] + share * (PLACE_X - REST[0])
    height = REST[1] + share * (values["height"] - REST[1])
    return torch.stack([x, stand + share * side, height], dim=-1)


def judged(
    values: Values, time: Float[Tensor, "world"], force: Float[Tensor, "world"]
) -> tuple[Float[Tensor, "world"], Float[Tensor, "world"]]:
    """Return how far off moment and force were: [s], and ln of a ratio; 0 is right.

    Args:
        values: of the tasks.
        time: of the pull or push [s].
        force: of the pull or push [N].
    """
    early = ready(values) - time
    late = time - ready(values) - PATIENCE
    wrong = (force / values["grip"] / TOO_MUCH**0.5).log().abs()
    return torch.maximum(early, late).clamp(min=0), wrong


def content(
    off: tuple[Float[Tensor, "world"], Float[Tensor, "world"]],
) -> Bool[Tensor, "world"]:
    """Tell whether moment and force, as `judged` found them, please the person."""
    moment, force = off
    return (moment <= 0) & (force <= math.log(TOO_MUCH) / 2)

"""The carton of `carry`: its parts, its balance, and what holds it."""

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Values

SIDES = ("left", "right")
SIGNS = (-1.0, 1.0)  # of x, from the carton's middle to either end
APART = 1.5  # [m], between the arms, which face each other along x
LENGTH, WIDTH, HEIGHT = 0.22, 0.05, 0.05  # [m], half the carton's
PAD = 0.01  # [m], half the thickness of its ends
INSERT = 0.6  # share of the carton's mass that is a weight inside it
LIFT = 0.1  # [m], of the carton's middle at its place
GRAVITY = 9.81  # [m/s^2]


def needed(values: Values) -> Float[Tensor, "world"]:
    """Return the force along x by which two points would hold the carton at rest [N].

    Each end's friction bears its share of the weight: the greater of their quotients.
    The ends are faces, and hold one that is heavier on one side by up to a tenth less.
    """
    right = 0.5 + INSERT * values["load_x"] / (2 * LENGTH)
    shares = torch.stack([1 - right, right], -1)
    grip = torch.stack([values[f"friction_{side}"] for side in SIDES], -1)
    return GRAVITY * values["mass"] * (shares / grip).amax(-1)


def balance(
    load_x: Float[Tensor, "world"], mass: Float[Tensor, "world"]
) -> tuple[Float[Tensor, "world 3"], Float[Tensor, "world 3"]]:
    """Return the centre of mass [m] and principal inertia [kg m^2] of the carton.

    A uniform box, and in it a weight that is a point.

    Args:
        load_x: place of the weight along the carton, from its middle [m].
        mass: of both [kg].
    """
    ipos = torch.zeros(len(load_x), 3, dtype=load_x.dtype)
    ipos[:, 0] = INSERT * load_x
    box = mass * (1 - INSERT)
    across = box * (LENGTH**2 + WIDTH**2) / 3
    across = across + mass * INSERT * (1 - INSERT) * load_x**2
    thin = box * (WIDTH**2 + HEIGHT**2) / 3
    return ipos, torch.stack([thin, across, across], dim=-1)


def add_carton(spec: mujoco.MjSpec) -> None:
    """Add the body `load`, a box whose ends feel how hard they are pressed."""
    body = spec.worldbody.add_body(name="load", pos=[APART / 2, 0.0, HEIGHT])
    body.add_freejoint(name="load")
    body.explicitinertial, body.mass = True, 0.5
    [ipos], [inertia] = balance(*(torch.tensor([v]).double() for v in (0.0, 0.5)))
    body.ipos, body.inertia = ipos.numpy(), inertia.numpy()
    # a weight that is moved off the middle leaves it no axes of inertia
    body.simple = False
    body.add_geom(
        name="box",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[LENGTH - 2 * PAD, WIDTH, HEIGHT],
        rgba=[0.80, 0.62, 0.40, 1.0],
    )
    for side, sign in zip(SIDES, SIGNS, strict=True):
        x = sign * (LENGTH - PAD)
        pad = body.add_geom(
            name=f"pad_{side}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[x, 0, 0],
            size=[PAD, 0.9 * WIDTH, 0.9 * HEIGHT],
            rgba=[0.25, 0.26, 0.28, 1.0],
        )
        # its own friction decides
        pad.priority, pad.condim = 1, 3
        name = f"pressed_{side}"
        body.add_site(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[sign * LENGTH, 0, 0],
            size=[PAD / 2, WIDTH, HEIGHT],
            group=4,
        )
        spec.add_sensor(
            name=name,
            type=mujoco.mjtSensor.mjSENS_TOUCH,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=name,
        )


def add_place(spec: mujoco.MjSpec) -> None:
    """Add the carton's place, which touches nothing and slides along y.

    Kept in the state, it is drawn anew each episode and a replay shows it.
    """
    body = spec.worldbody.add_body(name="target", pos=[APART / 2, 0, LIFT], gravcomp=1)
    body.add_joint(name="target_y", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
    body.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[LENGTH + 0.004, WIDTH + 0.004, HEIGHT + 0.004],
        mass=1.0,
        contype=0,
        conaffinity=0,
        rgba=[0.2, 0.7, 0.3, 0.3],
    )

"""Scenery on the roads of the families: bays, and lines of paint."""

import mujoco
import numpy as np

WHITE = (0.94, 0.94, 0.91, 1.0)
_KINDS = {"x": mujoco.mjtJoint.mjJNT_SLIDE, "y": mujoco.mjtJoint.mjJNT_SLIDE,
          "yaw": mujoco.mjtJoint.mjJNT_HINGE}  # fmt: skip
_AXES = {"x": [1, 0, 0], "y": [0, 1, 0], "yaw": [0, 0, 1]}


def add_bay(
    spec: mujoco.MjSpec, *, axes: tuple[str, ...], half: tuple[float, float]
) -> None:
    """Add a painted outline that touches nothing and is moved along `axes`.

    Its coordinates `bay_x` and `bay_y` [m] and `bay_yaw` [rad] are part of the physics
    state: it is drawn anew each episode, and a replay shows where it was.

    Args:
        spec: the scene.
        axes: some of `x`, `y` and `yaw`.
        half: half its length and half its width [m].
    """
    body = spec.worldbody.add_body(name="bay", gravcomp=1)
    body.explicitinertial, body.mass = True, 1.0
    body.ipos, body.inertia = np.zeros(3), np.ones(3)
    for axis in axes:
        body.add_joint(name=f"bay_{axis}", type=_KINDS[axis], axis=_AXES[axis])
    length, width = half
    for pos, size in (
        ((length, 0.0), (0.012, width)),
        ((-length, 0.0), (0.012, width)),
        ((0.0, width), (length, 0.012)),
        ((0.0, -width), (length, 0.012)),
    ):
        _add_paint(body, pos, size)


def add_line(
    spec: mujoco.MjSpec,
    pos: tuple[float, float],
    half: tuple[float, float],
    rgba: tuple[float, float, float, float] = WHITE,
) -> None:
    """Paint a rectangle on the ground, which nothing touches [m]."""
    # paint lies on tarmac
    _add_paint(spec.worldbody, pos, half, rgba, thick=0.001 if rgba == WHITE else 5e-4)


def _add_paint(
    body: mujoco.MjsBody,
    pos: tuple[float, float],
    half: tuple[float, float],
    rgba: tuple[float, float, float, float] = WHITE,
    thick: float = 0.001,
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[*pos, 0.0],
        size=[*half, thick],
        contype=0,
        conaffinity=0,
        rgba=list(rgba),
    )

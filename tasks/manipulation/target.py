"""A visible target whose place is part of the physics state."""

import mujoco

_AXES = {"x": [1.0, 0.0, 0.0], "y": [0.0, 1.0, 0.0]}


def add_target(
    spec: mujoco.MjSpec,
    *,
    axes: str,
    at: tuple[float, float, float],
    radius: float,
) -> None:
    """Add a flat disc that touches nothing and slides along `axes` (`x` or `xy`).

    Its coordinates, in [m] from `at`, follow those of what the scene already has; kept
    in the state, the target is drawn anew each episode and a replay shows it.
    """
    body = spec.worldbody.add_body(name="target", pos=list(at), gravcomp=1)
    for axis in axes:
        body.add_joint(
            name=f"target_{axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=_AXES[axis]
        )
    body.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius, 0.001, 0],
        mass=1.0,
        contype=0,
        conaffinity=0,
        rgba=[0.2, 0.7, 0.3, 0.6],
    )

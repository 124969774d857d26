"""The rod that is handed over."""

import mujoco
import numpy as np

JOINTS = ("rod_x", "rod_y", "rod_z")
"""Names of its joints, its middle's place in the world [m]; it never turns."""
HALF, RADIUS = 0.14, 0.011
"""Half its length, and its radius [m]."""
MASS = 0.15
"""Its mass [kg]."""
HOLD = (300.0, 14.0)
"""Stiffness and damping of what holds it [N/m, N s/m]: critical; it sags by 5 mm."""


def add_rod(spec: mujoco.MjSpec, apart: float) -> None:
    """Add the rod, which touches nothing: springs hold it, at the hand and the tool.

    Actuators `by_hand` and `by_tool`, each along x, y and z, are held at 1 and let go
    at 0.

    Args:
        spec: a scene with the sites `hand` and `tool`.
        apart: distance between the two that hold it [m].
    """
    rod = spec.worldbody.add_body(name="rod")
    rod.explicitinertial, rod.mass = True, MASS
    rod.ipos, rod.inertia = np.zeros(3), np.full(3, 1e-3)
    for name, axis in zip(JOINTS, np.eye(3).tolist(), strict=True):
        joint = rod.add_joint(
            name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis, damping=0.2
        )
        if name == "rod_z":
            joint.limited, joint.range = True, np.array([RADIUS, 2.0])
    geom = rod.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[RADIUS, 0, 0],
        rgba=[0.93, 0.55, 0.15, 1],
        mass=0,
        contype=0,
        conaffinity=0,
    )
    geom.fromto = np.array([-HALF, 0, 0, HALF, 0, 0])
    stiffness, damping = HOLD
    for end, holder, x in (
        ("by_hand", "hand", apart / 2),
        ("by_tool", "tool", -apart / 2),
    ):
        rod.add_site(name=end, pos=[x, 0, 0])
        for i, axis in enumerate("xyz"):
            spring = spec.add_actuator(
                name=f"{end}_{axis}",
                trntype=mujoco.mjtTrn.mjTRN_SITE,
                target=end,
                refsite=holder,
            )
            spring.gear = np.eye(6)[i]
            spring.gaintype = mujoco.mjtGain.mjGAIN_AFFINE
            spring.gainprm[:3] = [0.0, -stiffness, -damping]

"""The arm of `panda` with two fingers in place of its paddle.

They close along the tool's y axis, coupled, with one force. What they touch decides the
friction: their round tips have no priority of their own.
"""

import mujoco
import numpy as np

from robots.arms.panda import Panda

FINGERS = ("finger0", "finger1")
"""Names of the fingers' joints; each is at its distance from the middle [m]."""
OPEN = 0.04
"""Joint position of an open finger [m]."""
TIP_RADIUS = 0.012
"""Radius of a fingertip [m]; a closed finger's joint is at 0."""
TIP_HALF = 0.002
"""Offset of a fingertip's two spheres along x [m]: two of them resist turns."""
FORCE = 20.0
"""Greatest force of the drive [N]; positive opens, negative closes."""
GRIP = "grip"
"""Name of the fingers' actuator [N]."""


class PandaGripper(Panda):
    """The arm with two fingers; its tool is the middle between the fingertips."""

    name = "panda-gripper"
    joints = (*Panda.joints, *FINGERS)
    actuators = (*Panda.actuators, GRIP)

    def spec(self) -> mujoco.MjSpec:
        """Build the arm alone, for a scene that holds other robots too."""
        return _with_fingers(super().spec())

    def scene(self) -> mujoco.MjSpec:
        """Build the arm on its table; see `Panda.scene`."""
        return _with_fingers(super().scene())


def _with_fingers(spec: mujoco.MjSpec) -> mujoco.MjSpec:
    """Replace the arm's paddle by the fingers."""
    tool = spec.body("tool")
    palm = spec.geom("paddle")
    palm.size, palm.pos = np.array([0.018, 0.06, 0.012]), np.array([0, 0, -0.065])
    palm.contype = palm.conaffinity = 0
    palm.material = "trim"
    # ends in the palm: nothing but air is between the fingers
    spec.geom("handle").fromto = np.array([0, 0, -0.088, 0, 0, -0.077])
    for name, side in zip(FINGERS, (1.0, -1.0), strict=True):
        finger = tool.add_body(name=name, pos=[0, side * TIP_RADIUS, 0], gravcomp=1)
        # the damping keeps the fingers below 0.5 m/s when nothing is between them
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, side, 0],
            limited=True,
            range=[0, OPEN + 0.005],
            damping=60,
            armature=0.3,
        )
        finger.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.009, 0.006, 0.028],
            pos=[0, 0, -0.028],
            mass=0.05,
            contype=0,
            conaffinity=0,
            material="joint",
        )
        _add_tip(finger)
    _couple(spec)
    return spec


def _add_tip(finger: mujoco.MjsBody) -> None:
    """Add the round end of a finger, two spheres side by side."""
    for i, x in enumerate((-TIP_HALF, TIP_HALF)):
        finger.add_geom(
            name=f"{finger.name}_tip{i}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[TIP_RADIUS, 0, 0],
            pos=[x, 0, 0],
            mass=0.01,
            contype=1,
            conaffinity=1,
            group=0,
            material="trim",
        )


def _couple(spec: mujoco.MjSpec) -> None:
    """Keep the fingers at equal distances from the middle, with one drive for both."""
    equal = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=FINGERS[0],
        name2=FINGERS[1],
    )
    equal.data[:5] = [0, 1, 0, 0, 0]
    tendon = spec.add_tendon(name=GRIP)
    for name in FINGERS:
        tendon.wrap_joint(name, 1.0)
    drive = spec.add_actuator(
        name=GRIP,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=GRIP,
        ctrllimited=True,
        ctrlrange=[-FORCE, FORCE],
    )
    drive.gainprm[0] = 1.0

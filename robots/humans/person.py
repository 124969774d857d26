"""A person at the far end of the table: a hand and forearm that reach, and a head.

Shapes are simple and the person is scripted: whatever moves the actuators decides what
they do. The hand is held by a compliant servo, so that a pull or a push moves it.
"""

import mujoco
import numpy as np

STAND = "stand"
"""Name of the joint that says where the person stands along y [m]; nothing moves it."""
HAND = ("hand_x", "hand_y", "hand_z")
"""Names of the hand's joints, its place in the world [m], and of their servos."""
HEAD = "nod"
"""Name of the head's joint [rad]: forwards is positive; and of its drive [rad/s]."""
TUG = "tug"
"""Name of the actuator that pulls the hand along x [N]."""
SKIN = ("hand", "fingers", "thumb", "forearm")
"""Names of the geoms that can be touched."""
FRONT, BACK, RADIUS = -0.02, 0.30, 0.06
"""A capsule along x that holds hand and forearm: its ends from the hand, its radius
[m]."""
MASS = 1.2
"""Mass of hand and forearm as it is felt at the hand [kg]."""
STIFFNESS, DAMPING = 300.0, 32.0
"""Stiffness and damping of the servos [N/m, N s/m].

A relaxed arm has 100 to 500 N/m (Mussa-Ivaldi, Hogan and Bizzi 1985)."""
LAG = DAMPING / STIFFNESS
"""Time that the hand is behind a servo's target that moves at a constant speed [s]."""
_SKIN, _SLEEVE, _SHIRT = (
    (0.87, 0.68, 0.55, 1.0),
    (0.30, 0.45, 0.68, 1.0),
    (0.27, 0.4, 0.6, 1.0),
)
_CAPSULE, _SPHERE = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE


def add_person(spec: mujoco.MjSpec, x: float) -> None:
    """Add a person who faces the robot from x [m]; the hand's site is `hand`."""
    _add_body(spec, x)
    _add_hand(spec)
    joint = mujoco.mjtTrn.mjTRN_JOINT
    for name in HAND:
        servo = spec.add_actuator(name=name, target=name, trntype=joint)
        servo.set_to_position(kp=STIFFNESS, kv=DAMPING)
    head = spec.add_actuator(name=HEAD, target=HEAD, trntype=joint)
    head.set_to_velocity(kv=2.0)
    tug = spec.add_actuator(name=TUG, target=HAND[0], trntype=joint)
    tug.gainprm[0] = 1.0


def _add_body(spec: mujoco.MjSpec, x: float) -> None:
    """Add what is only seen: a chest with shoulders, and a head that can nod."""
    chest = spec.worldbody.add_body(name="person", pos=[x, 0, 0], gravcomp=1)
    chest.explicitinertial, chest.mass = True, 1.0
    chest.ipos, chest.inertia = np.zeros(3), np.ones(3)
    chest.add_joint(name=STAND, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
    _draw(chest, _CAPSULE, _SHIRT, 0.10, (0.0, -0.10, 0.42), (0.0, 0.10, 0.42))
    _draw(chest, _CAPSULE, _SHIRT, 0.12, (0.0, -0.05, 0.05), (0.0, -0.05, 0.35))
    _draw(chest, _CAPSULE, _SHIRT, 0.12, (0.0, 0.05, 0.05), (0.0, 0.05, 0.35))
    head = chest.add_body(name="head", pos=[0, 0, 0.52], gravcomp=1)
    head.explicitinertial, head.mass = True, 1.0
    head.ipos, head.inertia = np.zeros(3), np.full(3, 0.03)
    head.add_joint(name=HEAD, axis=[0, -1, 0])
    _draw(head, _CAPSULE, _SKIN, 0.045, (0.0, 0.0, -0.02), (0.0, 0.0, 0.06))
    _draw(head, _SPHERE, _SKIN, 0.09, (-0.015, 0.0, 0.15))
    _draw(head, _SPHERE, (0.25, 0.18, 0.13, 1.0), 0.092, (0.005, 0.0, 0.17))
    for side in (-0.03, 0.03):
        _draw(head, _SPHERE, (0.12, 0.12, 0.14, 1.0), 0.012, (-0.096, side, 0.165))


def _draw(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    rgba: tuple[float, ...],
    radius: float,
    start: tuple[float, ...],
    end: tuple[float, ...] | None = None,
) -> mujoco.MjsGeom:
    """Add a sphere, or a capsule between two points, that touches nothing."""
    geom = body.add_geom(type=kind, size=[radius, 0, 0], rgba=list(rgba), mass=0)
    if end is None:
        geom.pos = np.array(start)
    else:
        geom.fromto = np.array([*start, *end])
    geom.contype = geom.conaffinity = 0
    return geom


def _add_hand(spec: mujoco.MjSpec) -> None:
    """Add a fist around something that points along -x, and the forearm behind it."""
    hand = spec.worldbody.add_body(name="hand", gravcomp=1)
    hand.explicitinertial, hand.mass = True, MASS
    hand.ipos, hand.inertia = np.zeros(3), np.full(3, 0.01)
    for name, axis in zip(HAND, np.eye(3).tolist(), strict=True):
        hand.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    ends = (
        (_SKIN, 0.034, (0.015, 0.0, 0.012), (0.015, 0.0, -0.012)),
        (_SKIN, 0.02, (-0.018, 0.016, 0.02), (-0.018, 0.016, -0.02)),
        (_SKIN, 0.013, (0.02, -0.025, 0.03), (-0.035, -0.012, 0.026)),
        (_SLEEVE, 0.042, (0.09, 0.0, 0.0), (0.29, 0.0, -0.01)),
    )
    for name, (rgba, radius, start, end) in zip(SKIN, ends, strict=True):
        geom = _draw(hand, _CAPSULE, rgba, radius, start, end)
        geom.name = name
        # as stiff as the timestep allows; skin decides, and not what it meets
        geom.solref, geom.priority = np.array([0.02, 1.0]), 1
    hand.add_site(name="hand")

"""Keep what agents decide in an episode's first step, as part of the physics state."""

from collections.abc import Sequence

import mujoco
import numpy as np


def add_plans(spec: mujoco.MjSpec, names: Sequence[str]) -> None:
    """Add a slide joint for each of two plans, and a servo of its velocity.

    Both have the plan's name. What a plan is moved by in the first step stays, so that
    it is in recordings and replays.
    """
    body = spec.worldbody.add_body(name="plans", pos=[0, 0, -1], gravcomp=1)
    body.explicitinertial, body.mass = True, 1.0
    body.ipos, body.inertia = np.zeros(3), np.ones(3)
    for name, axis in zip(names, ([1, 0, 0], [0, 1, 0]), strict=True):
        body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
        servo = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.set_to_velocity(kv=1e4)

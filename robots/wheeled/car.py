"""A car at one tenth of full size, on spherical tyres, with suspension and brakes.

Wheelbase, mass, centre of mass, yaw inertia and steering range are those that F1TENTH
publishes for its car (O'Kelly et al. 2020, "F1TENTH: An Open-source Evaluation
Environment for Continuous Control and Reinforcement Learning"); the wheels are of the
size of its chassis, and what is marked as chosen is published nowhere.

Tyres are spheres: they touch the road in one point below the hub however the wheel is
steered, so that the car turns about where Ackermann's geometry says, which a cylinder
misses by 4 %. With the elliptic friction cone of `robots.wheeled.road` a tyre's force
is at most its friction coefficient times its load, in any direction.
"""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import mujoco
import numpy as np

from robots.robot import Controller, Robot
from robots.wheeled.bodywork import add_bodywork, add_wheel
from robots.wheeled.driver import Driver
from robots.wheeled.figures import (
    BRAKE_GAIN,
    BRAKE_LIMIT,
    DRIVE_TORQUE,
    FRONT,
    GRAVITY,
    HEIGHT,
    MASS,
    REAR,
    TRACK,
    WHEEL_INERTIA,
    WHEEL_MASS,
    WHEEL_RADIUS,
    WHEELBASE,
    WHEELS,
    YAW_INERTIA,
)

TOUCH = 2
"""Collision bit of the chassis: cars and barriers touch each other, and no road."""
RIDE, RIDE_RATIO = 5.0, 0.5
"""Bounce frequency [Hz] and damping ratio of the suspension; chosen."""
LAG = 0.02
"""Time constant of the steering's servo, unless a task says otherwise [s]; chosen."""
_CHASSIS = MASS - 4 * WHEEL_MASS
_ACROSS = 0.6 * WHEEL_INERTIA
_STEERED = 0.02 * WHEEL_MASS * WHEEL_RADIUS**2
"""Reflected inertia of the steering's servo [kg m^2]; chosen."""
_STEER_RATE = 2 * math.pi * 12
"""Sets the servo's stiffness; a wheel's natural frequency is 40**0.5 times this
[rad/s]. Chosen."""


class Car(Robot):
    """A four-wheeled car; its frame is on the road below the centre of mass, x ahead.

    Every wheel has a motor and a brake, and the front wheels are steered one by one:
    `Driver` turns a steering angle and a pedal into controls, with the front, the rear
    or all wheels driven. Controls are, in order: the angles of the left and the right
    front wheel [rad]; the motors, as shares of the car's greatest drive; the brakes,
    0 to 1, wheels as in `WHEELS`.
    """

    name = "car"
    joints = (
        "root",
        *(f"front_left_{j}" for j in ("travel", "steer", "spin")),
        *(f"front_right_{j}" for j in ("travel", "steer", "spin")),
        *(f"rear_left_{j}" for j in ("travel", "spin")),
        *(f"rear_right_{j}" for j in ("travel", "spin")),
    )
    actuators = (
        "front_left_steer",
        "front_right_steer",
        *(f"{wheel}_motor" for wheel in WHEELS),
        *(f"{wheel}_brake" for wheel in WHEELS),
    )
    controllers: ClassVar[Mapping[str, Callable[..., Controller]]] = {"driver": Driver}

    def spec(self) -> mujoco.MjSpec:
        """Build the car alone, standing on z = 0."""
        spec = mujoco.MjSpec()
        chassis = spec.worldbody.add_body(name="chassis", pos=[0, 0, WHEEL_RADIUS])
        chassis.add_freejoint(name="root")
        _weigh(chassis)
        # a mass that is moved off its axes leaves them no axes of inertia
        chassis.simple = False
        add_bodywork(spec, chassis, TOUCH)
        for wheel in WHEELS:
            _add_corner(chassis, wheel)
        for wheel in WHEELS[:2]:
            steer = _actuator(spec, f"{wheel}_steer", f"{wheel}_steer")
            stiffness = 40 * (_ACROSS + _STEERED) * _STEER_RATE**2
            steer.set_to_position(kp=stiffness, dampratio=1.0, timeconst=LAG)
        for wheel in WHEELS:
            motor = _actuator(spec, f"{wheel}_motor", f"{wheel}_spin")
            motor.set_to_motor()
            motor.gainprm[0] = DRIVE_TORQUE
        for wheel in WHEELS:
            brake = _actuator(spec, f"{wheel}_brake", f"{wheel}_spin")
            # a damper and no torque: held on, a brake never turns a wheel backwards
            brake.set_to_damper(kv=BRAKE_GAIN)
            brake.ctrlrange = np.array([0.0, 1.0])
            brake.forcerange = np.array([-BRAKE_LIMIT, BRAKE_LIMIT])
            brake.forcelimited = 1
        return spec


def _actuator(spec: mujoco.MjSpec, name: str, joint: str) -> mujoco.MjsActuator:
    return spec.add_actuator(name=name, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)


def _weigh(chassis: mujoco.MjsBody) -> None:
    """Give the chassis what makes the mass properties of the whole car right."""
    squares = FRONT**2 + REAR**2 + TRACK**2 / 2
    wheels = 2 * WHEEL_MASS * squares + 4 * _ACROSS
    ahead = 2 * WHEEL_MASS * (REAR - FRONT) / _CHASSIS
    height = (MASS * HEIGHT - 4 * WHEEL_MASS * WHEEL_RADIUS) / _CHASSIS
    yaw = YAW_INERTIA - wheels - _CHASSIS * ahead**2
    chassis.explicitinertial = True
    chassis.mass = _CHASSIS
    chassis.ipos = np.array([ahead, 0, height - WHEEL_RADIUS])
    # about the axis of roll and of pitch: chosen
    chassis.inertia = yaw * np.array([0.25, 0.9, 1.0])


def _add_corner(chassis: mujoco.MjsBody, wheel: str) -> None:
    """Add a wheel on its suspension, which is at rest under the standing car."""
    front, left = wheel.startswith("front"), wheel.endswith("left")
    ahead = FRONT if front else -REAR
    stiffness = (2 * math.pi * RIDE) ** 2 * MASS / 4
    damping = 2 * RIDE_RATIO * math.sqrt(stiffness * MASS / 4)
    load = MASS * (REAR if front else FRONT) / WHEELBASE / 2 - WHEEL_MASS
    body = chassis.add_body(name=wheel, pos=[ahead, TRACK / 2 * (1 if left else -1), 0])
    body.explicitinertial, body.mass = True, WHEEL_MASS
    body.ipos, body.inertia = np.zeros(3), np.array([_ACROSS, WHEEL_INERTIA, _ACROSS])
    body.add_joint(
        name=f"{wheel}_travel",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 0, 1],
        stiffness=[stiffness, 0, 0],
        damping=[damping, 0, 0],
        springref=-load * GRAVITY / stiffness,
    )
    if front:
        body.add_joint(
            name=f"{wheel}_steer",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=[0, 0, 1],
            armature=_STEERED,
        )
    body.add_joint(
        name=f"{wheel}_spin", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 1, 0]
    )
    add_wheel(body, wheel)

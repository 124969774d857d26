"""The figures of the car, in SI units; `robots.wheeled.car` names their source."""

import math

GRAVITY = 9.81
WHEELS = ("front_left", "front_right", "rear_left", "rear_right")
"""Names of the wheels, in the order of friction coefficients, motors and brakes."""
MASS = 3.74
"""Mass of the whole car [kg]."""
FRONT, REAR = 0.15875, 0.17145
"""Distances of the axles from the centre of mass [m]."""
WHEELBASE = FRONT + REAR
HEIGHT = 0.074
"""Height of the centre of mass above the road [m]."""
YAW_INERTIA = 0.04712
"""Inertia of the whole car about the vertical through its centre of mass [kg m^2]."""
STEER = 0.4189
"""Greatest steering angle of a wheel in the middle of the front axle [rad]."""
TRACK = 0.24
"""Distance between the wheels of an axle [m]; chosen, for a car that is 0.31 m wide."""
WHEEL_RADIUS, WHEEL_WIDTH = 0.0508, 0.045  # [m]
WHEEL_MASS = 0.15
"""[kg]; chosen."""
WHEEL_INERTIA = 0.65 * WHEEL_MASS * WHEEL_RADIUS**2
"""About the axle [kg m^2]; chosen between that of a disc and of a hoop."""
SINK = 0.00026
"""Depth to which the standing car's tyres sink into the road [m]."""
WEIGHT = MASS * GRAVITY
"""[N]"""
DRIVE_TORQUE = 0.8 * WEIGHT * WHEEL_RADIUS
"""Torque of all motors together at a standstill [N m]: 0.8 g; chosen."""
TOP_RATE = 20.0 / WHEEL_RADIUS
"""Rate at which a motor has no torque left [rad/s]: 20 m/s."""
BRAKE_TORQUE = 1.2 * WEIGHT * WHEEL_RADIUS / 4
"""Torque at one wheel of a pedal pushed down [N m]: 1.2 g of all four; chosen."""
BRAKE_LIMIT = 2.5 * WEIGHT * WHEEL_RADIUS / 4
"""Torque at which a wheel is held by a locked brake [N m]; chosen."""
CREEP = 0.15 / WHEEL_RADIUS
"""Rate of a wheel below which a brake weakens in proportion [rad/s]: 0.15 m/s."""
BRAKE_GAIN = BRAKE_TORQUE / CREEP
"""[N m s/rad]"""


def turning_radius(steer: float) -> float:
    """Return the radius of the circle that the centre of mass goes round slowly [m].

    Args:
        steer: angle of a wheel in the middle of the front axle [rad].
    """
    return math.hypot(WHEELBASE / math.tan(steer), REAR)

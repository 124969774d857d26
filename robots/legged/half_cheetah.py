"""Gymnasium's half-cheetah: a planar runner of seven links and six motors."""

from robots.legged.gymnasium_robot import GymnasiumRobot


class HalfCheetah(GymnasiumRobot):
    """The half-cheetah, which moves in the plane y = 0 of its frame.

    Its first joint is the distance run [m].
    """

    name = "half-cheetah"
    file = "half_cheetah.xml"
    actuators = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
    joints = ("rootx", "rootz", "rooty", *actuators)

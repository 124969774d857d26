"""Gymnasium's walker: a planar biped of seven links and six motors."""

from robots.legged.gymnasium_robot import GymnasiumRobot


class Walker2d(GymnasiumRobot):
    """The walker, which moves in the plane y = 0 of its frame.

    Its first joint is the distance walked [m], its second the height of the torso [m].
    """

    name = "walker2d"
    file = "walker2d_v5.xml"
    actuators = tuple(
        f"{link}{side}_joint"
        for side in ("", "_left")
        for link in ("thigh", "leg", "foot")
    )
    joints = ("rootx", "rootz", "rooty", *actuators)

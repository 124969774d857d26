"""Gymnasium's ant: a ball on four legs of two motors each."""

from robots.legged.gymnasium_robot import GymnasiumRobot

LEGS = ("front-left", "back-left", "back-right", "front-right")
"""Legs as an ant sees them that faces x, in the order of the file's bodies, which names
them otherwise."""


class Ant(GymnasiumRobot):
    """The ant, on a free joint."""

    name = "ant"
    file = "ant.xml"
    joints = ("root", *(f"{j}_{leg}" for leg in (1, 2, 3, 4) for j in ("hip", "ankle")))
    # the file's order, which begins with its last leg
    actuators = (*joints[-2:], *joints[1:-2])

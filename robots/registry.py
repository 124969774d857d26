"""Every robot by name. A new robot is one file and one line here."""

from robots.arms.gripper import PandaGripper
from robots.arms.panda import Panda
from robots.legged.ant import Ant
from robots.legged.half_cheetah import HalfCheetah
from robots.legged.walker2d import Walker2d
from robots.robot import Robot
from robots.wheeled.car import Car

ROBOTS: dict[str, type[Robot]] = {
    robot.name: robot
    for robot in (Panda, PandaGripper, HalfCheetah, Ant, Walker2d, Car)
}


def make_robot(name: str, prefix: str = "") -> Robot:
    """Build a robot, whose names in a scene begin with the prefix.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    if name not in ROBOTS:
        raise ValueError(f"unknown robot {name!r}; robots: {', '.join(sorted(ROBOTS))}")
    return ROBOTS[name](prefix)

"""Robots that Gymnasium describes: read from its own files, without what is around.

Results then compare with published ones, which are of these models.
"""

from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import gymnasium
import mujoco

from robots.robot import Robot

_ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
# in a file or its world
_SCENERY = ("option", "size", "asset", "custom", "light", "geom")


class GymnasiumRobot(Robot):
    """A robot of one of Gymnasium's files, whose motors are named as their joints."""

    file: ClassVar[str]
    """Name of the file among Gymnasium's assets."""

    def spec(self) -> mujoco.MjSpec:
        """Build the robot without Gymnasium's floor, light, sky and timestep."""
        root = ElementTree.parse(_ASSETS / self.file).getroot()
        for parent in (root, *root.iter("worldbody")):
            for child in list(parent):
                if child.tag in _SCENERY:
                    parent.remove(child)
        totals = [c.attrib.pop("settotalmass", "") for c in root.iter("compiler")]
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, "unicode"))
        _name_motors(spec)
        for total in filter(None, totals):
            # the file's total mass is that of a whole scene
            scale = float(total) / float(spec.compile().body_mass.sum())
            for geom in spec.geoms:
                geom.density *= scale
        return spec

    def compile_alone(self) -> mujoco.MjModel:
        """Compile Gymnasium's own scene: the robot on its floor, without a prefix."""
        spec = mujoco.MjSpec.from_file(str(_ASSETS / self.file))
        _name_motors(spec)
        # asked of the compiler in a way that MuJoCo now warns about
        total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
        model = spec.compile()
        if total > 0:
            mujoco.mj_setTotalmass(model, total)
            mujoco.mj_setConst(model, mujoco.MjData(model))
        return model


def _name_motors(spec: mujoco.MjSpec) -> None:
    for motor in spec.actuators:
        motor.name = motor.name or motor.target

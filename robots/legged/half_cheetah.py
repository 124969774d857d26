"""Gymnasium's half-cheetah: a planar runner of seven links and six motors.

The model is Gymnasium's own file, so that results compare with published ones.
"""

from pathlib import Path
from xml.etree import ElementTree

import gymnasium
import mujoco

from robots.robot import Robot

_FILE = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets/half_cheetah.xml"
_SCENERY = ("option", "size", "asset", "light", "geom")  # in the file or its world


class HalfCheetah(Robot):
    """The half-cheetah, which moves in the plane y = 0 of its frame.

    Its first joint is the distance run [m].
    """

    name = "half-cheetah"
    actuators = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
    joints = ("rootx", "rootz", "rooty", *actuators)

    def spec(self) -> mujoco.MjSpec:
        """Build the runner without Gymnasium's floor, light, sky and timestep."""
        root = ElementTree.parse(_FILE).getroot()
        for parent in (root, *root.iter("worldbody")):
            for child in list(parent):
                if child.tag in _SCENERY:
                    parent.remove(child)
        [total] = [float(c.attrib.pop("settotalmass")) for c in root.iter("compiler")]
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, "unicode"))
        # the file's total mass is that of a whole scene
        scale = total / float(spec.compile().body_mass.sum())
        for geom in spec.geoms:
            geom.density *= scale
        return spec

    def compile_alone(self) -> mujoco.MjModel:
        """Compile Gymnasium's own scene: the runner on its floor, without a prefix."""
        spec = mujoco.MjSpec.from_file(str(_FILE))
        # asked of the compiler in a way that MuJoCo now warns about
        total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
        model = spec.compile()
        mujoco.mj_setTotalmass(model, total)
        mujoco.mj_setConst(model, mujoco.MjData(model))
        return model

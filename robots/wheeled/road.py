"""Roads that cars drive on: solver settings, light, ground and patches of grip."""

from collections.abc import Sequence

import mujoco
import numpy as np

TIMESTEP = 0.004
"""[s]"""
SOLREF = (0.01, 1.0)
"""Contact of a tyre: time constant [s] and damping ratio."""
TARMAC = (0.34, 0.35, 0.37, 1.0)


def make_scene(
    *, ground: bool = True, centre: tuple[float, float] = (0.0, 0.0)
) -> mujoco.MjSpec:
    """Make a lit scene with the solver that a car's tyres need.

    Args:
        ground: whether to add the plane z = 0, on which wheels have the grip of their
            own `friction`. Without it, `add_patch` builds the road.
        centre: x and y of the middle of what happens, where shadows fall [m].
    """
    spec = mujoco.MjSpec()
    spec.option.timestep = TIMESTEP
    # friction is as strong along as across; the pyramidal cone errs by 20 %
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    _light(spec, centre)
    if ground:
        _add_ground(spec)
    return spec


def add_patch(
    spec: mujoco.MjSpec,
    name: str,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    friction: float,
    rgba: Sequence[float] = TARMAC,
) -> None:
    """Add a piece of road of its own grip, whose top is z = 0.

    Pieces lie side by side with nothing beneath: a loaded wheel sinks a millimetre in,
    and would touch a second surface under a first.

    Args:
        spec: the scene, without a ground.
        name: of the geom, whose `friction` decides and not the wheels'.
        x: where it begins and ends [m].
        y: where it begins and ends [m].
        friction: between it and a tyre.
        rgba: its colour.
    """
    spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[sum(x) / 2, sum(y) / 2, -0.25],
        size=[(x[1] - x[0]) / 2, (y[1] - y[0]) / 2, 0.25],
        friction=[friction, 0, 0],
        solref=list(SOLREF),
        priority=2,
        rgba=list(rgba),
    )


def add_camera(
    spec: mujoco.MjSpec,
    name: str,
    *,
    pos: Sequence[float],
    towards: Sequence[float],
    fovy: float = 42.0,
) -> None:
    """Add an upright camera that looks from one point to another [m, deg]."""
    back = np.subtract(pos, towards)
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(back, right), back], axis=1)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    spec.worldbody.add_camera(name=name, pos=list(pos), quat=quat.tolist(), fovy=fovy)


def _add_ground(spec: mujoco.MjSpec) -> None:
    texture = spec.add_texture(
        name="ground",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[0.60, 0.63, 0.56],
        mark=mujoco.mjtMark.mjMARK_RANDOM,
        markrgb=[0.65, 0.68, 0.60],
        random=0.03,
        width=512,
        height=512,
    )
    material = spec.add_material(
        name="ground", texrepeat=[1, 1], texuniform=True, specular=0.05, shininess=0.05
    )
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
    spec.worldbody.add_geom(
        name="road",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 0.05],
        material="ground",
    )


def _light(spec: mujoco.MjSpec, centre: tuple[float, float]) -> None:
    spec.visual.headlight.ambient = np.array([0.35, 0.35, 0.37])
    spec.visual.headlight.diffuse = np.full(3, 0.25)
    spec.visual.headlight.specular = np.full(3, 0.0)
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 40
    spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 4096, 8
    spec.visual.rgba.haze = np.array([0.86, 0.89, 0.93, 1], np.float32)
    spec.stat.center, spec.stat.extent = np.array([*centre, 0.1]), 2.5
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.98],
        rgb2=[0.66, 0.73, 0.82],
        width=256,
        height=256,
    )
    for name, towards, diffuse, shadow in (
        ("key", [0.35, 0.55, -1], [0.6, 0.6, 0.58], True),
        ("fill", [-0.6, -0.6, -0.8], [0.2, 0.2, 0.24], False),
    ):
        spec.worldbody.add_light(
            name=name,
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[a - 3 * b for a, b in zip((*centre, 0), towards, strict=True)],
            dir=towards,
            diffuse=diffuse,
            specular=[0.2, 0.2, 0.2] if shadow else [0, 0, 0],
            castshadow=shadow,
        )

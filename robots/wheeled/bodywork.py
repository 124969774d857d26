"""Bodies and wheels of the car: what of it touches other things, and what is seen."""

import itertools
import math
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from robots.wheeled.figures import FRONT, REAR, WHEEL_RADIUS, WHEEL_WIDTH
from robots.wheeled.road import SOLREF

LENGTH, WIDTH = 0.50, 0.29
"""Outline of the bodywork between the axles and the wings [m]; chosen."""
TOUCHING = 3
"""Group of geoms that touch and are not drawn."""
PAINT = (0.80, 0.18, 0.13, 1.0)
_TRIM, _GLASS = (0.15, 0.16, 0.18, 1.0), (0.20, 0.25, 0.32, 1.0)
_RUBBER, _ALLOY = (0.09, 0.09, 0.10, 1.0), (0.76, 0.78, 0.81, 1.0)
_LAMP, _TAIL = (0.97, 0.96, 0.88, 1.0), (0.95, 0.10, 0.08, 1.0)
_LOW = -0.024  # [m], the underside, below the hubs
_CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
_FACES = np.array(  # of a box with those corners, outwards
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ],
    np.int32,
)
_AXLE = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)  # turns z to y
Section = tuple[float, float, float]
_SHELL: tuple[Section, ...] = (  # x and z from the hubs, and half the width there [m]
    (-0.24, _LOW, 0.080),
    (-0.25, 0.034, 0.085),
    (-0.10, 0.058, 0.088),
    (0.06, 0.050, 0.088),
    (0.21, 0.016, 0.072),
    (0.25, -0.006, 0.060),
    (0.24, _LOW, 0.060),
)
_CABIN: tuple[Section, ...] = (
    (-0.19, 0.040, 0.070),
    (-0.10, 0.102, 0.056),
    (-0.01, 0.102, 0.056),
    (0.10, 0.040, 0.076),
)
Box = tuple[tuple[float, float, float], tuple[float, float, float]]


def _both(box: Box) -> tuple[Box, Box]:
    """Return a box and its mirror image on the car's other side."""
    (x, y, z), half = box
    return box, ((x, -y, z), half)


_ROOF: Box = ((-0.055, 0.0, 0.103), (0.042, 0.050, 0.003))
_DARK: tuple[Box, ...] = (  # floor, splitter, wing and its posts: place, half sizes [m]
    ((0.0, 0.0, _LOW), (0.20, 0.095, 0.006)),
    ((0.235, 0.0, _LOW), (0.028, 0.120, 0.004)),
    ((-0.235, 0.0, 0.090), (0.026, 0.120, 0.003)),
    ((-0.235, 0.06, 0.060), (0.012, 0.003, 0.03)),
    ((-0.235, -0.06, 0.060), (0.012, 0.003, 0.03)),
)
_HEADLAMPS = _both(((0.222, 0.048, 0.008), (0.012, 0.014, 0.005)))
_TAILLAMPS = _both(((-0.247, 0.058, 0.020), (0.003, 0.018, 0.006)))


def add_bodywork(spec: mujoco.MjSpec, chassis: mujoco.MjsBody, touch: int) -> None:
    """Add the car's body, of which a box touches what has the collision bit."""
    middle = (FRONT - REAR) / 2
    chassis.add_geom(
        name="hull",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[middle, 0, 0.02],
        size=[LENGTH / 2, WIDTH / 2, 0.04],
        mass=0,
        contype=touch,
        conaffinity=touch,
        friction=[0.3, 0, 0],
        group=TOUCHING,
    )
    for name, sections, rgba in (("shell", _SHELL, PAINT), ("cabin", _CABIN, _GLASS)):
        points = [(x, s * half, z) for x, z, half in sections for s in (-1, 1)]
        spec.add_mesh(name=name, uservert=[x for point in points for x in point])
        _add_visual(chassis, name, rgba)
    # few geoms, because each costs time in every physics step
    for name, boxes, rgba in (
        ("roof", (_ROOF,), PAINT),
        ("trim", _DARK, _TRIM),
        ("headlamps", _HEADLAMPS, _LAMP),
        ("taillamps", _TAILLAMPS, _TAIL),
    ):
        _add_boxes(spec, name, boxes)
        _add_visual(chassis, name, rgba)
    half = 1.06 * WHEEL_WIDTH / 2
    spoke: Box = ((0.0, 0.0, 0.0), (0.70 * WHEEL_RADIUS, half, 0.005))
    _add_boxes(spec, "spokes", [spoke] * 3, turns=[i * math.pi / 3 for i in range(3)])


def add_wheel(body: mujoco.MjsBody, name: str) -> None:
    """Add the sphere that touches the road, and the wheel that is seen."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[WHEEL_RADIUS, 0, 0],
        friction=[1.0, 0, 0],
        solref=list(SOLREF),
        priority=1,  # its own grip decides, wherever the road has none
        contype=0,  # wheels touch roads, and no other wheels
        conaffinity=1,
        group=TOUCHING,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[WHEEL_RADIUS, WHEEL_WIDTH / 2, 0],
        quat=list(_AXLE),
        contype=0,
        conaffinity=0,
        rgba=list(_RUBBER),
    )
    _add_visual(body, "spokes", _ALLOY)


def _add_visual(body: mujoco.MjsBody, mesh: str, rgba: Sequence[float]) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=mesh,
        contype=0,
        conaffinity=0,
        rgba=list(rgba),
    )


def _add_boxes(
    spec: mujoco.MjSpec,
    name: str,
    boxes: Sequence[Box],
    turns: Sequence[float] | None = None,
) -> None:
    """Add a mesh of boxes, each turned about the y axis by an angle [rad]."""
    vertices: list[NDArray[np.float64]] = []
    faces: list[NDArray[np.int32]] = []
    for (place, half), turn in zip(boxes, turns or [0.0] * len(boxes), strict=True):
        cos, sin = math.cos(turn), math.sin(turn)
        about = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        faces.append(_FACES + 8 * len(vertices))
        vertices.append(_CORNERS * half @ about.T + place)
    spec.add_mesh(
        name=name,
        uservert=np.concatenate(vertices).ravel().tolist(),
        userface=np.concatenate(faces).ravel().tolist(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )

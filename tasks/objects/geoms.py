"""Geoms of a MuJoCo model, as convex polyhedra and as surfaces to draw."""

import math

import mujoco
import numpy as np
from jaxtyping import Float, Int
from mujoco import mjtGeom

from tasks.objects.confined import RefusedError
from tasks.objects.polyhedra import loft, superellipse, surface_moments, triangulate
from tasks.objects.solids import MAX_VERTICES


def points_of(model: mujoco.MjModel, i: int) -> Float[np.ndarray, "n 3"]:
    """Points of a geom, or of a polyhedron about like it, in the geom's frame.

    Those of a round geom lie a little outside of it, so that they hold as much.

    Raises:
        RefusedError: for a geom that is no convex body.
    """
    points = _points_on(model, i)
    x, y, z = (float(length) for length in model.geom_size[i])
    third = 4 / 3 * math.pi
    round_ones = {
        mjtGeom.mjGEOM_SPHERE: third * x**3,
        mjtGeom.mjGEOM_CAPSULE: third * x**3 + 2 * math.pi * x**2 * y,
        mjtGeom.mjGEOM_ELLIPSOID: third * x * y * z,
    }
    volume = round_ones.get(mjtGeom(model.geom_type[i]))
    if volume is None:
        return points
    held = surface_moments(points, triangulate(points)).mass
    return points * (volume / held) ** (1 / 3)


def _points_on(model: mujoco.MjModel, i: int) -> Float[np.ndarray, "n 3"]:
    """Points on a geom's surface."""
    x, y, z = (float(length) for length in model.geom_size[i])
    kind = mjtGeom(model.geom_type[i])
    match kind:
        case mjtGeom.mjGEOM_BOX:
            signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
            return signs * [x, y, z]
        case mjtGeom.mjGEOM_CYLINDER:
            disc = x * superellipse(1.0, MAX_VERTICES // 2)
            return loft([(disc, -y), (disc, y)])
        case mjtGeom.mjGEOM_SPHERE:
            return x * _ball(0.0)
        case mjtGeom.mjGEOM_CAPSULE:
            return x * _ball(y / x)
        case mjtGeom.mjGEOM_ELLIPSOID:
            return _ball(0.0) * [x, y, z]
        case mjtGeom.mjGEOM_MESH:
            # a file may hold vertices of no face
            vertices, faces = _mesh(model, i)
            return vertices[np.unique(faces)]
        case _:
            raise RefusedError(
                "an object is made of boxes, spheres, capsules, cylinders, "
                f"ellipsoids and meshes, got {kind.name[6:].lower()}"
            )


def surface_of(
    model: mujoco.MjModel, i: int
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"]]:
    """Surface of a geom in its frame, as it is drawn."""
    if model.geom_type[i] == mjtGeom.mjGEOM_MESH:
        return _mesh(model, i)
    points = _points_on(model, i)
    return points, triangulate(points)


def _mesh(
    model: mujoco.MjModel, i: int
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"]]:
    mesh = model.mesh(int(model.geom_dataid[i]))
    start, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
    vertices = model.mesh_vert[start : start + count].astype(np.float64)
    start, count = int(mesh.faceadr[0]), int(mesh.facenum[0])
    return vertices, model.mesh_face[start : start + count].astype(np.int64)


def _ball(half: float) -> Float[np.ndarray, "n 3"]:
    """Points of the unit sphere, its halves drawn apart along z by 2 `half`."""
    ring, pole = superellipse(1.0, 9), np.zeros((1, 2))
    rings = [(pole, -1 - half), (pole, 1 + half)]
    for side in (-1, 1):
        angles = [side * step * math.pi / 6 for step in (0, 1, 2)]
        rings += [(ring * math.cos(a), math.sin(a) + side * half) for a in angles]
    return loft(rings)

"""Geoms of a MuJoCo model, as convex polyhedra and as surfaces to draw."""

import math

import mujoco
import numpy as np
from jaxtyping import Float, Int
from mujoco import mjtGeom

from tasks.objects.confined import RefusedError
from tasks.objects.polyhedra import loft, superellipse, surface_moments, triangulate
from tasks.objects.welding import Surface

_CORNERS = 28  # of a cylinder's ends


def hull_of(model: mujoco.MjModel, i: int) -> Surface:
    """Return a geom, or a polyhedron about like it, in the geom's frame.

    The corners of a round geom lie a little outside of it, so that it holds as much; a
    mesh is its convex hull, as MuJoCo's compiler made it.

    Raises:
        RefusedError: for a geom that is no convex body.
    """
    if model.geom_type[i] == mjtGeom.mjGEOM_MESH:
        return _hull(model, i)
    points = _points_on(model, i)
    faces = triangulate(points)
    x, y, z = (float(length) for length in model.geom_size[i])
    third = 4 / 3 * math.pi
    round_ones = {
        mjtGeom.mjGEOM_SPHERE: third * x**3,
        mjtGeom.mjGEOM_CAPSULE: third * x**3 + 2 * math.pi * x**2 * y,
        mjtGeom.mjGEOM_ELLIPSOID: third * x * y * z,
    }
    volume = round_ones.get(mjtGeom(model.geom_type[i]))
    if volume is not None:
        points = points * (volume / surface_moments(points, faces).mass) ** (1 / 3)
    return Surface(points, faces)


def _points_on(model: mujoco.MjModel, i: int) -> Float[np.ndarray, "n 3"]:
    """Points on a geom's surface."""
    x, y, z = (float(length) for length in model.geom_size[i])
    kind = mjtGeom(model.geom_type[i])
    match kind:
        case mjtGeom.mjGEOM_BOX:
            signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
            return signs * [x, y, z]
        case mjtGeom.mjGEOM_CYLINDER:
            # with corners on the axes, it is as long and wide as the cylinder
            angles = np.arange(_CORNERS) * (2 * math.pi / _CORNERS)
            disc = x * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return loft([(disc, -y), (disc, y)])
        case mjtGeom.mjGEOM_SPHERE:
            return x * _ball(0.0)
        case mjtGeom.mjGEOM_CAPSULE:
            return x * _ball(y / x)
        case mjtGeom.mjGEOM_ELLIPSOID:
            return _ball(0.0) * [x, y, z]
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


def _hull(model: mujoco.MjModel, i: int) -> Surface:
    """Return the convex hull of a mesh geom, without vertices of no face.

    `mesh_graph` holds, for n vertices and m faces: n, m, n places, the n vertices,
    n + 3m edges, and the m faces. A mesh that touches nothing may have none, and the
    hull that is there is one of all vertices.
    """
    vertices, faces = _mesh(model, i)
    used = np.unique(faces)
    place = int(model.mesh_graphadr[model.geom_dataid[i]])
    if place >= 0:
        n, m = model.mesh_graph[place : place + 2].tolist()
        place += 2 + 3 * n + 3 * m
        hull = model.mesh_graph[place : place + 3 * m]
        corners, faces = np.unique(hull, return_inverse=True)
        if np.isin(corners, used).all():
            return Surface(vertices[corners], faces.reshape(-1, 3).astype(np.int64))
    return Surface(vertices[used], triangulate(vertices[used]))


def _ball(half: float) -> Float[np.ndarray, "n 3"]:
    """Points of the unit sphere, its halves drawn apart along z by 2 `half`."""
    ring, pole = superellipse(1.0, 9), np.zeros((1, 2))
    rings = [(pole, -1 - half), (pole, 1 + half)]
    for side in (-1, 1):
        angles = [side * step * math.pi / 6 for step in (0, 1, 2)]
        rings += [(ring * math.cos(a), math.sin(a) + side * half) for a in angles]
    return loft(rings)

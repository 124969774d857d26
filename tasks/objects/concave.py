"""Mesh geoms of a MuJoCo model that are not convex.

MuJoCo takes a mesh for its convex hull, for contacts always and for the mass unless the
file says otherwise. A cup is then a block. Here a closed mesh is the body that it
bounds, as it is in a mesh file.
"""

import math
from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Int
from mujoco import mjtGeom, mjtMeshInertia

from tasks.objects.confined import RefusedError
from tasks.objects.geoms import surface_of
from tasks.objects.read_mesh import MAX_FACES, MAX_SHELLS, is_convex
from tasks.objects.shells import closed_shells, enclosed
from tasks.objects.welding import Surface, welded

_AGREE = 1e-3  # relative difference of volumes that 32-bit vertices may make


class Concave(NamedTuple):
    """A body that is not its convex hull, in the frame of a geom."""

    surface: Surface
    shells: list[Surface]
    """About convex bodies that it is the union of; none if it is not known to be."""


def concave(model: mujoco.MjModel, i: int) -> Concave | None:
    """Return the body of a geom, or None if its convex hull holds no more.

    Raises:
        RefusedError: for a mesh that is not convex, and not closed either.
    """
    if model.geom_type[i] != mjtGeom.mjGEOM_MESH:
        return None
    raw = Surface(*surface_of(model, i))
    if is_convex(raw, _AGREE):
        return None
    try:
        if len(raw.faces) > MAX_FACES:
            raise RefusedError(f"it has {len(raw.faces)} faces; at most {MAX_FACES}")
        surface, shells = enclosed(closed_shells(welded(*raw)))
    except RefusedError:
        if is_convex(raw):
            return None
        raise
    if is_convex(surface, _AGREE):
        return None
    if is_convex(surface):
        return Concave(surface, [surface])
    known = 1 < len(shells) <= MAX_SHELLS and all(map(is_convex, shells))
    return Concave(surface, shells if known else [])


def use_exact_inertia(
    spec: mujoco.MjSpec, model: mujoco.MjModel, bodies: Int[np.ndarray, "b"]
) -> tuple[bool, bool]:
    """Let MuJoCo take closed meshes for themselves, where their mass is not stated.

    Args:
        spec: is changed.
        model: what it compiles to.
        bodies: those of the object.

    Returns:
        Whether the spec has changed, and whether there are meshes whose mass MuJoCo
        cannot tell, as faces look inwards or shells overlap.
    """
    stated = [body.id for body in spec.bodies if body.explicitinertial]
    # a mass that is stated overrules the density
    masses = ((g.id, g.density if math.isnan(g.mass) else g.mass) for g in spec.geoms)
    massless = [i for i, mass in masses if mass == 0]
    ours = np.isin(model.geom_bodyid, np.setdiff1d(bodies, stated))
    meshes = {mesh.id: mesh for mesh in spec.meshes}
    changed = odd = False
    for i in np.setdiff1d(np.flatnonzero(ours), massless).tolist():
        try:
            found = concave(model, i)
        except RefusedError:
            continue
        if found is None:
            continue
        mesh = meshes[int(model.geom_dataid[i])]
        told = Surface(*surface_of(model, i)).volume
        if abs(told - found.surface.volume) > _AGREE * found.surface.volume:
            odd = True
        elif mesh.inertia in (
            mjtMeshInertia.mjMESH_INERTIA_CONVEX,
            mjtMeshInertia.mjMESH_INERTIA_LEGACY,
        ):
            mesh.inertia = mjtMeshInertia.mjMESH_INERTIA_EXACT
            changed = True
    return changed, odd

"""A user's own object, as a solid: a closed mesh (.obj, .stl) or an MJCF body (.xml).

Meshes are read by trimesh and cut into convex parts by CoACD (Wei et al. 2022,
"Approximate convex decomposition for 3D meshes with collision-aware concavity and tree
search"); both are in the extra `objects`. Volume and inertia are those of the mesh
itself, not of its parts. The object is moved, but stands as it does in the file.
"""

import hashlib
import importlib
import math
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import mujoco
import numpy as np
from jaxtyping import Float, Int
from mujoco import mjtGeom

from tasks.objects.polyhedra import (
    Moments,
    loft,
    superellipse,
    surface_moments,
    triangulate,
)
from tasks.objects.solids import (
    MAX_PARTS,
    MAX_VERTICES,
    Part,
    Solid,
    placed,
    toppling_angle,
    volume,
)

SIZES = (0.01, 0.5)
"""Longest side that an object may have [m]."""
Up = Literal["x", "y", "z"]
SUFFIXES = (".obj", ".stl", ".xml")
_UPRIGHT = {
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
"""Rotations that turn an axis upwards."""
LOSS = 0.05
"""Share of the volume that parts may add to a mesh without a warning."""
_SEEN = 400  # directions in which the hull of a mesh is looked at
_CONVEX = 1.02  # times its volume that the hull of a convex mesh may hold
_FOOT = 1e-3  # [m]; what is lower carries the object
_CONCAVITY = 0.05  # CoACD's own default


def load_solids(path: Path | str, *, scale: float = 1.0, up: Up = "z") -> list[Solid]:
    """Read an object, or every one in a folder: sorted by name, equal ones once.

    Args:
        path: a file, or a folder of files.
        scale: as for `load_solid`, of all of them.
        up: as for `load_solid`, of all of them.

    Raises:
        ValueError: as `load_solid`, or for a folder without an object.
    """
    path = Path(path)
    if not path.is_dir():
        return [load_solid(path, scale=scale, up=up)]
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    solids = [load_solid(file, scale=scale, up=up) for file in files]
    if not solids:
        raise ValueError(f"{path}: a folder without {', '.join(SUFFIXES)}")
    return list({s.name.rpartition("#")[2]: s for s in reversed(solids)}.values())[::-1]


def load_solid(path: Path | str, *, scale: float = 1.0, up: Up = "z") -> Solid:
    """Read an object; its name is the file's with a hash of the content.

    Args:
        path: the file.
        scale: metres per unit of the file.
        up: axis of the file that points upwards.

    Warns:
        UserWarning: if four convex parts hold notably more than the mesh.

    Raises:
        ValueError: for a file that is missing, of another kind or cannot be read, and
            for an object that is not closed, finite, solid, of a likely size in metres,
            or not standing.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: an object is a file of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if not 0 < scale < math.inf or up not in _UPRIGHT:
        raise ValueError(
            f"an object's scale is a positive number and up is one of "
            f"{', '.join(_UPRIGHT)}, got {scale} and {up!r}"
        )
    read = _mjcf if path.suffix.lower() == ".xml" else _mesh
    solid = placed(read(path, scale * np.array(_UPRIGHT[up], dtype=float)))
    if (scale, up) != (1.0, "z"):
        solid = replace(solid, name=f"{solid.name}@{scale:g}{up}")
    com = solid.moments.first / solid.moments.mass
    if toppling_angle(solid, com, floor=_FOOT) <= 0:
        raise ValueError(
            f"{path}: the object does not stand on its lowest {1000 * _FOOT:g} mm as "
            "it is in the file, z up: turn it, or give it a foot"
        )
    return solid


def _mesh(path: Path, turn: Float[np.ndarray, "3 3"]) -> Solid:
    vertices, faces = _read(path)
    vertices = vertices @ turn.T
    _check_size(path, vertices)
    _check_closed(path, faces)
    moments = surface_moments(vertices, faces)
    if moments.mass < 0:
        moments = surface_moments(vertices, faces[:, ::-1])
    box = float(np.ptp(vertices, axis=0).prod())
    if moments.mass < 1e-3 * box:
        raise ValueError(
            f"{path}: the mesh holds {moments.mass:.1e} m^3 of its box's {box:.1e}: "
            "no volume, or not all faces turned outwards"
        )
    parts = _convex_parts(path, vertices, faces, moments.mass)
    return Solid(_name(path, b""), tuple(Part(_few(p)) for p in parts), moments)


def _read(
    path: Path,
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"]]:
    """Vertices that are used, equal ones merged, and faces with three of them."""
    trimesh = _needed("trimesh")
    try:
        mesh = trimesh.load_mesh(path, process=False)
        vertices = np.asarray(mesh.vertices, dtype=np.float64)
        faces = np.asarray(mesh.faces, dtype=np.int64)
    # readers raise whatever they stumble over
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read: {said}") from error
    if not len(faces):
        raise ValueError(f"{path}: the mesh is empty")
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: the mesh has coordinates that are not finite")
    corners = np.round(vertices[faces.flatten()], 8)
    vertices, places = np.unique(corners, axis=0, return_inverse=True)
    faces = places.reshape(-1, 3)
    distinct = (faces != np.roll(faces, 1, axis=1)).all(1)
    return vertices, faces[distinct]


def _check_closed(path: Path, faces: Int[np.ndarray, "m 3"]) -> None:
    """Every edge is run along as often one way as the other."""
    sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    edges, places = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
    way = np.where(sides[:, 0] < sides[:, 1], 1, -1)
    uses = np.bincount(places.ravel(), minlength=len(edges))
    excess = np.bincount(places.ravel(), weights=way, minlength=len(edges))
    if (uses % 2).any():
        raise ValueError(
            f"{path}: the mesh is open, at {int((uses % 2).sum())} edges a face is "
            "missing: make it watertight"
        )
    if excess.any():
        raise ValueError(
            f"{path}: neighbouring faces of the mesh look to different sides: turn "
            "all normals outwards"
        )


def _check_size(path: Path, vertices: Float[np.ndarray, "n 3"]) -> None:
    lengths = np.ptp(vertices, axis=0)
    size, (least, most) = float(lengths.max()), SIZES
    if not least <= size <= most:
        hint = " (millimetres? scale it by 0.001)" if size <= 1000 * most else ""
        hint = hint if size > most else ""
        raise ValueError(
            f"{path}: the object is {size:g} m long; lengths are in metres, from "
            f"{least:g} to {most:g}{hint}"
        )
    if lengths.min() < 1e-3 * size:
        raise ValueError(f"{path}: the object is flat, it has no volume")


def _convex_parts(
    path: Path,
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    held: float,
) -> list[Float[np.ndarray, "_ 3"]]:
    """One to four convex bodies that together are about the mesh."""
    if _hull_volume(vertices) < _CONVEX * held:
        return [vertices]
    coacd = _needed("coacd")
    coacd.set_log_level("error")
    found = coacd.run_coacd(
        coacd.Mesh(vertices, faces), threshold=_CONCAVITY, max_convex_hull=MAX_PARTS
    )
    parts = [np.asarray(points, dtype=np.float64) for points, _ in found]
    more = sum(_hull_volume(part) for part in parts) / held - 1
    if more > LOSS:
        warnings.warn(
            f"{path}: {len(parts)} convex parts hold {more:.0%} more than the mesh: "
            "hollows are filled where things touch it; its mass is that of the mesh",
            stacklevel=2,
        )
    return parts


def _mjcf(path: Path, turn: Float[np.ndarray, "3 3"]) -> Solid:
    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    if model.nbody != 2:
        raise ValueError(
            f"{path}: an object is one body with geoms, got {model.nbody - 1} bodies"
        )
    geoms = [
        i
        for i in np.flatnonzero(model.geom_bodyid == 1)
        if model.geom_contype[i] or model.geom_conaffinity[i]
    ]
    if not 1 <= len(geoms) <= MAX_PARTS:
        raise ValueError(
            f"{path}: an object has 1 to {MAX_PARTS} geoms that collide, "
            f"got {len(geoms)}"
        )
    turn = turn @ _rotation(model.body_quat[1])
    parts = [_geom(path, model, int(i)) @ turn.T for i in geoms]
    _check_size(path, np.concatenate(parts))
    name = _name(path, model.mesh_vert.tobytes())
    solid = Solid(name, tuple(Part(_few(part)) for part in parts))
    return Solid(name, solid.parts, _body_moments(path, model, turn, volume(solid)))


def _body_moments(
    path: Path, model: mujoco.MjModel, turn: Float[np.ndarray, "3 3"], held: float
) -> Moments:
    """The compiler's mass properties of the body, as those of a volume."""
    mass, com = float(model.body_mass[1]), model.body_ipos[1]
    if not mass > 0:
        raise ValueError(f"{path}: the body has no mass")
    axes = _rotation(model.body_iquat[1])
    tensor = axes @ np.diag(model.body_inertia[1]) @ axes.T / mass
    spread = np.trace(tensor) / 2 * np.eye(3) - tensor
    second = turn @ (spread + np.outer(com, com)) @ turn.T
    return Moments(held, held * turn @ com, held * second)


def _geom(path: Path, model: mujoco.MjModel, i: int) -> Float[np.ndarray, "n 3"]:
    """Points of a geom, or of a polyhedron in it, in the frame of the body."""
    x, y, z = (float(length) for length in model.geom_size[i])
    kind = mjtGeom(model.geom_type[i])
    match kind:
        case mjtGeom.mjGEOM_BOX:
            signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
            points = signs * [x, y, z]
        case mjtGeom.mjGEOM_CYLINDER:
            disc = x * superellipse(1.0, MAX_VERTICES // 2)
            points = loft([(disc, -y), (disc, y)])
        case mjtGeom.mjGEOM_SPHERE:
            points = x * _ball(0.0)
        case mjtGeom.mjGEOM_CAPSULE:
            points = x * _ball(y / x)
        case mjtGeom.mjGEOM_ELLIPSOID:
            points = _ball(0.0) * [x, y, z]
        case mjtGeom.mjGEOM_MESH:
            mesh = model.mesh(int(model.geom_dataid[i]))
            start, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
            points = model.mesh_vert[start : start + count].astype(np.float64)
        case _:
            raise ValueError(
                f"{path}: an object is made of boxes, spheres, capsules, cylinders, "
                f"ellipsoids and meshes, got {kind.name[6:].lower()}"
            )
    return points @ _rotation(model.geom_quat[i]).T + model.geom_pos[i]


def _ball(half: float) -> Float[np.ndarray, "n 3"]:
    """Points of the unit sphere, its halves drawn apart along z by 2 `half`."""
    ring, pole = superellipse(1.0, 9), np.zeros((1, 2))
    rings = [(pole, -1 - half), (pole, 1 + half)]
    for side in (-1, 1):
        angles = [side * step * math.pi / 6 for step in (0, 1, 2)]
        rings += [(ring * math.cos(a), math.sin(a) + side * half) for a in angles]
    return loft(rings)


def _few(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """Points whose hull is about that of all, few enough for a part."""
    count = _SEEN
    kept = _extreme(points, count)
    while len(kept) > MAX_VERTICES:
        count = int(0.9 * count)
        kept = _extreme(points, count)
    return kept


def _extreme(points: Float[np.ndarray, "n 3"], count: int) -> Float[np.ndarray, "m 3"]:
    """Return the outermost vertices in directions spread evenly over a sphere."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))  # the golden angle
    across = np.sqrt(1 - z * z)
    ways = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
    scaled = points / np.ptp(points, axis=0)
    return points[np.unique((scaled @ ways.T).argmax(0))]


def _hull_volume(points: Float[np.ndarray, "n 3"]) -> float:
    seen = _extreme(points, _SEEN)
    return surface_moments(seen, triangulate(seen)).mass


def _rotation(quat: Float[np.ndarray, "4"]) -> Float[np.ndarray, "3 3"]:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def _name(path: Path, more: bytes) -> str:
    digest = hashlib.sha256(path.read_bytes() + more).hexdigest()
    return f"{path.name}#{digest[:12]}"


def _needed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"reading a mesh needs {name}: pip install 'pliant[objects]'"
        ) from error

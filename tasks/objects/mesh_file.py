"""A user's own object, as a solid: a mesh file, or a model in MJCF or URDF.

A file is read in a process of its own, judged by what costs nothing, and cut into
convex parts only then. Volume and inertia are those of the body itself, not of its
parts. The object is moved, and stands as it does in the file, one axis turned upwards.
"""

import hashlib
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

import numpy as np
from jaxtyping import Float

from tasks.objects import read_mesh, read_model
from tasks.objects.confined import Arrays, RefusedError, confined
from tasks.objects.cutting import LOSS, convex_parts
from tasks.objects.folder import SUFFIXES, objects_in, repeated
from tasks.objects.polyhedra import (
    FOOT,
    Moments,
    Points,
    surface_moments,
    tilt,
)
from tasks.objects.shells import joined, manifold_of, overlapping, surface_of, united
from tasks.objects.solids import Part, Solid, placed, spread_of, toppling_angle
from tasks.objects.visuals import Visual, unpacked
from tasks.objects.welding import Surface

SIZES = (0.01, 0.5)
"""Longest side that an object may have [m]."""
Up = Literal["x", "y", "z"]
Turn = Float[np.ndarray, "3 3"]
Fits = Callable[[str, Float[np.ndarray, "3"], float], None]
_FALLS = f"the object does not stand on its lowest {1000 * FOOT:g} mm"
_UPRIGHT = {
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
"""Rotations that turn an axis upwards."""


class Found(NamedTuple):
    """A file's object, in metres and upright."""

    surface: Surface
    """Closed surface of the body."""
    hulls: list[Points]
    """Convex pieces that it is made of; none if it is not known to be."""
    moments: Moments
    stands: float
    """Slope on which it still stands [rad]."""
    visual: list[Visual]


class Reading(TypedDict, total=False):
    """Settings of how files are read, none of which is needed."""

    scale: float
    """Metres per unit of the file; 1 by default."""
    up: Up
    """Axis of the file that points upwards; z by default."""
    say: Callable[[str], None] | None
    """Is told, in one line, what is going to take a while."""
    fits: Fits | None
    """Is told the object's name, its lengths along x, y and z [m], and the slope on
    which it still stands [rad], before it is cut into parts; raises ValueError for one
    that is not wanted."""


def load_solids(path: Path | str, **reading: Unpack[Reading]) -> list[Solid]:
    """Read an object, or every one in a folder: sorted by name, equal ones once.

    Equal are those of one shape and mass that stand in the same way, in whatever files.

    Files that another file of the folder names, such as the meshes of a model, are no
    objects of their own.

    Args:
        path: a file, or a folder of files.
        reading: the same for all of them.

    Raises:
        ValueError: as `load_solid`, or for a folder without an object.
    """
    path = Path(path)
    if not path.is_dir():
        return [load_solid(path, **reading)]
    files = objects_in(path)
    if not files:
        raise ValueError(f"{path}: the folder holds no file of {', '.join(SUFFIXES)}")
    solids = [load_solid(file, **reading) for file in files]
    again = repeated(solids)
    return [solid for i, solid in enumerate(solids) if i not in again]


def load_solid(path: Path | str, **reading: Unpack[Reading]) -> Solid:
    """Read an object; its name is the file's with a hash of the content.

    Args:
        path: the file.
        reading: how it is read.

    Warns:
        UserWarning: if four convex parts hold notably more or less than the object.

    Raises:
        ValueError: for a file that is missing, of another kind or cannot be read, and
            for an object that is not closed, finite, rigid, of a likely size, or not
            standing. The message is one line that begins with the path.
    """
    path = Path(path)
    scale, up = reading.get("scale", 1.0), reading.get("up", "z")
    if not 0 < scale < math.inf or up not in _UPRIGHT:
        raise ValueError(
            "an object's scale is a positive number and up is one of "
            f"{', '.join(_UPRIGHT)}; got {scale} and {up!r}"
        )
    try:
        return _solid(path, scale, up, reading)
    except RefusedError as error:
        raise ValueError(f"{path}: {error}") from error


def _solid(path: Path, scale: float, up: Up, reading: Reading) -> Solid:
    if path.suffix.lower() not in SUFFIXES:
        raise RefusedError(f"an object is a file of {', '.join(SUFFIXES)}")
    content = read_mesh.contents(path)
    model = path.suffix.lower() in read_model.SUFFIXES
    work = "read_model:read_model" if model else "read_mesh:read_mesh"
    raw = confined(f"tasks.objects.{work}", path=str(path.resolve()))
    name = _name(path, content, raw, scale, up)
    if "note" in raw:
        _warn(f"{path}: {raw['note']}")
    found = (_of_model if model else _of_mesh)(raw, scale, up)
    if fits := reading.get("fits"):
        fits(name, np.ptp(found.surface.vertices, axis=0), found.stands)
    parts, held = convex_parts(found.surface, found.hulls, reading.get("say"))
    solid = placed(
        Solid(name, tuple(map(Part, parts)), found.moments, visual=tuple(found.visual))
    )
    # parts may have lost a foot, which the object itself has
    if toppling_angle(solid, floor=FOOT) <= 0:
        raise RefusedError(
            f"{_FALLS} when it is cut into convex parts: give it a larger foot"
        )
    _check_fill(path, len(parts), held / found.moments.mass - 1)
    return solid


def _of_mesh(raw: Arrays, scale: float, up: Up) -> Found:
    turn = _turn(scale, up)
    surface = Surface(raw["vertices"] @ turn.T, raw["faces"])
    _check_size(surface.vertices, scale)
    moments = surface_moments(*surface)
    box = float(np.ptp(surface.vertices, axis=0).prod())
    if moments.mass < 1e-3 * box:
        raise RefusedError(
            f"the mesh holds {moments.mass:.1e} m^3 of its box's {box:.1e}: no volume"
        )
    stands = _stands(surface.vertices, moments, up)
    return Found(surface, _hulls(raw, turn), moments, stands, _seen(raw, turn))


def _of_model(raw: Arrays, scale: float, up: Up) -> Found:
    turn = _turn(scale, up)
    hulls, bodies = _hulls(raw, turn), _bodies(raw, turn)
    points = np.concatenate([*hulls, *(body.vertices for body in bodies)])
    _check_size(points, scale)
    convex = [Surface(hull, raw[f"hull{i}_faces"]) for i, hull in enumerate(hulls)]
    surfaces = convex + bodies
    surface = (
        surface_of(united([manifold_of(s) for s in surfaces]))
        if overlapping(surfaces)
        else joined(surfaces)
    )
    moments = surface_moments(*surface)
    if "mass" in raw:
        held, com = moments.mass, turn @ raw["com"]
        spread = turn @ raw["spread"] @ turn.T
        moments = Moments(held, held * com, held * (spread + np.outer(com, com)))
    stands = _stands(points, moments, up)
    hulls = [] if bodies else hulls
    return Found(surface, hulls, moments, stands, _seen(raw, turn))


def _hulls(raw: Arrays, turn: Turn) -> list[Points]:
    hulls: list[Points] = []
    while f"hull{len(hulls)}" in raw:
        hulls.append(raw[f"hull{len(hulls)}"] @ turn.T)
    return hulls


def _bodies(raw: Arrays, turn: Turn) -> list[Surface]:
    """Return closed surfaces of a model that are not convex."""
    bodies: list[Surface] = []
    while f"body{len(bodies)}_faces" in raw:
        vertices, faces = (raw[f"body{len(bodies)}_{n}"] for n in ("vertices", "faces"))
        bodies.append(Surface(vertices @ turn.T, faces))
    return bodies


def _seen(raw: Arrays, turn: Turn) -> list[Visual]:
    return [v._replace(vertices=v.vertices @ turn.T) for v in unpacked(raw)]


def _turn(scale: float, up: Up) -> Turn:
    return scale * np.array(_UPRIGHT[up], dtype=float)


def _check_size(vertices: Points, scale: float) -> None:
    lengths = np.ptp(vertices, axis=0)
    size, (least, most) = float(lengths.max()), SIZES
    if not least <= size <= most:
        small = least <= size / 1000 <= most
        hint = f" (in millimetres? --scale {0.001 * scale:g})" if small else ""
        raise RefusedError(
            f"the object is {size:g} m long; lengths are in metres, from "
            f"{least:g} to {most:g}{hint}"
        )
    if lengths.min() < 1e-3 * size:
        raise RefusedError("the object is flat, it has no volume")


def _stands(vertices: Points, moments: Moments, up: Up) -> float:
    """Return the slope on which a body still stands [rad].

    Raises:
        RefusedError: if it falls where it is, saying which side up would do.
    """
    com = spread_of(moments)[0]
    stands = _tilt(vertices, com)
    if stands > 0:
        return stands
    upright = np.array(_UPRIGHT[up], dtype=float)
    for other in _UPRIGHT:
        turn = np.array(_UPRIGHT[other], dtype=float) @ upright.T
        if other != up and _tilt(vertices @ turn.T, turn @ com) > 0:
            raise RefusedError(f"{_FALLS} (--up {other} would stand)")
    raise RefusedError(f"{_FALLS}: turn it, or give it a foot")


def _tilt(vertices: Points, com: Float[np.ndarray, "3"]) -> float:
    low = np.array([0.0, 0.0, vertices[:, 2].min()])
    return tilt(vertices - low, com - low, FOOT)


def _check_fill(path: Path, parts: int, more: float) -> None:
    if abs(more) > LOSS:
        _warn(
            f"{path}: {parts} convex parts hold {abs(more):.0%} "
            f"{'more' if more > 0 else 'less'} than the object: it collides as its "
            "parts do; its mass is its own"
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)


def _name(path: Path, content: bytes, raw: Arrays, scale: float, up: Up) -> str:
    """Name an object by its file and a hash of all that was read, by this file too."""
    digest = hashlib.sha256(content)
    if path.suffix.lower() in (".gltf", *read_model.SUFFIXES):
        for array in raw.values():
            if array.dtype.kind == "f":
                digest.update(array.astype(np.float32).tobytes())
    if (scale, up) != (1.0, "z"):
        digest.update(f"{scale!r} {up}".encode())
    return f"{path.name}#{digest.hexdigest()[:12]}"

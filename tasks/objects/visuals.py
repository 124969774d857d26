"""Surfaces that are drawn: of few colours, and of few enough triangles."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

MAX_FACES = 20_000
"""Triangles that the pictures of one object may have."""
COLOURS = 8
PLAIN = (0.7, 0.7, 0.7, 1.0)
"""Colour of what has none."""
_SHADES = 16


class Visual(NamedTuple):
    """A surface of one colour that is drawn and touches nothing."""

    vertices: Float[np.ndarray, "n 3"]
    """[m]"""
    faces: Int[np.ndarray, "m 3"]
    rgba: tuple[float, float, float, float]
    """Each from 0 to 1."""


def coloured(
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    rgba: Float[np.ndarray, "m 4"],
) -> list[Visual]:
    """Split a surface by colour, with at most `COLOURS` of the colours it has."""
    shades = np.round(rgba * _SHADES).astype(np.int64)
    found, places, counts = np.unique(
        shades, axis=0, return_inverse=True, return_counts=True
    )
    kept = np.argsort(-counts, kind="stable")[:COLOURS]
    apart = np.abs(found[:, None] - found[kept]).sum(2)
    nearest = kept[apart.argmin(1)][places.ravel()]
    visuals: list[Visual] = []
    for shade in kept:
        mine = nearest == shade
        used, corners = np.unique(faces[mine], return_inverse=True)
        r, g, b, a = (float(c) for c in rgba[mine].mean(0))
        visuals.append(Visual(vertices[used], corners.reshape(-1, 3), (r, g, b, a)))
    return visuals


def area(visual: Visual) -> float:
    """Return the area of a surface [m^2]."""
    a, b, c = visual.vertices[visual.faces].transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2


def simplified(visuals: Sequence[Visual]) -> list[Visual]:
    """Merge vertices of a grid's cells until there are at most `MAX_FACES` triangles.

    (Rossignac and Borrel 1993, "Multi-resolution 3D approximations for rendering
    complex scenes".)
    """
    cells = 256
    kept = list(visuals)
    while sum(len(v.faces) for v in kept) > MAX_FACES and cells > 4:
        low = np.min([v.vertices.min(0) for v in visuals], axis=0)
        high = np.max([v.vertices.max(0) for v in visuals], axis=0)
        size = float((high - low).max()) / cells
        kept = [_clustered(v, low, size) for v in visuals]
        kept = [v for v in kept if len(v.faces)]
        cells = int(cells / 1.4)
    return kept


def _clustered(visual: Visual, low: Float[np.ndarray, "3"], size: float) -> Visual:
    cells = np.floor((visual.vertices - low) / size).astype(np.int64)
    _, first, places = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    faces = places.ravel()[visual.faces]
    distinct = (faces != np.roll(faces, 1, axis=1)).all(1)
    return Visual(visual.vertices[first], faces[distinct], visual.rgba)


def packed(visuals: Sequence[Visual]) -> dict[str, NDArray[Any]]:
    """Return arrays that `unpacked` reads: few surfaces, each of one colour."""
    starts = np.cumsum([0, *(len(v.vertices) for v in visuals)])
    faces = [v.faces + i for v, i in zip(visuals, starts, strict=False)]
    whole = coloured(
        np.concatenate([v.vertices for v in visuals]),
        np.concatenate(faces),
        np.concatenate([np.tile(v.rgba, (len(v.faces), 1)) for v in visuals]),
    )
    found: dict[str, NDArray[Any]] = {}
    for i, visual in enumerate(simplified(whole)):
        found[f"seen{i}_vertices"] = visual.vertices
        found[f"seen{i}_faces"] = visual.faces
        found[f"seen{i}_rgba"] = np.array(visual.rgba)
    return found


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> list[Visual]:
    """Return what `packed` packed."""
    visuals: list[Visual] = []
    while f"seen{len(visuals)}_faces" in arrays:
        i = len(visuals)
        r, g, b, a = (float(c) for c in arrays[f"seen{i}_rgba"])
        visuals.append(
            Visual(arrays[f"seen{i}_vertices"], arrays[f"seen{i}_faces"], (r, g, b, a))
        )
    return visuals


def to_lists(visuals: Sequence[Visual]) -> list[list[Any]]:
    """Return lists for JSON, as `from_lists` reads them."""
    return [[v.vertices.tolist(), v.faces.tolist(), list(v.rgba)] for v in visuals]


def from_lists(raw: Sequence[Any]) -> tuple[Visual, ...]:
    """Read lists from JSON.

    Raises:
        ValueError: for faces of vertices that there are not.
    """
    visuals: list[Visual] = []
    for vertices, faces, (r, g, b, a) in raw:
        points, corners = np.array(vertices, float), np.array(faces, int)
        if corners.min() < 0 or corners.max() >= len(points):
            raise ValueError("a surface has faces of vertices that there are not")
        visuals.append(Visual(points, corners, (r, g, b, a)))
    return tuple(visuals)

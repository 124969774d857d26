"""Triangles of a file, with corners that are one merged into one vertex."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tasks.objects.polyhedra import surface_moments

TOLERANCE = 1e-5
"""Distance, in sizes of the mesh, within which vertices at open edges are one."""

Vertices = Float[np.ndarray, "_ 3"]
Faces = Int[np.ndarray, "_ 3"]


class Surface(NamedTuple):
    """A closed surface, its faces counter-clockwise seen from outside."""

    vertices: Vertices
    faces: Faces

    @property
    def volume(self) -> float:
        """The volume that it encloses."""
        return surface_moments(self.vertices, self.faces).mass


def welded(vertices: Vertices, faces: Faces) -> Surface:
    """Merge equal vertices, and nearly equal ones where the surface is open.

    A file of 32-bit numbers, or of seven digits, writes one corner in two ways; the
    distance depends on the size of the mesh, and on where in space it is.
    """
    used, places = np.unique(vertices[faces.ravel()], axis=0, return_inverse=True)
    faces = _distinct(places.reshape(-1, 3))
    size = float(np.ptp(used, axis=0).max(initial=0.0))
    reach = max(TOLERANCE * size, 2.0**-22 * float(np.abs(used).max(initial=0.0)))
    for near in (1e-3 * reach, 1e-2 * reach, 0.1 * reach, reach):
        edges, uses, _ = edges_of(faces)
        loose = np.unique(edges[uses % 2 == 1])
        if not len(loose) or not near:
            break
        labels = np.arange(len(used))
        labels[loose] = loose[_near(used[loose], near)]
        faces = _distinct(labels[faces])
    return Surface(used, faces)


def _near(points: Vertices, distance: float) -> Int[np.ndarray, "n"]:
    """Label each point by the first of those that are within a distance, and so on.

    Two points that are near share a cell in one of eight grids, shifted by half a cell.
    """
    labels = np.arange(len(points))
    cells = points / (2 * distance)
    shifts = np.stack(np.meshgrid(*[(0.0, 0.5)] * 3), axis=-1).reshape(-1, 3)
    groups = [
        np.unique(np.floor(cells + s), axis=0, return_inverse=True)[1].ravel()
        for s in shifts
    ]
    while True:
        before = labels.copy()
        for group in groups:
            least = np.full(group.max() + 1, len(points))
            np.minimum.at(least, group, labels)
            labels = least[group]
        if (labels == before).all():
            return labels


def _distinct(faces: Faces) -> Faces:
    """Faces with three different corners."""
    return faces[(faces != np.roll(faces, 1, axis=1)).all(1)]


def edges_of(
    faces: Faces,
) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "e"], Int[np.ndarray, "k"]]:
    """Edges, how many faces use each, and the edge of each of the faces' sides."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, places, uses = np.unique(
        sides, axis=0, return_inverse=True, return_counts=True
    )
    return edges, uses, places.ravel()

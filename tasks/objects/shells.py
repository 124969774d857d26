"""Closed shells of a mesh, and the one body that they enclose together.

Files of others hold a shell twice, shells inside out, shells that overlap, and hollows.
Each shell is closed and turned outwards by itself; those that overlap are united by
Manifold (Lalish, "Manifold: geometry library for topological robustness").
"""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from tasks.objects.confined import RefusedError, needed
from tasks.objects.crossing import check_crossing
from tasks.objects.welding import Faces, Surface, edges_of

if TYPE_CHECKING:
    from manifold3d import Manifold

_SAME = 1e-6  # share of a volume that rounding may change


def closed_shells(surface: Surface) -> list[Surface]:
    """Split a surface into closed shells, in each of which all faces agree on a side.

    A shell that the file holds twice is returned once.

    Raises:
        RefusedError: if a face is missing somewhere, or a shell has one side only.
    """
    faces = surface.faces
    if not len(faces):
        raise RefusedError("the mesh has no face with an area")
    _, uses, _ = edges_of(faces)
    if (uses % 2).any():
        raise RefusedError(
            f"the mesh is open, at {int((uses % 2).sum())} edges a face is missing: "
            "make it watertight"
        )
    runs = [faces] if (uses == 2).all() else _runs(faces)
    shells: dict[bytes, Faces] = {}
    for shell in (shell for run in runs for shell in _connected(run)):
        key = np.unique(np.sort(shell, axis=1), axis=0).tobytes()
        shells.setdefault(key, shell)
    kept: list[Surface] = []
    for shell in shells.values():
        corners, places = np.unique(_agreeing(shell), return_inverse=True)
        kept.append(Surface(surface.vertices[corners], places.reshape(-1, 3)))
    return kept


def _runs(faces: Faces) -> list[Faces]:
    """Cut a list of faces wherever all before are closed.

    Shells that touch or lie on each other share edges, and could be cut apart in many
    ways; but files are written shell after shell.
    """
    _, _, places = edges_of(faces)
    loose: set[int] = set()
    ends: list[int] = []
    for i, three in enumerate(places.reshape(-1, 3).tolist(), start=1):
        loose ^= set(three)
        if not loose:
            ends.append(i)
    return np.split(faces, ends[:-1])


def _connected(faces: Faces) -> list[Faces]:
    """Split closed faces into shells: across an edge of four faces nothing connects.

    Raises:
        RefusedError: if faces lie on each other in a way that leaves the shells open.
    """
    _, uses, places = edges_of(faces)
    labels = _components(len(faces), _neighbours(places, uses == 2))
    order = np.argsort(labels, kind="stable")
    shells = np.split(faces[order], np.flatnonzero(np.diff(labels[order])) + 1)
    if not any((edges_of(shell)[1] % 2).any() for shell in shells):
        return shells
    if len(np.unique(np.sort(faces, axis=1), axis=0)) < len(faces):
        raise RefusedError("faces of the mesh lie on each other: keep one of each")
    return [faces]


def _neighbours(
    places: Int[np.ndarray, "k"], pairs: Bool[np.ndarray, "e"]
) -> Int[np.ndarray, "p 2"]:
    """Return pairs of sides, three of each face, that share one of some edges."""
    order = np.argsort(places, kind="stable")
    same = (places[order[1:]] == places[order[:-1]]) & pairs[places[order[1:]]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _components(count: int, sides: Int[np.ndarray, "p 2"]) -> Int[np.ndarray, "n"]:
    """Number faces by what they are connected to."""
    labels = np.arange(count)
    a, b = (sides // 3).T
    while True:
        least = np.minimum(labels[a], labels[b])
        fresh = labels.copy()
        np.minimum.at(fresh, labels[a], least)
        np.minimum.at(fresh, labels[b], least)
        fresh = fresh[fresh]
        if (fresh == labels).all():
            return np.unique(labels, return_inverse=True)[1]
        labels = fresh


def _agreeing(faces: Faces) -> Faces:
    """Turn faces of a shell so that neighbours look to the same side."""
    _, uses, places = edges_of(faces)
    forward = faces.ravel() < np.roll(faces, -1, axis=1).ravel()
    if not np.bincount(places, weights=np.where(forward, 1, -1)).any():
        return faces
    pairs = _neighbours(places, uses == 2)
    differ = (forward[pairs[:, 0]] == forward[pairs[:, 1]]).tolist()
    touching: list[list[tuple[int, bool]]] = [[] for _ in faces]
    for (a, b), turned in zip((pairs // 3).tolist(), differ, strict=True):
        touching[a].append((b, turned))
        touching[b].append((a, turned))
    turn: list[bool | None] = [None] * len(faces)
    for start in range(len(faces)):
        if turn[start] is not None:
            continue
        turn[start] = False
        waiting = [start]
        while waiting:
            here = waiting.pop()
            for there, turned in touching[here]:
                wanted = turn[here] != turned
                if turn[there] is None:
                    turn[there] = wanted
                    waiting.append(there)
                elif turn[there] != wanted:
                    raise RefusedError("the mesh has one side only, like a Möbius band")
    flip = np.array(turn, dtype=bool)
    return np.where(flip[:, None], faces[:, ::-1], faces)


def enclosed(shells: Sequence[Surface]) -> tuple[Surface, list[Surface]]:
    """Return the surface of what shells enclose together, and those it is made of.

    A shell that looks to the other side than most is a hollow inside of the others;
    outside of them it was turned by mistake.

    Returns:
        The surface, and shells, turned outwards, whose union it bounds; none if one of
        them has a hollow.

    Raises:
        RefusedError: if shells overlap and cannot be united, a hollow juts out,
            or a shell crosses itself.
    """
    volumes = [shell.volume for shell in shells]
    sign = 1 if sum(volumes) >= 0 else -1
    outwards = [
        s if v > 0 else _turned(s) for s, v in zip(shells, volumes, strict=True)
    ]
    for shell in outwards:
        # one that only touches itself, or is flat, is no body of Manifold's
        body = None
        with contextlib.suppress(RefusedError):
            body = manifold_of(shell)
        if body is not None:
            check_crossing(shell, body)
    if not overlapping(shells):
        return joined(outwards), outwards
    bodies = [manifold_of(shell) for shell in outwards]
    outer = [b for b, v in zip(bodies, volumes, strict=True) if v * sign > 0]
    inner = [b for b, v in zip(bodies, volumes, strict=True) if v * sign <= 0]
    hollows, mistaken = _hollows(outer, inner)
    surface = surface_of(united(_hollowed(outer, hollows) + mistaken))
    return surface, [] if hollows else outwards


def _hollows(
    outer: "Sequence[Manifold]", inner: "Sequence[Manifold]"
) -> "tuple[list[Manifold], list[Manifold]]":
    """Tell hollows from shells that are outside of all others, turned by mistake.

    Raises:
        RefusedError: if a shell is neither inside nor outside.
    """
    if not inner:
        return [], []
    whole = united(outer)
    hollows: list[Manifold] = []
    mistaken: list[Manifold] = []
    for body in inner:
        inside = (body ^ whole).volume() / body.volume()
        if _SAME < inside < 1 - _SAME:
            raise RefusedError(
                "a shell that looks inwards, as a hollow does, is only partly "
                f"({inside:.2%}) inside of the others: turn it, or move it inside"
            )
        (hollows if inside > 0.5 else mistaken).append(body)
    return hollows, mistaken


def _hollowed(
    outer: "Sequence[Manifold]", hollows: "Sequence[Manifold]"
) -> "list[Manifold]":
    """Take each hollow out of all that holds it.

    That is every shell that holds it alone, or, if only several do together, all but
    those that lie in it. Judged by the shells as they are, in whatever order they come.
    """
    taken: list[list[Manifold]] = [[] for _ in outer]
    for hollow in hollows:
        around = [i for i, body in enumerate(outer) if _holds(body, hollow)]
        for i in around or range(len(outer)):
            if around or not _holds(hollow, outer[i]):
                taken[i].append(hollow)
    return [
        body - united(away) if away else body
        for body, away in zip(outer, taken, strict=True)
    ]


def _holds(outer: "Manifold", inner: "Manifold") -> bool:
    return (inner - outer).volume() <= _SAME * inner.volume()


def _turned(surface: Surface) -> Surface:
    return Surface(surface.vertices, surface.faces[:, ::-1])


def joined(surfaces: Sequence[Surface]) -> Surface:
    """Put surfaces that do not overlap into one."""
    starts = np.cumsum([0, *(len(s.vertices) for s in surfaces)])
    return Surface(
        np.concatenate([s.vertices for s in surfaces]),
        np.concatenate([s.faces + i for s, i in zip(surfaces, starts, strict=False)]),
    )


def overlapping(surfaces: Sequence[Surface]) -> bool:
    """Return whether the boxes of any two surfaces have a volume in common."""
    low = np.array([s.vertices.min(0) for s in surfaces])
    high = np.array([s.vertices.max(0) for s in surfaces])
    slack = 1e-6 * (high - low).max()
    for i in range(len(surfaces) - 1):
        lower = np.minimum(high[i], high[i + 1 :])
        upper = np.maximum(low[i], low[i + 1 :])
        if (lower - upper > slack).all(1).any():
            return True
    return False


def united(bodies: "Sequence[Manifold]") -> "Manifold":
    """Return the union of bodies.

    Raises:
        RefusedError: if there is none.
    """
    manifold3d = needed("manifold3d")
    union = manifold3d.Manifold.batch_boolean(list(bodies), manifold3d.OpType.Add)
    if union.is_empty() or union.status() != manifold3d.Error.NoError:
        raise RefusedError(
            f"parts overlap, and uniting them gives {union.status().name}"
        )
    return union


def surface_of(body: "Manifold") -> Surface:
    """Return the surface of one of Manifold's bodies."""
    mesh = body.to_mesh64()
    return Surface(
        np.array(mesh.vert_properties[:, :3], dtype=np.float64),
        np.array(mesh.tri_verts, dtype=np.int64),
    )


def manifold_of(surface: Surface) -> "Manifold":
    """Return a surface as one of Manifold's bodies.

    Raises:
        RefusedError: without the library, or for a surface that meets itself.
    """
    manifold3d = needed("manifold3d")
    mesh = manifold3d.Mesh64(
        np.ascontiguousarray(surface.vertices),
        np.ascontiguousarray(surface.faces, dtype=np.uint64),
    )
    mesh.merge()
    body = manifold3d.Manifold(mesh)
    if body.is_empty() or body.status() != manifold3d.Error.NoError:
        raise RefusedError(
            f"shells overlap, and one cannot be united: it is {body.status().name}"
        )
    return body

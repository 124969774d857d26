"""Closed shells of a mesh: each by itself, and all of them as one body."""

from collections.abc import Sequence

import numpy as np
import pytest
import trimesh

from tasks.objects.confined import RefusedError
from tasks.objects.shells import closed_shells, enclosed
from tasks.objects.welding import Surface, welded

SIDE = 0.06
BOX = SIDE**3


def box(at: Sequence[float] = (0, 0, 0), side: float = SIDE) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents=[side] * 3)
    mesh.apply_translation(at)
    return mesh


def soup(*meshes: trimesh.Trimesh) -> Surface:
    """Weld meshes that were written triangle by triangle, as in an STL file."""
    corners = np.concatenate([m.vertices[m.faces].reshape(-1, 3) for m in meshes])
    return welded(corners, np.arange(len(corners)).reshape(-1, 3))


def turned(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)


def volume(*meshes: trimesh.Trimesh) -> float:
    return enclosed(closed_shells(soup(*meshes)))[0].volume


@pytest.mark.parametrize(
    ("meshes", "boxes"),
    [
        ([box(), box((0.1, 0, 0))], 2.0),
        ([box(), turned(box((0.1, 0, 0)))], 2.0),
        ([turned(box()), turned(box((0.1, 0, 0)))], 2.0),
        ([box(), box((SIDE / 2, 0, 0))], 1.5),
        ([box(), box((SIDE, 0, 0))], 2.0),
        ([box(), box((SIDE, SIDE, 0))], 2.0),
        ([box(), box()], 1.0),
        ([box(), turned(box())], 1.0),
        ([box(), box(side=SIDE / 2)], 1.0),
        ([box(), turned(box(side=SIDE / 2))], 1 - 1 / 8),
        ([turned(box()), box(side=SIDE / 2)], 1 - 1 / 8),
        ([box(), turned(box(side=SIDE / 2)), box(side=SIDE / 4)], 1 - 1 / 8 + 1 / 64),
        ([box(), box((0, 0, 1e-4)), box((0.01, 0, 0))], 1 + 1 / 6 + 1e-4 / SIDE),
    ],
)
def test_shells_enclose_one_body_together(
    meshes: list[trimesh.Trimesh], boxes: float
) -> None:
    assert volume(*meshes) == pytest.approx(boxes * BOX, rel=1e-6)


def block(x: tuple[float, float], y: float, z: float) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents=[x[1] - x[0], y, z])
    mesh.apply_translation([sum(x) / 2, 0, 0])
    return mesh


LEFT, RIGHT = block((-0.05, 0.05), 0.08, 0.06), block((0.01, 0.11), 0.08, 0.06)


@pytest.mark.parametrize(
    ("solids", "hollows", "expected"),
    [
        # that overlap one another
        (
            [LEFT],
            [block((-0.05, 0.01), 0.02, 0.04), block((-0.01, 0.05), 0.02, 0.04)],
            4e-4,
        ),
        # across two solids, neither of which holds it alone
        ([LEFT, RIGHT], [block((-0.01, 0.07), 0.04, 0.04)], 6.4e-4),
        # in both of two solids
        ([LEFT, RIGHT], [block((0.02, 0.04), 0.04, 0.04)], 7.36e-4),
        # in an outer shell that is there twice, the second slightly larger
        (
            [LEFT, LEFT.copy().apply_scale(1.0001)],
            [block((-0.01, 0.02), 0.02, 0.04)],
            4.8e-4 * 1.0001**3 - 2.4e-5,
        ),
        # crossed by a rod that is held by the walls
        (
            [LEFT, block((-0.045, 0.045), 0.01, 0.01)],
            [block((-0.04, 0.04), 0.02, 0.04)],
            4.8e-4 - 6.4e-5 + 8e-6,
        ),
        # across two solids, with a core in it
        (
            [LEFT, RIGHT, block((0.02, 0.04), 0.02, 0.02)],
            [block((-0.01, 0.07), 0.04, 0.04)],
            6.4e-4 + 8e-6,
        ),
    ],
)
def test_hollows_are_empty_however_they_lie(
    solids: list[trimesh.Trimesh], hollows: list[trimesh.Trimesh], expected: float
) -> None:
    shells = solids + [turned(h) for h in hollows]
    assert volume(*shells) == pytest.approx(expected, rel=1e-6)
    assert volume(*shells[::-1]) == pytest.approx(expected, rel=1e-6)


def test_a_hollow_that_juts_out_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"partly \(50.00%\) inside of the others"):
        volume(box(), turned(box((SIDE / 2, 0, 0))))


def test_a_shell_is_turned_outwards_face_by_face() -> None:
    mesh = trimesh.creation.torus(0.03, 0.01)
    faces = mesh.faces.copy()
    flipped = np.random.default_rng(0).random(len(faces)) < 0.5
    faces[flipped] = faces[flipped, ::-1]
    [shell] = closed_shells(soup(trimesh.Trimesh(mesh.vertices, faces, process=False)))
    assert abs(shell.volume) == pytest.approx(mesh.volume, rel=1e-9)


@pytest.mark.parametrize("place", [0.0, 3.0])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_corners_are_merged_relative_to_the_size(scale: float, place: float) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.05)
    corners = scale * (mesh.vertices[mesh.faces].reshape(-1, 3) + place)
    noise = np.random.default_rng(0).uniform(-1, 1, corners.shape)
    corners = np.float32(corners + 1e-7 * scale * noise).astype(float)
    surface = welded(corners, np.arange(len(corners)).reshape(-1, 3))
    [shell] = closed_shells(surface)
    assert len(shell.vertices) == len(mesh.vertices)
    assert shell.volume == pytest.approx(mesh.volume * scale**3, rel=1e-4)


def test_corners_of_a_closed_mesh_are_never_merged() -> None:
    """A step of a thousandth of the tolerance is a step, where nothing is open."""
    mesh = trimesh.creation.box(extents=[1, 1, 1e-8])
    assert len(welded(mesh.vertices, mesh.faces).faces) == 12


def test_an_open_mesh_is_refused() -> None:
    mesh = box()
    torn = trimesh.Trimesh(mesh.vertices, mesh.faces[1:], process=False)
    with pytest.raises(RefusedError, match="is open, at 3 edges a face is missing"):
        closed_shells(soup(torn))


def test_a_surface_of_one_side_is_refused() -> None:
    # the projective plane: closed, of six corners
    faces = np.transpose(
        [
            [0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
            [1, 2, 3, 4, 5, 2, 3, 4, 5, 1],
            [2, 3, 4, 5, 1, 4, 5, 1, 2, 3],
        ]
    )
    points = np.random.default_rng(0).random((6, 3))
    with pytest.raises(RefusedError, match="has one side only"):
        closed_shells(Surface(points, faces))


def prism(corners: np.ndarray, height: float) -> trimesh.Trimesh:
    """An outline drawn up, which may wind around several times."""
    n = len(corners)
    vertices = [[x, y, z] for z in (0, height) for x, y in corners]
    faces = [[0, i + 1, i] for i in range(1, n - 1)]
    faces += [[n, n + i, n + i + 1] for i in range(1, n - 1)]
    for i in range(n):
        j = (i + 1) % n
        faces += [[i, j, n + j], [i, n + j, n + i]]
    return trimesh.Trimesh(vertices, faces, process=False)


def star() -> np.ndarray:
    angle = np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    return 0.08 * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def spiral() -> np.ndarray:
    angle = np.linspace(0, 4 * np.pi, 49)[:-1]
    inner = angle >= 2 * np.pi
    radius = np.where(inner, 0.03, 0.05)
    x = radius * np.cos(angle + 0.1) + 0.015 * inner
    return np.stack([x, radius * np.sin(angle + 0.1)], axis=1)


@pytest.mark.parametrize(
    "corners",
    [star(), spiral(), np.array([(0, 0), (0.1, 0.06), (0.1, 0), (0, 0.03)])],
    ids=["star", "spiral", "bow tie"],
)
@pytest.mark.parametrize("beside", [[], [box((0.3, 0, 0))]], ids=["alone", "beside"])
def test_a_shell_that_crosses_itself_is_refused(
    corners: np.ndarray, beside: list[trimesh.Trimesh]
) -> None:
    """Manifold takes it, and a region that it winds around twice would weigh twice."""
    with pytest.raises(RefusedError, match="the surface crosses itself"):
        volume(prism(corners, 0.03), *beside)


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.creation.torus(0.03, 0.01),
        trimesh.creation.annulus(0.02, 0.04, 0.03).apply_translation((5, 5, 5)),
        prism(star()[[0, 3, 1, 4, 2]], 0.03),
    ],
)
def test_a_shell_that_does_not_cross_itself_stays_as_it_is(
    mesh: trimesh.Trimesh,
) -> None:
    [shell] = closed_shells(soup(mesh))
    surface, _ = enclosed([shell])
    np.testing.assert_array_equal(surface.vertices, shell.vertices)
    np.testing.assert_array_equal(surface.faces, shell.faces)

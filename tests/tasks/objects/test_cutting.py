"""Convex parts: merged or cut, and kept."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh

from tasks.objects import cutting
from tasks.objects.confined import Arrays, RefusedError, confined
from tasks.objects.cutting import convex_parts, merged, volume_of
from tasks.objects.mesh_file import load_solid
from tasks.objects.polyhedra import Points, few, tilt
from tasks.objects.solids import volume
from tasks.objects.welding import Surface


def slab(low: tuple[float, ...], size: tuple[float, ...] = (1, 1, 1)) -> Points:
    corners = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    return np.array(low) + corners * size


def test_pieces_are_merged_where_that_adds_least() -> None:
    # a bar in three pieces, and three boxes far apart
    pieces = [slab((i, 0, 0)) for i in range(3)]
    pieces += [slab((10 * i, 9 * i * i, 5)) for i in (1, 2, 3)]
    parts = merged(pieces)
    assert len(parts) == 4
    assert volume_of(parts) == pytest.approx(6.0)
    assert sorted(float(np.ptp(p[:, 0])) for p in parts) == [1, 1, 1, 3]


@pytest.fixture
def ring() -> Surface:
    mesh = trimesh.creation.annulus(0.02, 0.04, 0.02, sections=12)
    return Surface(np.array(mesh.vertices), np.array(mesh.faces, dtype=np.int64))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Surface]:
    """Stand in for CoACD, which takes seconds; lists what it was asked to cut."""
    asked: list[Surface] = []

    def cut(work: str, arrays: Arrays, **limits: object) -> Arrays:
        asked.append(Surface(arrays["vertices"], arrays["faces"]))
        halves = [
            arrays["vertices"][arrays["vertices"][:, 0] * s >= 0] for s in (1, -1)
        ]
        return {"part0": halves[0], "part1": halves[1], "held": np.array(0.5)}

    monkeypatch.setattr(cutting, "confined", cut)
    return asked


def kept(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("damage", ["none", "truncated", "flipped", "empty", "nan"])
def test_what_was_cut_is_cut_again_only_if_its_file_is_damaged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ring: Surface,
    quick: list[Surface],
    damage: str,
) -> None:
    monkeypatch.setenv("PLIANT_CACHE", str(tmp_path))
    said: list[str] = []
    first, held = convex_parts(ring, [], said.append)
    [file] = kept(tmp_path)
    whole = file.read_bytes()
    match damage:
        case "truncated":
            file.write_bytes(whole[:-40])
        case "flipped":
            file.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
        case "empty":
            file.write_bytes(b"")
        case "nan":
            np.savez(file, part0=np.full((4, 3), np.nan), held=np.array(1.0))
        case _:
            pass
    again, held_again = convex_parts(ring, [], said.append)
    assert len(quick) == len(said) == (1 if damage == "none" else 2)
    assert held == held_again
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert file.read_bytes() == whole
    assert kept(tmp_path) == [file]


def test_another_shape_is_cut_anew_and_no_folder_is_no_obstacle(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ring: Surface,
    quick: list[Surface],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PLIANT_CACHE", str(tmp_path / "file" / "below"))
    convex_parts(ring, [])
    convex_parts(ring, [])
    assert len(quick) == 2
    monkeypatch.setenv("PLIANT_CACHE", str(tmp_path / "kept"))
    for scale in (1.0, 1.1, 1.0):
        convex_parts(Surface(scale * ring.vertices, ring.faces), [])
    assert len(quick) == 4


@pytest.mark.parametrize("thick", [True, False])
def test_flat_parts_are_left_out(
    monkeypatch: pytest.MonkeyPatch, ring: Surface, thick: bool
) -> None:
    flat = slab((0, 0, 0), (1, 1, 1e-9))
    found = [(part, None) for part in ([flat, slab((0, 0, 0))] if thick else [flat])]

    class Coacd(ModuleType):
        Mesh = staticmethod(lambda *_: None)
        set_log_level = staticmethod(lambda _: None)
        run_coacd = staticmethod(lambda *_, **__: found)

    monkeypatch.setitem(sys.modules, "coacd", Coacd("coacd"))
    if thick:
        cut = cutting.cut(*ring)
        assert cut.keys() == {"part0", "held"}
        assert cut["held"] == pytest.approx(1.0)
        return
    with pytest.raises(RefusedError, match=r"^cannot be cut .*: it is too thin$"):
        cutting.cut(*ring)


def test_a_crash_is_said_to_be_that_of_the_cutter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ring: Surface
) -> None:
    def crash(_: str, __: Arrays, **limits: Any) -> Arrays:
        return confined("os:abort", **limits)

    monkeypatch.setenv("PLIANT_CACHE", str(tmp_path))
    monkeypatch.setattr(cutting, "confined", crash)
    with pytest.raises(
        RefusedError, match=r"^cannot be cut into convex parts: CoACD died \(SIGABRT\)"
    ):
        convex_parts(ring, [])


def test_parts_of_few_vertices_are_as_large_and_stand_as_well() -> None:
    """A ball of many vertices on a foot of a twentieth of its diameter, and upright."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.03)
    points = np.array(mesh.vertices)
    points = points[points[:, 2] > -0.0299]
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = 0.0015 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([points, np.c_[ring, np.full(40, -0.031)]])
    points += [0, 0, 0.031]
    kept = few(points)
    assert len(kept) <= 60
    np.testing.assert_array_equal(np.ptp(kept, axis=0), np.ptp(points, axis=0))
    whole, left = (tilt(p, [0.0, 0.0, 0.03], 1e-3) for p in (points, kept))
    assert 0.95 * whole < left <= whole


def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, ring: Surface
) -> None:
    monkeypatch.setitem(sys.modules, "coacd", None)
    with pytest.raises(
        RefusedError, match=r"needs coacd: pip install 'pliant\[objects\]'"
    ):
        cutting.cut(*ring)


def ball(x: float = 0.0) -> trimesh.Trimesh:
    """A ball of many faces, that stands on a flat."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.03)
    mesh.vertices = np.maximum(mesh.vertices, [-1, -1, -0.027])
    return mesh.apply_translation([x, 0, 0])


def capsule() -> trimesh.Trimesh:
    mesh = trimesh.creation.capsule(radius=0.02, height=0.06)
    mesh.vertices = mesh.vertices[:, [2, 0, 1]]
    mesh.vertices = np.maximum(mesh.vertices, [-1, -1, -0.018])
    return mesh


@pytest.mark.parametrize(
    "mesh",
    [
        ball(),
        trimesh.util.concatenate([ball(), ball(0.07)]),
        trimesh.util.concatenate([ball(), ball(0.04)]),
        capsule(),
    ],
    ids=["one", "two", "overlapping", "capsule"],
)
def test_parts_that_hold_less_by_having_few_vertices_are_named(
    tmp_path: Path, mesh: trimesh.Trimesh
) -> None:
    path = tmp_path / "round.obj"
    mesh.export(path)
    with pytest.warns(UserWarning, match=r"convex parts? hold.* \d+% less than"):
        solid = load_solid(path)
    assert len(solid.parts) <= 2
    assert volume_of([part.vertices for part in solid.parts]) < 0.95 * volume(solid)

"""The generator: what it draws stands, touches, does not overlap, and is measured."""

import itertools
import math

import mujoco
import numpy as np
import pytest
import torch

from robots.sim.cpu import CpuSimulator
from tasks.family import per_world
from tasks.objects.bank import Bank
from tasks.objects.complexity import complexity, difficulty, grid
from tasks.objects.generator import FLAT, GRASPABLE, KINDS, make_solid
from tasks.objects.polyhedra import loft, rectangle, superellipse
from tasks.objects.solids import Part, Solid, placed, triangulate

SEEDS = range(4)


def drawn(flat: bool) -> list[Solid]:
    return [make_solid(kind, seed, flat=flat) for kind in KINDS for seed in SEEDS]


def half_spaces(part: Part) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = part.vertices[triangulate(part.vertices)].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    normals = normals[areas > 1e-9] / areas[areas > 1e-9, None]
    return normals, (normals * a[areas > 1e-9]).sum(1)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_draw_equal_solids_and_others_others(kind: str, flat: bool) -> None:
    one, same, other = (make_solid(kind, s, flat=flat) for s in (5, 5, 6))
    assert one.name == f"{kind}-5"
    np.testing.assert_array_equal(one.vertices, same.vertices)
    assert one.vertices.shape != other.vertices.shape or not np.allclose(
        one.vertices, other.vertices, atol=1e-4
    )


@pytest.mark.parametrize("flat", [False, True])
def test_solids_lie_in_their_frame_and_have_the_size_asked_for(flat: bool) -> None:
    for solid in drawn(flat):
        low, high = solid.vertices.min(0), solid.vertices.max(0)
        np.testing.assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-12)
        for length, (least, most) in zip(
            high - low, FLAT if flat else GRASPABLE, strict=True
        ):
            assert least - 1e-9 <= length <= most + 1e-9
        if flat:
            assert set(np.round(solid.vertices[:, 2], 9)) == {0.0, 0.04}


@pytest.mark.parametrize("flat", [False, True])
def test_parts_touch_but_do_not_overlap(flat: bool) -> None:
    for solid in drawn(flat):
        touching = np.eye(len(solid.parts), dtype=bool)
        for i, j in itertools.combinations(range(len(solid.parts)), 2):
            a, b = solid.parts[i], solid.parts[j]
            # two convex bodies do not overlap if some plane lies between them; where
            # they touch in a face, the plane of that face does
            gaps = []
            for one, two in ((a, b), (b, a)):
                normals, offsets = half_spaces(one)
                gaps.append((two.vertices @ normals.T - offsets).min(0).max())
            gap = max(gaps)
            assert gap > -1e-9, solid.name
            touching[i, j] = touching[j, i] = gap < 1e-9
        reached = np.linalg.matrix_power(touching.astype(int), len(solid.parts))
        assert (reached > 0).all(), solid.name


@pytest.mark.parametrize("flat", [False, True])
def test_every_solid_rests_as_it_was_put(flat: bool) -> None:
    solids = drawn(flat)
    bank, spec = Bank(solids), mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    bank.add_to(spec, "object", (0.0, 0.0, 0.0))
    model = spec.compile()
    worlds = len(solids)
    index = torch.arange(worlds)
    fields = per_world(
        model,
        **bank.fields(model, "object", index),
        **bank.inertia(model, "object", index, mass=torch.full((worlds,), 0.3)),
    )
    sim = CpuSimulator(
        model, worlds=worlds, substeps=1000, fields=tuple(fields), threads=1
    )
    sim.assign(fields)
    qpos = torch.zeros(worlds, 7)
    qpos[:, 2], qpos[:, 3] = 0.003, 1.0
    sim.reset(qpos, torch.zeros(worlds, 6))
    readings = sim.step(torch.zeros(worlds, 0))
    assert not readings.fault.any()
    assert (readings.qpos[:, :2].abs() < 2e-3).all()
    assert (readings.qpos[:, 2].abs() < 1e-3).all()
    assert (readings.qpos[:, 3] > 0.9999).all()
    assert (readings.qvel.abs() < 0.05).all()


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no solid 'ball'.*kinds: box, cylinder"):
        make_solid("ball", 0)
    with pytest.raises(ValueError, match="seeds start at 0"):
        make_solid("box", -1)


def prism(outline: np.ndarray, height: float) -> Part:
    return Part(loft([(outline, 0.0), (outline, height)]))


def test_complexity_of_what_has_one_kind_of_edge_is_zero() -> None:
    for kind in ("box", "cylinder"):
        assert complexity(make_solid(kind, 1)) == pytest.approx(0, abs=1e-9)
    two = (
        prism(rectangle(0.0, 0.0, 0.05, 0.04), 0.03),
        prism(rectangle(0.05, 0.0, 0.1, 0.04), 0.03),
    )
    # a box cut in two is still a box
    assert complexity(Solid("box", two)) == pytest.approx(0, abs=1e-9)


def test_complexity_of_an_ell_is_that_of_its_edges() -> None:
    parts = (
        prism(rectangle(0.0, 0.0, 1.0, 0.5), 1.0),
        prism(rectangle(0.0, 0.5, 0.5, 1.0), 1.0),
    )
    # outlines of length 4 above and below and five upright edges turn outwards by 90
    # degrees, one upright edge inwards
    p = np.array([13.0, 1.0]) / 14
    expected = 1 - np.exp((p * np.log(p)).sum())
    assert complexity(Solid("ell", parts)) == pytest.approx(expected, rel=1e-6)


def test_an_edge_that_two_parts_share_counts_once() -> None:
    rise = 0.5 * math.tan(math.radians(50))
    walls = rectangle(0.0, 0.0, 1.0, 1 - rise)
    roof = np.array([(0, 1 - rise), (1, 1 - rise), (0.5, 1)])
    house = Solid("house", (prism(walls, 1.0), prism(roof, 1.0)))
    around = 1 + 2 * (1 - rise) + 1 / math.cos(math.radians(50))
    # outlines, corners and ridge turn by about 90 degrees; the eaves, by 40
    sums = np.array([90 * 2 * around + 90 * 2 + 100, 2 * 40])
    p = sums / sums.sum()
    expected = 1 - np.exp((p * np.log(p)).sum())
    assert complexity(house) == pytest.approx(expected, rel=1e-6)


def test_complexity_keeps_the_planted_order() -> None:
    mean = {
        kind: np.mean([complexity(make_solid(kind, seed)) for seed in range(8)])
        for kind in ("box", "cylinder", "ell", "hull", "mug")
    }
    assert max(mean["box"], mean["cylinder"]) < 0.1
    assert 0.1 < mean["ell"] < min(mean["hull"], mean["mug"])


def test_difficulty_of_a_disc_is_in_its_closed_form() -> None:
    # a line at an offset s meets a disc's rim at an angle of asin(s / r)
    disc = Solid("disc", (prism(0.03 * superellipse(1.0, 30), 0.04),))
    expected = 1 - 0.5 / np.hypot(1, 0.5)
    assert difficulty(disc) == pytest.approx(expected, abs=0.06)


def test_difficulty_keeps_the_planted_order() -> None:
    def of(part: Part) -> float:
        return difficulty(Solid("planted", (part,)))

    base = 0.05 * rectangle(-0.5, -0.5, 0.5, 0.5)
    box = of(prism(base, 0.04))
    slanted = of(Part(loft([(base, 0.0), (0.5 * base, 0.04)])))
    pyramid = of(Part(loft([(base, 0.0), (0.01 * base, 0.04)])))
    wide = of(prism(3 * base, 0.04))
    assert box < slanted < pyramid == wide == 1
    hull = np.mean([difficulty(make_solid("hull", seed)) for seed in range(8)])
    assert hull > np.mean([difficulty(make_solid("box", seed)) for seed in range(8)])


def test_a_grid_holds_every_solid_in_its_cell() -> None:
    solids = [make_solid(kind, seed) for kind in ("box", "hull") for seed in SEEDS]
    found = grid(solids, cells=5)
    assert sorted(s.name for cell in found.values() for s in cell) == sorted(
        s.name for s in solids
    )
    for (row, column), cell in found.items():
        for solid in cell:
            assert row == min(int(5 * complexity(solid)), 4)
            assert column == min(int(5 * difficulty(solid)), 4)
    with pytest.raises(ValueError, match="at least 1 cell a side, got 0"):
        grid(solids, cells=0)


def test_a_stretched_solid_is_as_complex_as_before() -> None:
    solid = make_solid("mug", 2)
    longer = placed(
        Solid("longer", tuple(Part(p.vertices * [1.7, 0.8, 1.1]) for p in solid.parts))
    )
    assert complexity(longer) == pytest.approx(complexity(solid), abs=1e-9)

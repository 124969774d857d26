"""Solids against closed forms, MuJoCo's compiler and points strewn at random."""

import math

import mujoco
import numpy as np
import pytest

from tasks.objects.generator import make_solid
from tasks.objects.polyhedra import cut, loft, rectangle, superellipse, triangulate
from tasks.objects.solids import (
    MassProperties,
    Part,
    Solid,
    mass_properties,
    placed,
    toppling_angle,
    traits,
    volume,
)

MASS = 0.7


def prism(outline: np.ndarray, height: float, density: float = 1.0) -> Part:
    return Part(loft([(outline, 0.0), (outline, height)]), density)


def box(x: float, y: float, z: float) -> Solid:
    return placed(Solid("box", (prism(rectangle(0.0, 0.0, x, y), z),)))


def tensor(m: MassProperties) -> np.ndarray:
    """Inertia about the centre of mass, in the axes of the frame."""
    r = np.zeros(9)
    mujoco.mju_quat2Mat(r, m.quat)
    r = r.reshape(3, 3)
    return r @ np.diag(m.inertia) @ r.T


def composed() -> list[Solid]:
    kinds = ("wedge", "superquadric", "hull", "ell", "dumbbell", "mug", "arch")
    return [make_solid(kind, 3) for kind in kinds]


def test_a_box_has_its_closed_form() -> None:
    x, y, z = 0.1, 0.06, 0.04
    solid = box(x, y, z)
    assert volume(solid) == pytest.approx(x * y * z, rel=1e-12)
    m = mass_properties(solid, mass=MASS)
    np.testing.assert_allclose(m.com, [0, 0, z / 2], atol=1e-15)
    squares = np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    expected = np.diag(MASS / 12 * squares)
    np.testing.assert_allclose(tensor(m), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(m.inertia, sorted(m.inertia, reverse=True))


def test_a_tetrahedron_has_its_closed_form() -> None:
    a = 0.08  # corners on the axes: V = a^3 / 6, centre a / 4, E[x^2] = a^2 / 10
    solid = Solid("tetra", (Part(np.vstack([np.zeros(3), a * np.eye(3)])),))
    assert volume(solid) == pytest.approx(a**3 / 6, rel=1e-12)
    m = mass_properties(solid, mass=MASS)
    np.testing.assert_allclose(m.com, a / 4, rtol=1e-12)
    # E[xy] = a^2 / 20
    spread = a * a * (np.eye(3) / 20 + 1 / 20 - 1 / 16)
    expected = MASS * (np.trace(spread) * np.eye(3) - spread)
    np.testing.assert_allclose(tensor(m), expected, rtol=1e-10)


def test_a_prism_of_many_corners_tends_to_a_cylinder() -> None:
    r, h = 0.04, 0.05
    errors = []
    for corners in (15, 30, 60):
        half = loft([(r * superellipse(1.0, corners), z) for z in (0.0, h)])
        faces = triangulate(half)
        corners_of = half[faces]
        errors.append(math.pi * r * r * h - np.linalg.det(corners_of).sum() / 6)
    assert all(0 < error < 0.03 * math.pi * r * r * h for error in errors)
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.03)  # second order
    m = mass_properties(
        Solid("cylinder", (prism(r * superellipse(1.0, 30), h),)), mass=MASS
    )
    across = MASS * (3 * r * r + h * h) / 12
    expected = np.diag([across, across, MASS * r * r / 2])
    np.testing.assert_allclose(tensor(m), expected, rtol=0.015, atol=1e-12)


def test_the_insert_is_a_point_mass() -> None:
    solid, at, share = box(0.1, 0.06, 0.04), np.array([0.03, -0.01, 0.01]), 0.4
    m = mass_properties(solid, mass=MASS, insert=at, insert_share=share)
    plain = mass_properties(solid, mass=(1 - share) * MASS)
    np.testing.assert_allclose(m.com, (1 - share) * plain.com + share * at)
    expected = tensor(plain)
    for mass, place in (((1 - share) * MASS, plain.com), (share * MASS, at)):
        d = place - m.com
        expected = expected + mass * (d @ d * np.eye(3) - np.outer(d, d))
    np.testing.assert_allclose(tensor(m), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("solid", composed(), ids=lambda s: s.name)
def test_the_compiler_agrees(solid: Solid) -> None:
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name="object")
    densities = [700.0 * (1 + i) for i in range(len(solid.parts))]
    for i, part in enumerate(solid.parts):
        mesh = spec.add_mesh(
            name=f"part{i}",
            uservert=part.vertices.flatten(),
            userface=solid.triangles[i].flatten(),
        )
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_EXACT
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=mesh.name,
            density=densities[i],
        )
    theirs = spec.compile().body("object")
    uneven = Solid(
        solid.name,
        tuple(
            Part(part.vertices, density)
            for part, density in zip(solid.parts, densities, strict=True)
        ),
    )
    assert uneven.moments.mass == pytest.approx(theirs.mass[0], rel=1e-6)
    mine = mass_properties(uneven, mass=float(theirs.mass[0]))
    np.testing.assert_allclose(mine.com, theirs.ipos, atol=1e-8)
    np.testing.assert_allclose(
        tensor(mine),
        tensor(MassProperties(theirs.mass, theirs.ipos, theirs.inertia, theirs.iquat)),
        rtol=1e-5,
        atol=1e-6 * theirs.inertia.max(),
    )


@pytest.mark.parametrize("solid", composed(), ids=lambda s: s.name)
def test_points_strewn_at_random_agree(solid: Solid) -> None:
    rng = np.random.default_rng(0)
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    points = rng.uniform(low, high, (200_000, 3))
    inside = np.zeros(len(points), dtype=bool)
    for part in solid.parts:
        a, b, c = part.vertices[triangulate(part.vertices)].transpose(1, 0, 2)
        normals = np.cross(b - a, c - a)
        inside |= (points @ normals.T <= (normals * a).sum(1)).all(1)
    assert volume(solid) == pytest.approx(
        inside.mean() * (high - low).prod(), rel=0.015
    )
    m = mass_properties(solid, mass=1.0)
    np.testing.assert_allclose(m.com, points[inside].mean(0), atol=0.01 * high.max())
    spread = np.cov(points[inside].T)
    expected = np.trace(spread) * np.eye(3) - spread
    np.testing.assert_allclose(
        tensor(m), expected, rtol=0.02, atol=0.02 * expected.max()
    )


def topples(solid: Solid, m: MassProperties, angle: float, heading: float) -> bool:
    """Whether a solid with these mass properties falls on a floor tilted so."""
    spec = mujoco.MjSpec()
    spec.option.gravity = 9.81 * np.array(
        [
            math.sin(angle) * math.cos(heading),
            math.sin(angle) * math.sin(heading),
            -math.cos(angle),
        ]
    )
    spec.option.timestep = 0.001
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(  # a hard floor, on which nothing slides
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        friction=[5, 0.1, 0.01],
        solref=[0.002, 1],
        priority=1,
    )
    body = spec.worldbody.add_body(simple=False, explicitinertial=True)
    body.mass, body.ipos, body.iquat = float(m.mass), m.com, m.quat
    body.inertia = m.inertia
    body.add_freejoint()
    for i, part in enumerate(solid.parts):
        spec.add_mesh(name=f"part{i}", uservert=part.vertices.flatten())
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"part{i}", condim=6)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=2000)
    up = np.zeros(3)
    mujoco.mju_rotVecQuat(up, np.array([0.0, 0.0, 1.0]), data.qpos[3:])
    return bool(up[2] < 0.9)


@pytest.mark.parametrize("insert", [None, (0.01, 0.0, 0.07)])
def test_a_box_topples_when_its_centre_of_mass_leaves_its_foot(
    insert: tuple[float, float, float] | None,
) -> None:
    x, y, z = 0.05, 0.08, 0.08
    solid = box(x, y, z)
    share = 0.5 if insert else 0.0
    m = mass_properties(
        solid, mass=MASS, insert=insert or (0.0, 0.0, 0.0), insert_share=share
    )
    half, high = x / 2 - m.com[0], m.com[2]
    angle = toppling_angle(solid, m.com.tolist())
    assert angle == pytest.approx(math.atan(half / high), rel=1e-9)
    assert not topples(solid, m, angle - math.radians(0.5), heading=0.0)
    assert topples(solid, m, angle + math.radians(0.5), heading=0.0)


def test_what_cannot_stand_topples_at_once() -> None:
    solid = box(0.05, 0.08, 0.08)
    assert toppling_angle(solid, (0.03, 0.0, 0.04)) < 0
    tip = Solid(
        "tip", (Part(np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1.0]])),)
    )
    assert toppling_angle(tip) == -math.pi / 2


def test_exact_moments_move_with_the_solid() -> None:
    off = Solid(
        "off", (Part(box(0.1, 0.06, 0.04).vertices + np.array([0.3, -0.2, 0.5])),)
    )
    exact = Solid("exact", off.parts, exact=off.uniform)
    a, b = (mass_properties(placed(s), mass=MASS) for s in (off, exact))
    np.testing.assert_allclose(a.com, b.com, atol=1e-12)
    np.testing.assert_allclose(tensor(a), tensor(b), rtol=1e-9, atol=1e-12)


def test_traits_tell_solids_apart_and_stay_small() -> None:
    rows = np.array([traits(make_solid("ell", seed)) for seed in range(20)])
    assert np.abs(rows).max() < 2.5
    assert (rows[:, :6].std(0) > 0.03).all()
    np.testing.assert_allclose(traits(box(0.1, 0.1, 0.1))[:3], 0, atol=1e-12)


@pytest.mark.parametrize("count", [4, 9, 30, 60])
def test_a_hull_is_closed_and_holds_every_point(count: int) -> None:
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 3))
    a, b, c = points[triangulate(points)].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    assert np.abs(normals.sum(0)).max() < 1e-9
    assert (points @ normals.T - (normals * a).sum(1)).max() < 1e-6


def test_cutting_keeps_one_side() -> None:
    square = rectangle(-1.0, -1.0, 1.0, 1.0)
    half = cut(square, (1.0, 0.0), 0.25)
    assert half[:, 0].max() == 0.25
    assert len(half) == 4
    np.testing.assert_array_equal(cut(square, (1.0, 0.0), 2.0), square)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((5, 3)), "do not coincide"),
        (np.full((5, 3), np.nan), "finite points"),
        (loft([(rectangle(0.0, 0.0, 1.0, 1.0), 0.0)]), "do not lie in one plane"),
    ],
)
def test_parts_without_volume_are_refused(points: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triangulate(points)


def test_solids_have_few_parts_of_few_vertices() -> None:
    part = box(0.1, 0.1, 0.1).parts[0]
    with pytest.raises(ValueError, match="1 to 4 parts of at most 60"):
        Solid("five", (part,) * 5)
    with pytest.raises(ValueError, match="'round' has parts of"):
        Solid("round", (prism(superellipse(1.0, 31), 0.1),))

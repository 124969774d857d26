"""A user's own objects: read whole, or refused in one line that says why."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh

from tasks.objects import mesh_file
from tasks.objects.complexity import complexity
from tasks.objects.mesh_file import load_solid
from tasks.objects.solids import mass_properties, toppling_angle, volume
from tasks.objects.welding import Surface

ELL = np.array([(0, 0), (0.1, 0), (0.1, 0.03), (0.03, 0.03), (0.03, 0.08), (0, 0.08)])
CAPS = ((0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5))


def ell(height: float = 0.04) -> trimesh.Trimesh:
    """An L extruded upwards."""
    n = len(ELL)
    vertices = np.concatenate([np.c_[ELL, np.full(n, z)] for z in (0.0, height)])
    faces = [(c, b, a) for a, b, c in CAPS] + [
        (a + n, b + n, c + n) for a, b, c in CAPS
    ]
    for i in range(n):
        j = (i + 1) % n
        faces += [(i, j, j + n), (i, j + n, i + n)]
    return trimesh.Trimesh(vertices, faces, process=False)


def written(folder: Path, mesh: trimesh.Trimesh, name: str = "object.obj") -> Path:
    path = folder / name
    mesh.export(path)
    return path


@pytest.mark.parametrize("suffix", ["obj", "stl"])
def test_a_concave_mesh_becomes_convex_parts_with_its_own_mass(
    tmp_path: Path, suffix: str
) -> None:
    mesh = ell()
    mesh.apply_translation([0.2, -0.3, 0.5])
    solid = load_solid(written(tmp_path, mesh, f"ell.{suffix}"))
    assert 2 <= len(solid.parts) <= 4
    assert solid.name.startswith(f"ell.{suffix}#")
    area = 0.1 * 0.03 + 0.03 * 0.05
    assert volume(solid) == pytest.approx(area * 0.04, rel=1e-6)
    # convex edges and one concave, though the parts do not meet exactly
    assert 0.15 < complexity(solid) < 0.35
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    np.testing.assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-9)
    m = mass_properties(solid, mass=1.0)
    x = (0.1 * 0.03 * 0.05 + 0.03 * 0.05 * 0.015) / area - 0.05
    y = (0.1 * 0.03 * 0.015 + 0.03 * 0.05 * 0.055) / area - 0.04
    np.testing.assert_allclose(m.com, [x, y, 0.02], atol=1e-6)
    expected = np.linalg.eigvalsh(mesh.moment_inertia / mesh.volume)[::-1]
    np.testing.assert_allclose(m.inertia, expected, rtol=1e-5)


def test_mass_is_the_meshs_even_where_hollows_are_filled(tmp_path: Path) -> None:
    ring = trimesh.creation.annulus(0.02, 0.045, 0.05)
    path = written(tmp_path, ring, "ring.stl")
    with pytest.warns(UserWarning, match="ring.stl: 4 convex parts hold .*% more than"):
        solid = load_solid(path)
    assert volume(solid) == pytest.approx(ring.volume, rel=1e-5)
    expected = np.linalg.eigvalsh(ring.moment_inertia / ring.volume)[::-1]
    np.testing.assert_allclose(
        mass_properties(solid, mass=1.0).inertia, expected, rtol=1e-4
    )


def test_a_convex_mesh_of_many_vertices_is_one_part_of_few(tmp_path: Path) -> None:
    mesh = trimesh.creation.cylinder(0.03, 0.05, sections=100)
    solid = load_solid(written(tmp_path, mesh))
    assert [len(part.vertices) <= 60 for part in solid.parts] == [True]
    assert volume(solid) == pytest.approx(mesh.volume, rel=1e-6)
    np.testing.assert_allclose(np.ptp(solid.vertices, axis=0), mesh.extents, rtol=0.01)


def test_equal_content_has_an_equal_name_and_other_content_another(
    tmp_path: Path,
) -> None:
    same = [load_solid(written(tmp_path, ell())).name for _ in range(2)]
    other = load_solid(written(tmp_path, ell(height=0.05))).name
    assert same[0] == same[1] != other
    assert other.startswith("object.obj#")


BODY = """<mujoco><worldbody><body pos="1 2 3" quat="0.7071 0 0 0.7071"><freejoint/>
<geom type="box" size=".04 .02 .01" pos="0 0 .01" density="500"/>
<geom type="cylinder" size=".01 .02" pos=".01 0 .04" density="2000"/>
<geom type="sphere" size=".1" contype="0" conaffinity="0" mass="0"/>
</body></worldbody></mujoco>"""


TWO = """<mujoco><worldbody>
<body name="a"><freejoint/><geom size=".03"/></body>
<body name="b"><freejoint/><geom size=".03"/></body></worldbody></mujoco>"""


def test_an_mjcf_body_keeps_its_geoms_pose_and_mass_properties(tmp_path: Path) -> None:
    path = tmp_path / "tool.xml"
    path.write_text(BODY)
    solid = load_solid(path)
    assert len(solid.parts) == 2
    # a quarter turn: long along y
    np.testing.assert_allclose(
        np.ptp(solid.vertices, axis=0), [0.04, 0.08, 0.06], atol=1e-5
    )
    model = mujoco.MjModel.from_xml_string(BODY)
    m = mass_properties(solid, mass=float(model.body_mass[1]))
    np.testing.assert_allclose(m.inertia, model.body_inertia[1], rtol=1e-6)
    np.testing.assert_allclose(
        m.com, [0, model.body_ipos[1, 0], model.body_ipos[1, 2]], atol=1e-5
    )
    assert toppling_angle(solid) > 0


@pytest.mark.parametrize(
    ("geom", "held"),
    [
        ('type="box" size=".03 .02 .01"', 8 * 0.03 * 0.02 * 0.01),
        ('type="cylinder" size=".03 .02"', np.pi * 0.03**2 * 0.04),
        ('type="ellipsoid" size=".05 .04 .01"', 4 / 3 * np.pi * 0.05 * 0.04 * 0.01),
        (
            'type="capsule" size=".03 .02"',
            np.pi * 0.03**2 * 0.04 + 4 / 3 * np.pi * 0.03**3,
        ),
    ],
)
def test_geoms_become_polyhedra_that_hold_as_much(
    tmp_path: Path, geom: str, held: float
) -> None:
    path = tmp_path / "geom.xml"
    foot = '<geom type="box" size=".03 .03 .001" pos="0 0 -.06"/>'
    path.write_text(
        f"<mujoco><worldbody><body><geom {geom}/>{foot}</body></worldbody></mujoco>"
    )
    found = volume(load_solid(path)) - 0.06 * 0.06 * 0.002
    assert found == pytest.approx(held, rel=0.01)


def test_a_cylinder_is_as_wide_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "can.xml"
    geom = '<geom type="cylinder" size=".02 .03"/>'
    path.write_text(f"<mujoco><worldbody>{geom}</worldbody></mujoco>")
    sides = np.ptp(load_solid(path).vertices, axis=0)
    np.testing.assert_allclose(sides, [0.04, 0.04, 0.06], rtol=1e-9)


def vertices_of(mesh: trimesh.Trimesh, **changed: np.ndarray) -> trimesh.Trimesh:
    arrays = {"vertices": mesh.vertices, "faces": mesh.faces} | changed
    return trimesh.Trimesh(**arrays, process=False)


def broken(kind: str) -> trimesh.Trimesh:
    mesh = ell()
    match kind:
        case "open":
            return vertices_of(mesh, faces=mesh.faces[1:])
        case "flat":
            return vertices_of(mesh, vertices=mesh.vertices * [1, 1, 0])
        case "nan":
            vertices = mesh.vertices.copy()
            vertices[0, 0] = np.nan
            return vertices_of(mesh, vertices=vertices)
        case "millimetres":
            return vertices_of(mesh, vertices=1000 * mesh.vertices)
        case "huge":
            return vertices_of(mesh, vertices=1e5 * mesh.vertices)
        case "small":
            return vertices_of(mesh, vertices=0.01 * mesh.vertices)
        case "on edge":
            turn = trimesh.transformations.rotation_matrix(0.5, [1, 2, 3])
            return mesh.apply_transform(turn)
        case "lying":
            mesh = trimesh.creation.cone(0.03, 0.08)
            turn = trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
            return mesh.apply_transform(turn)
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("open", "the mesh is open, at 3 edges a face is missing: make it watertight"),
        ("flat", "the object is flat, it has no volume"),
        ("nan", "coordinates that are not finite"),
        (
            "millimetres",
            r"100 m long; .* from 0.01 to 0.5 \(in millimetres\? --scale 0.001\)$",
        ),
        ("huge", "is 10000 m long; lengths are in metres, from 0.01 to 0.5$"),
        ("small", "is 0.001 m long; lengths are in metres, from 0.01 to 0.5$"),
        ("on edge", "does not stand on its lowest 1 mm: turn it, or give it a foot$"),
        ("lying", r"does not stand .* \(--up y would stand\)$"),
    ],
)
def test_what_is_no_object_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    path = written(tmp_path, broken(kind))
    with pytest.raises(ValueError, match=message) as caught:
        load_solid(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_object_that_stands_but_not_its_parts_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(surface: Surface, *_: object) -> tuple[list[np.ndarray], float]:
        return [surface.vertices[surface.vertices[:, 0] > 0.07]], surface.volume

    monkeypatch.setattr(mesh_file, "convex_parts", cut)
    with pytest.raises(ValueError, match=r"when it is cut into convex parts: give it"):
        load_solid(written(tmp_path, ell()))


@pytest.mark.parametrize("count", [3, 20])
def test_faces_turned_inside_out_are_turned_back(tmp_path: Path, count: int) -> None:
    mesh = ell()
    faces = np.concatenate([mesh.faces[:count, ::-1], mesh.faces[count:]])
    path = written(tmp_path, vertices_of(mesh, faces=faces))
    assert volume(load_solid(path)) == pytest.approx(mesh.volume, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.obj", None, "no such file"),
        ("scan.pcd", "pcd", "an object is a file of .obj, .stl, .ply, .glb"),
        ("scan.ply", "ply", "cannot be read|the mesh is empty"),
        ("empty.obj", "", "the mesh is empty|cannot be read"),
        ("junk.stl", "solid nothing", "the mesh is empty|cannot be read"),
        ("junk.xml", "<mujoco", "XML parse error"),
        ("two.xml", TWO, "holds several objects that move: 'a', 'b'$"),
        (
            "plane.xml",
            '<mujoco><worldbody><body><geom size=".1"/><geom type="sdf"/>'
            "</body></worldbody></mujoco>",
            "plane.xml: ",
        ),
        (
            "none.xml",
            "<mujoco><worldbody><body><inertial mass='1' pos='0 0 0' "
            "diaginertia='1 1 1'/></body></worldbody></mujoco>",
            "1 to 500 geoms that collide, got 0",
        ),
    ],
)
def test_files_that_hold_no_object_are_refused(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_solid(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)

"""Objects in MJCF and URDF, written as other projects write them."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh

from tasks.objects.folder import objects_in
from tasks.objects.mesh_file import load_solid, load_solids
from tasks.objects.solids import Solid, mass_properties, parse_solid, volume

BOX = '<geom type="box" size=".03 .02 .04"/>'
HELD = 8 * 0.03 * 0.02 * 0.04
FREE = f'<body name="o" pos="0 0 .04"><freejoint/>{BOX}</body>'


def model(body: str, before: str = "") -> str:
    return f"<mujoco>{before}<worldbody>{body}</worldbody></mujoco>"


def load(folder: Path, text: str, name: str = "object.xml") -> Solid:
    (folder / name).write_text(text)
    return load_solid(folder / name)


@pytest.mark.parametrize(
    "text",
    [
        model(f"<body><body pos='0 1 0'>{BOX}</body></body>"),
        model(BOX),
        model(f'<light pos="0 0 1"/><geom type="plane" size="1 1 .1"/>{FREE}'),
        model(f'<geom type="box" size="1 1 .1" pos="0 0 -.1"/>{FREE}'),
        model(f'{FREE}<body name="arm"><joint/><geom size=".1"/></body>'),
        model(
            "<body><joint type='slide' axis='1 0 0'/><joint/>"
            f"<joint type='slide' axis='0 1 0'/>{BOX}</body>"
        ),
        f"<mujocoinclude><body>{BOX}</body></mujocoinclude>",
        f"<body>{BOX}</body>",
        f"<mujocoinclude><asset/><worldbody>{FREE}</worldbody></mujocoinclude>",
    ],
    ids=[
        "nested", "world", "floor", "table", "scene", "planar", "part", "bare", "whole",
    ],
)  # fmt: skip
def test_one_rigid_body_is_found(tmp_path: Path, text: str) -> None:
    solid = load(tmp_path, text)
    np.testing.assert_allclose(np.ptp(solid.vertices, axis=0), [0.06, 0.04, 0.08])
    assert volume(solid) == pytest.approx(HELD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            model(f"<body>{BOX}<body name='lid'><joint name='h'/>{BOX}</body></body>"),
            r"articulated: joint 'h' \(hinge\) moves 'lid'; an object is one rigid",
        ),
        (model(f"<body name='door'><joint/>{BOX}</body>"), "articulated: .* 'door'"),
        (
            model(f"<body name='a'>{BOX}</body><body name='b'>{BOX}</body>"),
            "holds several objects: 'a', 'b'",
        ),
        (
            model("<body><geom type='mesh' mesh='m'/></body>",
                  "<asset><mesh name='m' file='gone.stl'/></asset>"),
            "Error opening file 'gone.stl'",
        ),
    ],
)  # fmt: skip
def test_what_is_not_one_rigid_body_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_bodies_are_fused_with_their_mass_and_any_number_of_geoms(
    tmp_path: Path,
) -> None:
    """A stack of ten turned boxes, the upper half of it heavy and a body of its own."""
    boxes = [
        f'<geom type="box" size=".03 .02 .005" pos="0 0 {0.01 * i}" density="{d}"/>'
        for i, d in enumerate([500] * 5 + [3000] * 5)
    ]
    low, high = "".join(boxes[:5]), "".join(boxes[5:])
    text = model(
        f'<body pos="1 2 3" euler="0 0 30"><freejoint/>{low}'
        f'<body name="top" pos=".01 0 0" euler="0 0 20">{high}</body></body>'
    )
    solid = load(tmp_path, text)
    assert len(solid.parts) <= 4
    assert volume(solid) == pytest.approx(10 * 0.06 * 0.04 * 0.01, rel=1e-6)
    spec = mujoco.MjSpec.from_string(text)
    spec.compiler.fusestatic = True
    fused = spec.compile()
    m = mass_properties(solid, mass=float(fused.body_mass[1]))
    np.testing.assert_allclose(m.inertia, fused.body_inertia[1], rtol=1e-6)
    assert m.com[2] == pytest.approx(fused.body_ipos[1, 2] + 0.005, abs=1e-6)


def test_what_touches_nothing_is_drawn_and_a_stated_inertia_holds(
    tmp_path: Path,
) -> None:
    text = model(
        '<body><inertial pos=".01 0 0" mass=".3" diaginertia="1e-4 2e-4 2.5e-4"/>'
        f"{BOX}<geom type='sphere' size='.1' contype='0' conaffinity='0' "
        "rgba='.2 .4 .6 1'/></body>"
    )
    solid = load(tmp_path, text)
    assert len(solid.parts) == 1
    m = mass_properties(solid, mass=0.3)
    np.testing.assert_allclose(m.com, [0.01, 0, 0.04], atol=1e-9)
    np.testing.assert_allclose(m.inertia, [2.5e-4, 2e-4, 1e-4])
    [visual] = solid.visual
    np.testing.assert_allclose(visual.rgba, [0.2, 0.4, 0.6, 1], atol=1e-6)
    assert np.ptp(visual.vertices[:, 2]) == pytest.approx(0.2, rel=0.02)
    again = parse_solid(solid.to_json())
    np.testing.assert_array_equal(again.visual[0].vertices, visual.vertices)
    assert again.visual[0].rgba == visual.rgba


def test_overlapping_geoms_hold_what_their_union_does(tmp_path: Path) -> None:
    cross = '<geom type="box" size=".05 .01 .01"/><geom type="box" size=".01 .05 .01"/>'
    solid = load(tmp_path, model(f"<body>{cross}</body>"))
    assert volume(solid) == pytest.approx((2 * 5 - 1) * 0.02**3, rel=1e-6)


def test_a_fragment_is_read_with_what_lies_beside_it(tmp_path: Path) -> None:
    """Defaults and meshes come from another file, by paths of a folder above."""
    parts = tmp_path / "objects" / "parts"
    parts.mkdir(parents=True)
    (tmp_path / "meshes").mkdir()
    trimesh.creation.box(extents=(0.06, 0.04, 0.08)).export(tmp_path / "meshes/m.stl")
    (parts / "cup_needs.xml").write_text(
        "<mujocoinclude><asset><mesh name='m' file='../meshes/m.stl'/></asset><default>"
        "<default class='cup'><geom type='mesh' contype='0' conaffinity='0'/>"
        "</default></default></mujocoinclude>"
    )
    (parts / "other.xml").write_text(
        "<mujocoinclude><default><default class='pan'/></default></mujocoinclude>"
    )
    text = f"<mujocoinclude><body childclass='cup'><geom mesh='m'/>{BOX}</body>"
    solid = load(parts, f"{text}</mujocoinclude>".replace("type", "contype='1' type"))
    assert volume(solid) == pytest.approx(HELD, rel=1e-6)
    assert len(solid.visual[0].faces) == 12


LINK = """<robot name="b"><link name="l">{}
<visual><geometry><mesh filename="package://p/seen/m.stl" scale="2 2 2"/></geometry>
<material name="red"><color rgba="1 0 0 1"/></material></visual>
<collision><geometry><mesh filename="package://p/touching/m.glb"/></geometry></collision>
</link></robot>"""


def test_a_urdf_finds_meshes_of_one_name_in_several_folders(tmp_path: Path) -> None:
    for folder, side in (("seen", 0.02), ("touching", 0.05)):
        (tmp_path / "p" / folder).mkdir(parents=True)
        box = trimesh.creation.box(extents=(side, side, side))
        box.export(tmp_path / "p" / folder / f"m.{'stl' if side < 0.04 else 'glb'}")
    (tmp_path / "p" / "urdf").mkdir()
    solid = load(tmp_path / "p" / "urdf", LINK.format(""), "o.urdf")
    assert volume(solid) == pytest.approx(0.05**3, rel=1e-6)
    [visual] = solid.visual
    assert visual.rgba == (1, 0, 0, 1)
    np.testing.assert_allclose(np.ptp(visual.vertices, axis=0), 0.04, rtol=1e-6)


@pytest.mark.parametrize(
    "inertial",
    [
        "<inertial/>",
        '<mass value="0"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>',
        '<mass value=".1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>',
        '<mass value=".1"/><inertia ixx="1" iyy="1" izz="9" ixy="0" ixz="0" iyz="0"/>',
    ],
)
def test_an_impossible_inertia_is_that_of_the_shape(
    tmp_path: Path, inertial: str
) -> None:
    text = f'<robot name="b"><link name="l"><inertial>{inertial}</inertial><collision>'
    text += '<geometry><box size=".06 .04 .08"/></geometry></collision></link></robot>'
    with pytest.warns(UserWarning, match=r"o\.urdf: mass and inertia .* shape decides"):
        solid = load(tmp_path, text.replace("<inertial/>", ""), "o.urdf")
    expected = np.array([0.06**2 + 0.08**2, 0.04**2 + 0.08**2, 0.06**2 + 0.04**2]) / 12
    np.testing.assert_allclose(mass_properties(solid, mass=1.0).inertia, expected)


def test_a_folder_holds_objects_once_and_not_their_meshes(tmp_path: Path) -> None:
    box = trimesh.creation.box(extents=(0.06, 0.04, 0.08))
    box.export(tmp_path / "m.stl")
    for name in ("a.obj", "b.obj"):
        trimesh.creation.box(extents=(0.05, 0.04, 0.03)).export(tmp_path / name)
    mesh = "<asset><mesh name='m' file='m.stl'/></asset>"
    (tmp_path / "z.xml").write_text(
        model("<body><geom type='mesh' mesh='m'/></body>", mesh)
    )
    solids = load_solids(tmp_path)
    assert [s.name.partition("#")[0] for s in solids] == ["a.obj", "z.xml"]
    (tmp_path / "c.stl").write_text("solid nothing")
    with pytest.raises(ValueError, match=r"c\.stl: "):
        load_solids(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: the folder holds no file of \.obj"):
        load_solids(tmp_path / "empty")


@pytest.mark.parametrize(
    ("up", "sides"), [("x", (80, 40, 60)), ("y", (60, 80, 40)), ("z", (60, 40, 80))]
)
def test_scale_and_up(tmp_path: Path, up: str, sides: tuple[float, ...]) -> None:
    """A box with a heavy end: the axis that is up is that of the file."""
    text = model(
        '<body><geom type="box" size="30 20 40"/>'
        '<geom type="box" size="1 1 1" pos="20 0 0" density="1e6"/></body>'
    )
    path = tmp_path / "mm.xml"
    path.write_text(text)
    solid = load_solid(path, scale=0.001, up=up)
    np.testing.assert_allclose(np.ptp(solid.vertices, axis=0), np.array(sides) / 1000)
    com = mass_properties(solid, mass=1.0).com - [0, 0, sides[2] / 2000]
    expected = {"x": (0, 0, 1), "y": (1, 0, 0), "z": (1, 0, 0)}[up]
    np.testing.assert_allclose(com / np.linalg.norm(com), expected, atol=1e-6)
    assert volume(solid) == pytest.approx(HELD, rel=1e-6)
    with pytest.raises(ValueError, match=r"80 m long; .*\(in millimetres\? --scale"):
        load_solid(path)
    with pytest.raises(ValueError, match="scale is a positive number and up is one of"):
        load_solid(path, scale=0.0)


def test_vertices_of_no_face_are_no_part_of_a_geom(tmp_path: Path) -> None:
    box = trimesh.creation.box(extents=(0.06, 0.04, 0.08))
    (tmp_path / "m.obj").write_text(f"{box.export(file_type='obj')}\nv 0.2 0 0\n")
    mesh = "<asset><mesh name='m' file='m.obj'/></asset>"
    solid = load(tmp_path, model("<body><geom type='mesh' mesh='m'/></body>", mesh))
    assert volume(solid) == pytest.approx(HELD, rel=1e-6)


def bracket(path: Path) -> None:
    """Write a closed L-shaped mesh, far from its hull."""
    outline = [(0, 0), (8, 0), (8, 3), (3, 3), (3, 8), (0, 8)]
    corners = [(x / 100, y / 100, z) for z in (0.0, 0.04) for x, y in outline]
    caps = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)]
    faces = [face[::-1] for face in caps] + [tuple(6 + i for i in f) for f in caps]
    for i in range(6):
        j = (i + 1) % 6
        faces += [(i, j, j + 6), (i, j + 6, i + 6)]
    trimesh.Trimesh(corners, faces, process=False).export(path)


MESH = "<asset><mesh name='m' file='m.obj'/></asset>"
MESH_MODELS = {
    "o.xml": model("<body><geom type='mesh' mesh='m'/></body>", MESH),
    "world.xml": model("<geom type='mesh' mesh='m'/>", MESH),
    "o.urdf": '<robot name="b"><link name="l"><collision><geometry>'
    '<mesh filename="m.obj"/></geometry></collision></link></robot>',
}


@pytest.mark.filterwarnings("ignore:.*convex parts hold")
@pytest.mark.parametrize(
    ("name", "inside_out"), [*((name, False) for name in MESH_MODELS), ("o.xml", True)]
)
def test_a_concave_mesh_of_a_model_is_what_it_is_as_a_file(
    tmp_path: Path, name: str, inside_out: bool
) -> None:
    bracket(tmp_path / "m.obj")
    if inside_out:
        mesh = trimesh.load_mesh(tmp_path / "m.obj", process=False)
        mesh.faces = mesh.faces[:, ::-1]
        mesh.export(tmp_path / "m.obj")
    alone = load_solid(tmp_path / "m.obj")
    solid = load(tmp_path, MESH_MODELS[name], name)
    assert volume(solid) == pytest.approx((8 * 3 + 3 * 5) * 4e-6, rel=1e-5)
    assert len(solid.parts) == len(alone.parts) > 1
    mine, its = (mass_properties(s, mass=1.0) for s in (solid, alone))
    np.testing.assert_allclose(mine.inertia, its.inertia, rtol=1e-4)
    np.testing.assert_allclose(mine.com, its.com, atol=1e-6)


def test_a_concave_mesh_has_the_density_of_its_geom(tmp_path: Path) -> None:
    """The mesh is twice as dense as the box that stands on its corner."""
    bracket(tmp_path / "m.obj")
    box = "<geom type='box' size='.015 .015 .02' pos='.015 .015 .06'/>"
    mesh = "<geom type='mesh' mesh='m' density='2000'/>"
    solid = load(tmp_path, model(f"<body>{mesh}{box}</body>", MESH))
    held = np.array([24 * 4, 15 * 4, 9 * 4]) * 1e-6
    assert volume(solid) == pytest.approx(held.sum(), rel=1e-5)
    masses, heights = held * [2000, 2000, 1000], [0.02, 0.02, 0.06]
    expected = masses @ heights / masses.sum()
    com = mass_properties(solid, mass=1.0).com
    assert com[2] == pytest.approx(expected, abs=1e-6)


def test_convex_shells_of_a_mesh_are_pieces_and_an_open_one_is_its_hull(
    tmp_path: Path,
) -> None:
    boxes = [trimesh.creation.box(extents=(0.05, 0.04, 0.02)) for _ in range(2)]
    boxes[1].apply_translation((0.02, 0, 0.02))
    both = trimesh.util.concatenate(boxes)
    both.export(tmp_path / "m.obj")
    solid = load(tmp_path, MESH_MODELS["o.xml"])
    assert len(solid.parts) == 2
    assert volume(solid) == pytest.approx(2 * 0.05 * 0.04 * 0.02, rel=1e-5)
    bracket(tmp_path / "m.obj")
    closed = trimesh.load_mesh(tmp_path / "m.obj", process=False)
    trimesh.Trimesh(closed.vertices, closed.faces[1:]).export(tmp_path / "m.obj")
    with pytest.warns(UserWarning, match="mesh 'm' counts as its convex hull: .* open"):
        solid = load(tmp_path, MESH_MODELS["o.xml"])
    assert volume(solid) == pytest.approx((64 - 12.5) * 4e-6, rel=1e-5)


def test_all_objects_of_an_obj_collide_in_a_urdf(tmp_path: Path) -> None:
    """MuJoCo itself would read the first alone."""
    text, count = "", 0
    for name, x in (("a", 0.0), ("b", 0.05), ("c", 0.1)):
        box = trimesh.creation.box(extents=(0.05, 0.04, 0.02 + x / 2))
        box.apply_translation((x, 0, x / 4))
        text += f"o {name}\n" + "".join(f"v {x} {y} {z}\n" for x, y, z in box.vertices)
        faces = box.faces + 1 + count
        text += "".join(f"f {a} {b} {c}\n" for a, b, c in faces)
        count += len(box.vertices)
    (tmp_path / "m.obj").write_text(text)
    solid = load(tmp_path, MESH_MODELS["o.urdf"], "o.urdf")
    assert len(solid.parts) == 3
    held = 0.05 * 0.04 * np.array([0.02, 0.045, 0.07])
    assert volume(solid) == pytest.approx(held.sum(), rel=1e-5)


def test_what_stands_in_the_world_has_no_say_in_the_mass(tmp_path: Path) -> None:
    """Not even a mesh whose mass MuJoCo cannot tell, as it is inside out."""
    bracket(tmp_path / "m.obj")
    mesh = trimesh.load_mesh(tmp_path / "m.obj", process=False)
    trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1]).export(tmp_path / "m.obj")
    heavy = '<geom type="box" size=".01 .01 .01" pos=".02 0 .05" density="9000"/>'
    floor = "<geom type='mesh' mesh='m' pos='0 0 -1'/>"
    for other in ("", floor):
        text = model(f"{other}<body><freejoint/>{BOX}{heavy}</body>", MESH)
        solid = load(tmp_path, text)
        com = mass_properties(solid, mass=1.0).com
        assert com[0] == pytest.approx(0.02 * 72 / (72 + 192), abs=1e-6)


def test_a_mesh_of_many_vertices_in_a_model_holds_all_that_it_does(
    tmp_path: Path,
) -> None:
    """Its part has 60 vertices and holds less, of which a warning tells."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.03)
    ball.vertices = np.maximum(ball.vertices, [-1, -1, -0.027])
    ball.export(tmp_path / "m.obj")
    for name, text in MESH_MODELS.items():
        with pytest.warns(UserWarning, match=r"1 convex parts hold \d+% less than"):
            solid = load(tmp_path, text, name)
        assert volume(solid) == pytest.approx(ball.volume, rel=1e-4)
        [part] = solid.parts
        sides = np.ptp(part.vertices, axis=0)
        np.testing.assert_allclose(sides, ball.extents, rtol=1e-5)


def test_a_dent_in_a_mesh_of_a_model_is_left_out_of_its_mass(tmp_path: Path) -> None:
    """One of 3 % of the volume, which its part fills."""
    mesh = trimesh.creation.box(extents=(0.06, 0.04, 0.05))
    faces = mesh.faces.tolist()
    top = [f for f in faces if np.all(mesh.vertices[f, 2] > 0)]
    rim = [(a, b) for f in top for a, b in zip(f, f[1:] + f[:1], strict=True)]
    rim = [(a, b) for a, b in rim if (b, a) not in rim]
    dented = [f for f in faces if f not in top] + [[a, b, 8] for a, b in rim]
    depth = 3 * 0.03 * 0.05
    vertices = [*mesh.vertices, (0, 0, 0.025 - depth)]
    dent = trimesh.Trimesh(vertices, dented, process=False)
    assert dent.volume == pytest.approx(0.97 * mesh.volume)
    dent.export(tmp_path / "m.obj")
    for name, text in MESH_MODELS.items():
        solid = load(tmp_path, text, name)
        assert volume(solid) == pytest.approx(dent.volume, rel=1e-5)
        assert len(solid.parts) == 1
        mine = mass_properties(solid, mass=1.0)
        expected = np.linalg.eigvalsh(dent.moment_inertia / dent.volume)[::-1]
        np.testing.assert_allclose(mine.inertia, expected, rtol=1e-4)


def test_only_the_files_that_a_model_names_are_left_out(tmp_path: Path) -> None:
    """Not others of that name, nor what is named in a comment."""
    for folder in ("meshes", "urdf"):
        (tmp_path / folder).mkdir()
    sides = {"cup.obj": 3, "meshes/cup.obj": 4, "plate.stl": 5, "lid.stl": 6}
    sides |= {"named.stl": 7, "urdf/packed.stl": 8}
    for i, (name, side) in enumerate(sides.items()):
        box = trimesh.creation.box(extents=(side / 100, 0.04, 0.03 + i / 1000))
        box.export(tmp_path / name)
    body = "<body><geom type='mesh' mesh='m'/></body>"
    mesh = "<asset><mesh name='m' file='{}'/></asset>".format
    (tmp_path / "a.xml").write_text(model(body, mesh("meshes/cup.obj")))
    there = f"<compiler meshdir='meshes'/>{mesh('cup.obj')}"
    (tmp_path / "b.xml").write_text(
        model(f"<!-- file='plate.stl' -->{BOX}{body}", there)
    )
    (tmp_path / "c.xml").write_text(model(body, mesh("named.stl")))
    urdf = LINK.format("").replace("p/seen/m.stl", f"{tmp_path.name}/lid.stl")
    (tmp_path / "d.urdf").write_text(urdf)
    assert [path.name for path in objects_in(tmp_path)] == [
        "a.xml", "b.xml", "c.xml", "cup.obj", "d.urdf", "plate.stl",
    ]  # fmt: skip

"""Several objects of a user's as one task set, with unseen ones held out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from jaxtyping import Float

from meta.recording.replay import verify
from meta.recording.taping import record
from meta.recording.trajectory import load_recording
from meta.training.trained import load_trained
from pliant.cli.main import main
from tasks.env import Env
from tasks.manipulation.strike import Strike
from tasks.objects.generator import make_solid
from tasks.objects.object_set import ObjectSet, divided, load_objects, parse_set
from tasks.objects.solids import Part, Solid
from tasks.registry import make_family

KINDS = ("box", "ell", "tee", "mug", "cross", "hull", "wedge")
FLAT = [make_solid(kind, 1, flat=True) for kind in KINDS]


def write(folder: Path, name: str, half: float) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.xml").write_text(
        f'<mujoco><worldbody><body><geom type="box" size="{half} .04 .02"/>'
        "</body></worldbody></mujoco>"
    )


def box(x: float, y: float, z: float, low: float = 0.0) -> Float[np.ndarray, "8 3"]:
    corners = np.array(list(np.ndindex(2, 2, 2))) - [0.5, 0.5, 0.0]
    return corners * [x, y, z] + [0, 0, low]


def test_a_fifth_is_unseen_in_whatever_order() -> None:
    one = divided(FLAT)
    assert (len(one.seen), len(one.unseen)) == (6, 1)
    other = divided(FLAT[::-1])
    assert {s.name for s in other.unseen} == {s.name for s in one.unseen}
    assert [len(divided(FLAT[:n]).unseen) for n in (1, 2, 5)] == [0, 1, 1]


def test_the_unseen_object_is_the_same_whatever_files_are_called_and_of_what_kind(
    tmp_path: Path,
) -> None:
    sides = [(0.05, 0.04, z / 1000) for z in range(30, 35)]
    unseen: list[list[float]] = []
    for folder, order, suffix in (("a", 1, "obj"), ("b", -1, "stl"), ("c", 1, "xml")):
        (tmp_path / folder).mkdir()
        for i, size in enumerate(sides[::order]):
            path = tmp_path / folder / f"{i}.{suffix}"
            half = " ".join(str(s / 2) for s in size)
            if suffix == "xml":
                geom = f"<geom type='box' size='{half}'/>"
                path.write_text(f"<mujoco><worldbody>{geom}</worldbody></mujoco>")
            else:
                trimesh.creation.box(extents=size).export(path)
        [solid] = load_objects(tmp_path / folder).unseen
        unseen.append(np.ptp(solid.vertices, axis=0).round(4).tolist())
    assert unseen[0] == unseen[1] == unseen[2]


def test_of_one_body_upright_and_turned_over_the_same_is_unseen() -> None:
    foot = [Part(slab) for slab in (box(0.06, 0.06, 0.02), box(0.02, 0.04, 0.05, 0.02))]
    head = [Part(slab) for slab in (box(0.06, 0.06, 0.02, 0.05), box(0.02, 0.04, 0.05))]
    names = ("a#1", "b#2")
    for first, second in (names, names[::-1]):
        solids = [Solid(first, tuple(foot)), Solid(second, tuple(head))]
        for given in (solids, solids[::-1]):
            assert divided(given).unseen[0].name == first


def test_a_folder_says_itself_what_is_unseen(tmp_path: Path) -> None:
    for i, name in enumerate("ab"):
        write(tmp_path / "train", name, 0.04 + 0.002 * i)
    write(tmp_path / "unseen", "z", 0.06)
    objects = load_objects(tmp_path)
    assert [s.name[0] for s in objects.seen] == ["a", "b"]
    assert [s.name[0] for s in objects.unseen] == ["z"]
    assert objects.name == "3 objects, 1 of them unseen"
    (tmp_path / "unseen" / "z.xml").write_bytes(
        (tmp_path / "train" / "a.xml").read_bytes()
    )
    with pytest.raises(ValueError, match=r"the same as a\.xml#\w+ and z\.xml#\w+"):
        load_objects(tmp_path)
    flat = load_objects(tmp_path / "train")
    assert (len(flat.seen), len(flat.unseen)) == (1, 1)


@pytest.mark.parametrize("name", ["push", "strike"])
def test_tasks_name_their_object_and_splits_share_none(name: str) -> None:
    family = make_family(name, objects=FLAT)
    drawn = {
        split: {t.parameters["shape"] for t in family.sample(split, 0, 60)}
        for split in family.splits
    }
    unseen = {s.name for s in divided(FLAT).unseen}
    assert drawn["unseen"] == unseen
    for split in set(drawn) - {"unseen"}:
        assert drawn[split] == {s.name for s in FLAT} - unseen
    task = family.sample("unseen", 0, 1)[0]
    assert family.parse(task.to_json()) == task
    # features of the size and shape that shipped oracles were trained on
    oracle = load_trained(f"shipped:{name}-oracle")
    env = Env(family, worlds=8, oracle=True, threads=1)
    env.assign(family.sample("held-out", 0, 8))
    obs = env.reset(torch.Generator().manual_seed(0))
    assert oracle.begin(8).act(obs).mean.shape == (8, family.action_dim)
    assert obs[:, family.obs_dim :].abs().max() < 4
    assert not env.step(torch.zeros(8, family.action_dim)).fault.any()


def test_each_object_of_a_set_moves_as_it_does_alone() -> None:
    together = make_family("strike", objects=FLAT[:3])
    for solid in FLAT[:3]:
        alone = make_family("strike", objects=solid)
        tasks = alone.sample("held-out", 0, 2)
        seen: list[torch.Tensor] = []
        for family in (alone, together):
            env = Env(family, worlds=2, oracle=True, threads=1)
            env.assign(tasks)
            first = env.reset(torch.Generator().manual_seed(0))
            steps = [env.step(torch.full((2, 2), 0.5)).obs for _ in range(6)]
            seen.append(torch.stack([first, *steps]))
        torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=0)


def test_the_size_of_an_object_is_told_as_strikes_own_parameter() -> None:
    family, plain = make_family("strike", objects=FLAT), Strike()
    values = family.values(family.sample("held-out", 0, 30))
    revealed = family.reveal(values)
    sizes = torch.tensor(
        [
            (s.vertices[:, 1].max() - s.vertices[:, 1].min()) / 2
            for s in (*divided(FLAT).seen, *divided(FLAT).unseen)
        ],
        dtype=torch.float32,
    )[values["shape"].long()]
    place = [p.name for p in plain.hidden].index("size")
    [size] = (p for p in plain.hidden if p.name == "size")
    assert sum(p.width for p in family.hidden) == sum(p.width for p in plain.hidden)
    torch.testing.assert_close(revealed[:, place], size.encode(sizes)[:, 0])


def test_a_recording_keeps_the_whole_set(tmp_path: Path) -> None:
    made = record(
        load_trained("shipped:strike"), split="unseen", adapt_episodes=1, objects=FLAT
    )
    made.save(tmp_path / "set.npz")
    again = load_recording(tmp_path / "set.npz")
    assert again.objects is not None
    assert again.objects.by_name.keys() == {s.name for s in FLAT}
    assert again.task.parameters["shape"] == divided(FLAT).unseen[0].name
    assert verify(again) == 0


def test_a_set_survives_its_json_and_one_object_is_read_as_it_was_kept() -> None:
    objects = ObjectSet(tuple(FLAT[:2]), (FLAT[2],))
    again = parse_set(json.loads(json.dumps(objects.to_json())))
    assert [s.name for s in again.seen] == [s.name for s in objects.seen]
    assert [s.name for s in again.unseen] == [FLAT[2].name]
    assert parse_set(FLAT[0].to_json()).seen[0].name == FLAT[0].name
    for wrong in (3, [], ["a"], [[], []], {"seen": []}):
        with pytest.raises(ValueError, match=r"no set of objects|got none"):
            parse_set(wrong)


def test_a_folder_is_evaluated_and_the_misfit_is_named_before_it_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.objects import mesh_file

    for i, name in enumerate("ab"):
        write(tmp_path / "own", name, 0.04 + 0.002 * i)
    options = ["--object", str(tmp_path / "own"), "--tasks", "2", "--episodes", "0"]
    out = tmp_path / "out.json"
    options += ["--alone", "--threads", "1", "--json", str(out)]
    assert main(["evaluate", "shipped:strike-dr", *options]) == 0
    found = json.loads(out.read_text())
    assert found["object"] == "2 objects, 1 of them unseen"
    assert [name[0] for name in sorted(found["foreign"])] == ["a", "b"]
    assert "no policy was trained on these objects" in " ".join(
        capsys.readouterr().out.split()
    )

    def cut(*_: object) -> None:
        raise AssertionError("cut into parts")

    write(tmp_path / "own", "long", 0.2)
    write(tmp_path / "own", "slender", 0.03)
    slender = tmp_path / "own" / "slender.xml"
    slender.write_text(slender.read_text().replace(".04 .02", ".02 .06"))
    monkeypatch.setattr(mesh_file, "convex_parts", cut)
    only = ["--object", str(slender)]
    assert main(["evaluate", "shipped:strike-dr", *options[2:], *only]) == 2
    said = capsys.readouterr().err
    assert "topples on a slope of 18.4 degrees (strike handles what stands" in said
    only = ["--object", str(tmp_path / "own" / "long.xml")]
    assert main(["evaluate", "shipped:strike-dr", *options[2:], *only]) == 2
    said = capsys.readouterr().err
    assert "is 40 cm long along x (strike handles 3 to 20 cm)" in said
    assert said.count("\n") == 1
    assert main(["record", "shipped:insert", *only]) == 2
    assert "'insert' takes no object of your own; " in capsys.readouterr().err


def test_one_object_in_several_files_counts_once(tmp_path: Path) -> None:
    box = trimesh.creation.box(extents=(0.05, 0.04, 0.03))
    other = trimesh.creation.box(extents=(0.05, 0.04, 0.031))
    for part in ("train", "unseen"):
        (tmp_path / part).mkdir()
    for name in ("a.obj", "b.stl", "c.ply"):
        box.export(tmp_path / "train" / name)
    text = (tmp_path / "train" / "a.obj").read_text()
    (tmp_path / "train" / "d.obj").write_text(f"# saved again\n{text}")
    other.export(tmp_path / "train" / "e.stl")
    objects = load_objects(tmp_path / "train")
    assert sorted(s.name[:5] for s in objects.all) == ["a.obj", "e.stl"]
    box.apply_translation((0, 0, 1))
    box.export(tmp_path / "unseen" / "z.stl")
    with pytest.raises(ValueError, match=r"the same as a\.obj#\w+ and z\.stl#\w+"):
        load_objects(tmp_path)


def test_what_stands_or_weighs_otherwise_is_another_object(tmp_path: Path) -> None:
    """A tee on its foot and on its head, one that is mirrored, and a heavy foot."""
    foot, post = "size='.03 .03 .01'", "size='.01 .02 .03'"
    for name, place, density in (
        ("foot", ".01 0 .04", 1000),
        ("head", ".01 0 -.04", 1000),
        ("mirrored", "-.01 0 .04", 1000),
        ("heavy", ".01 0 .04", 1100),
    ):
        (tmp_path / f"{name}.xml").write_text(
            f"<mujoco><worldbody><body><geom type='box' {foot}/><geom type='box' "
            f"{post} pos='{place}' density='{density}'/></body></worldbody></mujoco>"
        )
    assert len(load_objects(tmp_path).all) == 4

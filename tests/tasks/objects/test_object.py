"""A user's object in place of a family's own, and `pliant objects`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from PIL import Image

from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.recording.replay import verify
from meta.recording.taping import record
from meta.recording.trajectory import load_recording
from meta.training.trained import load_trained
from pliant.cli.main import main
from tasks.env import Env
from tasks.family import Family
from tasks.manipulation.grasp import Grasp
from tasks.manipulation.push import Push
from tasks.manipulation.strike import Strike
from tasks.objects import shapes
from tasks.objects.generator import make_solid
from tasks.objects.polyhedra import loft
from tasks.objects.solids import Part, Solid, parse_solid, placed
from tasks.parameters import Scalar, Scaled
from tasks.registry import make_family
from tasks.simulators import probe_pools

SIZE = 0.05


def as_solid(name: str) -> Solid:
    """A shape of boxes that only touch, as a user would bring it."""
    parts: list[Part] = []
    for p in shapes.SHAPES[name]:
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float)
        outline = SIZE * (signs * [p.half_x, p.half_y] + [p.x, p.y])
        parts.append(Part(loft([(outline, 0.0), (outline, 0.04)])))
    return placed(Solid(f"my-{name}", tuple(parts)))


@pytest.mark.parametrize("name", ["box", "ell", "tee"])
def test_an_object_like_a_shape_has_its_traits_size_and_inertia(name: str) -> None:
    solid = as_solid(name)
    struck = shapes.in_strike_frame(solid)
    assert shapes.size_of(struck) == pytest.approx(SIZE)
    np.testing.assert_allclose(
        shapes.traits_of(struck), shapes.traits()[name], atol=1e-9
    )
    family, plain = make_family("strike", objects=solid), Strike()
    values = {
        "friction": torch.tensor([0.1]),
        "mass": torch.tensor([0.4]),
        "insert_y": torch.tensor([0.02]),
        "size": torch.tensor([SIZE]),
        "shape": torch.tensor([0.0]),
    }
    mine = family.model_fields(values)
    index = float(list(shapes.SHAPES).index(name))
    theirs = plain.model_fields(values | {"shape": torch.tensor([index])})

    def of(fields: Mapping[str, torch.Tensor], family: Family, name: str):
        return fields[name][0, family.model.body("object").id]

    for field in ("body_mass", "body_ipos"):
        a, b = of(mine, family, field), of(theirs, plain, field)
        torch.testing.assert_close(a, b, atol=1e-7, rtol=0)
    # about the vertical; the insert, a point here, is as high as the solid there
    a, b = (
        of(*pair, "body_inertia").max() for pair in ((mine, family), (theirs, plain))
    )
    assert a.item() == pytest.approx(b.item(), rel=1e-6)


def test_only_the_shape_is_fixed() -> None:
    family = make_family("strike", objects=make_solid("mug", 1, flat=True))
    tasks = family.sample("extrapolation", 0, 20)
    assert "size" not in tasks[0].parameters  # it is the shape's
    for name, count in (("shape", 1), ("mass", 20), ("friction", 20)):
        assert len({task.parameters[name] for task in tasks}) == count
    assert tasks[0].parameters["shape"] == "mug-1"
    again = family.parse(tasks[0].to_json())
    assert again == replace(tasks[0], parameters=dict(tasks[0].parameters))
    with pytest.raises(ValueError, match="one of mug-1, got 'box'"):
        family.parse(
            replace(
                tasks[0], parameters={**tasks[0].parameters, "shape": "box"}
            ).to_json()
        )


def test_a_scaled_parameter_is_drawn_closer_and_encoded_as_it_was() -> None:
    of = Scalar(name="insert_y", unit="m", low=-2.0, high=2.0, beyond=((2.0, 3.0),))
    scaled = Scaled(of=of, factor=0.5)
    assert (scaled.name, scaled.hidden, scaled.width) == ("insert_y", True, 1)
    assert of.furthest == 3.0
    rng = np.random.default_rng(0)
    drawn = [scaled.sample("extrapolation", rng) for _ in range(100)]
    assert 1.0 <= min(drawn) < 1.1 < 1.4 < max(drawn) <= 1.5
    assert scaled.encode(torch.tensor([1.0])).item() == 0.5
    with pytest.raises(ValueError, match=r"'insert_y' takes a finite number \[m\]"):
        scaled.check("far")


def test_an_object_is_struck_at_the_origin_of_its_body() -> None:
    solid = make_solid("mug", 1, flat=True)
    env = Env(make_family("strike", objects=solid), worlds=2, oracle=True, threads=1)
    env.assign(env.family.sample("train", 0, 2))
    obs = env.reset(torch.Generator().manual_seed(0))
    assert obs.dtype == torch.float32
    assert obs.shape == (2, Env(Strike(), worlds=1, oracle=True).obs_dim)
    model = env.sim.model
    corners = []
    for i in range(len(solid.parts)):
        geom, mesh = model.geom(f"object_{i}"), model.mesh(f"mug-1:{i}")
        start, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, geom.quat)
        vertices = model.mesh_vert[start : start + count]
        corners.append(vertices @ turn.reshape(3, 3).T + geom.pos)
    low = np.concatenate(corners).min(0)
    assert low[0] == pytest.approx(0, abs=1e-7)
    assert low[2] == pytest.approx(-shapes.HALF_HEIGHT, abs=1e-7)
    for _ in range(env.horizon):
        assert not env.step(torch.tensor([[0.6, 0.0]] * 2)).fault.any()
    assert (env._now.readings.qpos[:, 8] > 0.1).all()


def test_pools_are_probed_with_the_object() -> None:
    mug = make_family("strike", objects=make_solid("mug", 1, flat=True))
    assert probe_pools(mug) != probe_pools(Strike())


def test_families_without_an_object_refuse_one() -> None:
    with pytest.raises(
        ValueError, match="'reach-rotated' handles no object that box-0 could replace"
    ):
        make_family("reach-rotated", objects=make_solid("box", 0))
    for name in ("insert", "open", "cheetah-direction"):
        assert not hasattr(make_family(name), "objects")
        with pytest.raises(ValueError, match=f"'{name}' handles no object"):
            make_family(name, objects=make_solid("box", 0))
    with pytest.raises(ValueError, match="unknown family 'juggle'"):
        make_family("juggle", objects=make_solid("box", 0))


def test_a_policy_is_measured_on_the_object() -> None:
    solid = make_solid("mug", 1, flat=True)
    drawn = make_family("strike", objects=solid).sample("held-out", 0, 6)
    cfg = EvaluationCfg(measure_episodes=2, episodes=(0,), threads=1, objects=solid)
    bench = Bench(drawn, cfg)
    trained = load_trained("shipped:strike-oracle")
    [row] = bench.curve(trained, (0,), Ledger())
    assert row.returns.std() > 0


def test_a_solid_survives_its_json() -> None:
    solid = as_solid("ell")
    again = parse_solid(replace(solid, exact=solid.uniform).to_json())
    np.testing.assert_array_equal(again.vertices, solid.vertices)
    assert again.moments.mass == solid.moments.mass
    with pytest.raises(ValueError, match="not a solid"):
        parse_solid("{}")


def test_a_recording_of_an_object_replays_bit_for_bit(tmp_path: Path) -> None:
    solid = make_solid("mug", 1, flat=True)
    made = record(load_trained("shipped:strike"), adapt_episodes=1, objects=solid)
    made.save(tmp_path / "mug.npz")
    again = load_recording(tmp_path / "mug.npz")
    assert again.objects is not None
    assert again.task.parameters["shape"] == "mug-1"
    assert verify(again) == 0


def test_objects_are_drawn_on_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = tmp_path / "tool.xml"
    tool.write_text(
        '<mujoco><worldbody><body><geom type="box" size=".02 .02 .1" '
        'rgba="0 .2 1 1"/></body></worldbody></mujoco>'
    )
    out = tmp_path / "sheet.png"
    options = ["--kinds", "mug", "box", "--count", "2", "--object", str(tool)]
    assert main(["objects", *options, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}: 5 objects\n"
    page = np.asarray(Image.open(out)).astype(int)
    # the tall box as in its file, and in the colour of a first part; both whole
    for left, colour in ((0, (2, 0)), (240, (0, 2))):
        picture = page[56:236, left : left + 240]
        high, low = (picture[:, :, channel] for channel in colour)
        seen = (high > 100) & (high > 1.8 * low)
        assert 0.03 < seen.mean() < 0.6
        rows = np.flatnonzero(seen.any(1))
        assert rows[0] > 5
        assert rows[-1] < 175


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["objects", "--kinds", "ball"], "unknown kind 'ball'; kinds: box"),
        (["objects", "--count", "0"], "--count must be at least 1, got 0"),
        (
            ["objects", "--out", "a.jpg"],
            "a.jpg: the name of this file must end in .png",
        ),
        (["objects", "--object", "gone.stl"], "gone.stl: no such file"),
        (
            ["evaluate", "shipped:strike", "--change", "step", "--object", "a.stl"],
            "--change is for the family's own tasks: leave out --object",
        ),
        (
            ["record", "shipped:strike", "--object", "gone.stl"],
            "gone.stl: no such file",
        ),
    ],
)
def test_commands_refuse_in_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("family", [Push, Grasp])
def test_a_solid_of_the_bank_moves_alike_when_it_is_brought(
    family: type[Push] | type[Grasp],
) -> None:
    solid = make_solid("mug", 0, flat=family is Push)
    own, brought = family(), family(objects=solid)
    tasks = own.sample("extrapolation", 0, 5)
    tasks = [replace(t, parameters={**t.parameters, "shape": "mug-0"}) for t in tasks]
    trajectories: list[torch.Tensor] = []
    for made in (own, brought):
        env = Env(made, worlds=5, threads=1)
        env.assign(tasks)
        seen = [env.reset(torch.Generator().manual_seed(0))]
        rng = torch.Generator().manual_seed(1)
        for _ in range(made.horizon):
            action = 2 * torch.rand(5, made.action_dim, generator=rng) - 1
            seen.append(env.step(action).obs)
        trajectories.append(torch.stack(seen))
        revealed = made.reveal(made.values(tasks))
        assert torch.equal(revealed, own.reveal(own.values(tasks)))
    torch.testing.assert_close(*trajectories, atol=1e-6, rtol=0)


def test_fingers_refuse_what_they_cannot_span() -> None:
    with pytest.raises(ValueError, match=r"mug-1 is \d+\.\d+ cm wide .* to 7.5 cm"):
        Grasp(objects=make_solid("mug", 1, flat=True))

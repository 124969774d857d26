"""Shapes against MuJoCo's own mass properties, and sliding against the textbook."""

import mujoco
import numpy as np
import pytest
import torch

from tasks.env import Env
from tasks.manipulation.strike import INSERT_SHARE, Strike
from tasks.objects import shapes
from tasks.parameters import Scalar
from tasks.task import Task

MASS, SIZE = 0.4, 0.05
NAMES = tuple(shapes.SHAPES)
DRAWN = ("tee-3", "cross-5", "dumbbell-7")
CHECKED = (*(name for name in NAMES if "-" not in name), *DRAWN)


def properties(name: str, insert_y: float, share: float) -> shapes.Inertia:
    index = torch.tensor([float(NAMES.index(name))])
    size, mass = torch.tensor([SIZE]), torch.tensor([MASS])
    return shapes.inertia(index, size, mass, torch.tensor([insert_y]), share)


def tensor_about_origin(p: shapes.Inertia) -> np.ndarray:
    """Inertia tensor about the body's origin, in the body's axes."""
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, p.iquat[0].numpy())
    r = rotation.reshape(3, 3)
    c = p.ipos[0].numpy()
    central = r @ np.diag(p.inertia[0].numpy()) @ r.T
    return central + p.mass.item() * (c @ c * np.eye(3) - np.outer(c, c))


def points_inside(name: str, count: int) -> np.ndarray:
    """Uniform random points of the solid, in the body's frame [m]."""
    rng = np.random.default_rng(0)
    p = rng.uniform(-1, 1, (count, 3)) * [1.1 * SIZE, 1.1 * SIZE, shapes.HALF_HEIGHT]
    inside = np.zeros(count, dtype=bool)
    for part in shapes.SHAPES[name]:
        if part.density < 0:
            continue
        x, y = (p[:, :2] / SIZE - [part.x, part.y]).T
        if "disc" in part.slot:
            inside |= np.hypot(x, y) < part.half_x
        else:
            inside |= (np.abs(x) < part.half_x) & (np.abs(y) < part.half_y)
    near = SIZE * max(part.half_x - part.x for part in shapes.SHAPES[name])
    return p[inside] + [near, 0, 0]


@pytest.mark.parametrize("name", CHECKED)
def test_uniform_solid_has_the_inertia_of_its_points(name: str) -> None:
    p = points_inside(name, 400_000)
    outer = MASS * (p.T @ p) / len(p)
    expected = np.trace(outer) * np.eye(3) - outer
    got = properties(name, 0.0, 0.0)
    np.testing.assert_allclose(got.ipos[0].numpy(), p.mean(0), atol=2e-4)
    np.testing.assert_allclose(
        tensor_about_origin(got), expected, rtol=0.01, atol=0.01 * expected.max()
    )


@pytest.mark.parametrize("name", [n for n in CHECKED if "cross" not in n])
def test_uniform_solid_agrees_with_the_compiler(name: str) -> None:
    # these shapes have parts that only touch, so MuJoCo's sum over geoms is exact
    index = torch.tensor([float(NAMES.index(name))])
    geometry = shapes.geometry(index, torch.tensor([SIZE]))
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name="object")
    body.add_freejoint()
    for i, slot in enumerate(shapes.SLOTS):
        if geometry.margin[0, i] < 0:
            continue
        kind = mujoco.mjtGeom.mjGEOM_BOX
        if "disc" in slot:
            kind = mujoco.mjtGeom.mjGEOM_CYLINDER
        body.add_geom(
            type=kind,
            size=geometry.size[0, i].numpy(),
            pos=geometry.pos[0, i].numpy(),
            density=1000,
        )
    model = spec.compile()
    scale = MASS / model.body_mass[1]
    theirs = shapes.Inertia(
        mass=torch.tensor([MASS]),
        ipos=torch.from_numpy(model.body_ipos[1:2]),
        iquat=torch.from_numpy(model.body_iquat[1:2]),
        inertia=torch.from_numpy(model.body_inertia[1:2] * scale),
    )
    got = properties(name, 0.0, 0.0)
    np.testing.assert_allclose(
        tensor_about_origin(got), tensor_about_origin(theirs), atol=1e-9
    )


def test_there_are_fifty_unseen_shapes_of_the_size_of_the_others() -> None:
    trained = [name for name in NAMES if name not in shapes.UNSEEN]
    assert trained == ["box", "disc", "ell", "lollipop"]
    assert len(shapes.UNSEEN) >= 50
    assert len({repr(shapes.SHAPES[name]) for name in NAMES}) == len(NAMES)
    for name in shapes.UNSEEN:
        solid = [p for p in shapes.SHAPES[name] if p.density > 0]
        across = [(p.y, p.half_y or p.half_x) for p in solid]
        assert max(y + half for y, half in across) == pytest.approx(1)
        assert min(y - half for y, half in across) == pytest.approx(-1)
        front, back = ([sign * p.x + p.half_x for p in solid] for sign in (-1, 1))
        assert 0.5 < max(front) + max(back) <= 2


def test_insert_shifts_the_centre_of_mass_and_adds_its_own_spread() -> None:
    share, y = 0.4, 0.03
    plain, uneven = properties("box", 0.0, share), properties("box", y, share)
    shift = (uneven.ipos - plain.ipos)[0].numpy()
    np.testing.assert_allclose(shift, [0, share * y, 0], atol=1e-9)
    # two points of masses (1 - share) m and share m, y apart: reduced mass times y^2
    added = share * (1 - share) * MASS * y**2
    around = uneven.inertia[0].numpy().sum() - plain.inertia[0].numpy().sum()
    assert around == pytest.approx(2 * added, rel=1e-6)


def test_every_slot_of_a_shape_collides_and_no_other() -> None:
    for i, name in enumerate(NAMES):
        geometry = shapes.geometry(torch.tensor([float(i)]), torch.tensor([SIZE]))
        used = {p.slot for p in shapes.SHAPES[name] if p.density > 0}
        on = {
            s for s, m in zip(shapes.SLOTS, geometry.margin[0], strict=True) if m == 0
        }
        assert on == used
        assert (geometry.size[0, :, 0] > 0).all()


@pytest.mark.parametrize("friction", [0.05, 0.1, 0.15])
@pytest.mark.parametrize("shape", ["box", "disc", "cross", "dumbbell"])
def test_a_free_slide_is_v_squared_over_two_mu_g(friction: float, shape: str) -> None:
    family = Strike()
    env = Env(family, worlds=1, threads=1)
    parameters = {
        "friction": friction,
        "mass": 0.4,
        "insert_y": 0.0,
        "size": 0.05,
        "shape": shape,
    }
    env.assign([Task(family="strike", split="train", seed=0, parameters=parameters)])
    env.reset(torch.Generator().manual_seed(0))
    speed, steps = 0.9, 80
    qpos = env._now.readings.qpos.clone()
    qpos[:, 8] = 0.1  # clear of the paddle
    qvel = torch.zeros(1, family.model.nv)
    qvel[:, 8] = speed
    readings = env.sim.reset(qpos, torch.zeros_like(qvel))
    for _ in range(5):
        readings = env.sim.step(torch.zeros(1, 7))  # settle on the table
    qpos = readings.qpos
    readings = env.sim.reset(qpos, qvel)
    for _ in range(steps):
        readings = env.sim.step(torch.zeros(1, 7))
    distance = (readings.qpos[:, 8] - qpos[:, 8]).item()
    assert abs(readings.qvel[:, 8].item()) < 5e-3
    assert distance == pytest.approx(speed**2 / (2 * friction * 9.81), rel=0.08)


def test_insert_fits_into_the_object() -> None:
    named = {p.name: p for p in Strike.parameters if isinstance(p, Scalar)}
    insert, size = named["insert_y"], named["size"]
    assert insert.high < size.beyond[0][0]
    assert 0 < INSERT_SHARE < 1

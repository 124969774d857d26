"""The car: its figures, its tyres against closed forms, and its place in a scene."""

import mujoco
import numpy as np
import pytest
import torch

from benchmarks.car import CARD, TOLERANCE, Track
from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings
from robots.wheeled import figures
from robots.wheeled.car import Car
from robots.wheeled.driver import Driver, ackermann
from robots.wheeled.fields import CarFields
from robots.wheeled.figures import WHEELS
from robots.wheeled.road import add_patch, make_scene


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    """Two cars side by side."""
    scene = make_scene()
    Car("a/").attach(scene)
    Car("b/").attach(scene, pos=(0.0, 1.0, 0.0))
    return scene.compile()


def rolling(model: mujoco.MjModel, worlds: int, **of: float) -> CpuSimulator:
    """Worlds in which the cars of some prefixes roll ahead at a speed [m/s]."""
    fields = ("geom_friction", "body_mass", "body_inertia", "body_ipos")
    fields += ("actuator_gainprm", "actuator_dynprm")
    sim = CpuSimulator(model, worlds=worlds, substeps=5, threads=1, fields=fields)
    qpos = torch.from_numpy(model.qpos0).float().repeat(worlds, 1)
    qvel = torch.zeros(worlds, model.nv)
    for name, speed in of.items():
        at = Car(f"{name}/").coordinates(model)
        columns = torch.arange(model.nv)[at.qvel]
        qvel[:, columns[0]] = speed
        for wheel in WHEELS:
            spin = model.joint(f"{name}/{wheel}_spin").dofadr[0]
            qvel[:, spin] = speed / figures.WHEEL_RADIUS
    sim.reset(qpos, qvel)
    return sim


def stepped(sim: CpuSimulator, ctrl: torch.Tensor, steps: int) -> Readings:
    """Readings after some steps under a held control."""
    return [sim.step(ctrl) for _ in range(steps)][-1]


def rows(entries: dict, model: mujoco.MjModel, worlds: int) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, (row, values) in entries.items():
        base = torch.from_numpy(getattr(model, name)).repeat(worlds, *[1] * 9)
        base = base.reshape(worlds, *getattr(model, name).shape).clone()
        base[:, row] = values.to(base.dtype)
        found[name] = base
    return found


# -- the tyre card -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("manoeuvre", CARD)
def test_the_car_does_what_the_closed_form_says(manoeuvre: str) -> None:
    assert abs(CARD[manoeuvre]().error) < TOLERANCE


# -- the figures ---------------------------------------------------------------------


def test_mass_centre_and_yaw_inertia_are_the_published_ones() -> None:
    scene = make_scene()
    Car("a/").attach(scene)
    model = scene.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert mujoco.mj_getTotalmass(model) == pytest.approx(3.74)
    assert data.subtree_com[1] == pytest.approx([0, 0, 0.074], abs=1e-6)
    turn, momentum = np.eye(model.nv)[5], np.zeros(model.nv)
    mujoco.mj_mulM(model, data, momentum, turn)
    assert momentum[5] == pytest.approx(0.04712, rel=1e-6)
    front, rear = (
        data.xpos[model.body(f"a/{w}_left").id][0] for w in ("front", "rear")
    )
    assert front - rear == pytest.approx(0.15875 + 0.17145)


def test_it_stands_still_at_its_rest(model: mujoco.MjModel) -> None:
    sim = rolling(model, 1)
    readings = stepped(sim, torch.zeros(1, model.nu), 50)
    moved = readings.qpos[0] - torch.from_numpy(model.qpos0).float()
    assert moved[2].item() == pytest.approx(-figures.SINK, abs=2e-5)
    moved[[2, model.jnt_qposadr[model.joint("b/root").id] + 2]] = 0
    assert moved.abs().max() < 0.02  # wheels roll by a degree
    assert readings.qvel.abs().max() < 0.02


def test_a_held_brake_turns_no_wheel_backwards(model: mujoco.MjModel) -> None:
    sim = rolling(model, 1, a=2.0)
    ctrl = torch.zeros(1, model.nu)
    ctrl[:, Car("a/").controls(model)] = torch.tensor(
        [0.3, 0.3, *[0.0] * 4, *[1.0] * 4]
    )
    speeds = [sim.step(ctrl).qvel[0, 0].item() for _ in range(100)]
    assert min(speeds) > -0.05  # it rocks on its springs
    assert abs(speeds[-1]) < 1e-3


# -- steering ------------------------------------------------------------------------


def test_both_front_wheels_turn_about_one_point() -> None:
    for steer in (-0.4, 0.1, 0.4189):
        left, right = ackermann(torch.tensor([[steer]]))[0].tolist()
        centre = figures.WHEELBASE / np.tan(steer)
        assert np.tan(left) == pytest.approx(
            figures.WHEELBASE / (centre - figures.TRACK / 2), rel=1e-5
        )
        assert np.tan(right) == pytest.approx(
            figures.WHEELBASE / (centre + figures.TRACK / 2), rel=1e-5
        )
    ends = ackermann(torch.tensor([[0.4189], [3.0]]))
    assert torch.equal(ends[0], ends[1])


def test_locked_wheels_do_not_steer() -> None:
    """The friction circle: all grip goes into stopping."""
    free, locked = (Track((0.6,) * 4, 3.0) for _ in range(2))
    for track, pulled in ((free, 0.0), (locked, 1.0)):
        for _ in track.drive(0.4, lambda _, p=pulled: (0.3, 0.0, p)):
            pass
    assert abs(free.data.qpos[1]) > 10 * abs(locked.data.qpos[1])


def test_power_on_the_rear_wheels_lets_the_tail_go() -> None:
    angles: dict[str, float] = {}
    for driven in ("rear", "front"):
        track = Track((0.4,) * 4, 1.5, driven)
        for _ in track.drive(0.6, lambda _: (0.2, 0.5)):
            pass
        angles[driven] = abs(np.degrees(np.arctan2(*track.velocity[[1, 0]])))
    assert angles["front"] < 5
    assert angles["rear"] > 60


def test_wrong_drivers_are_refused(model: mujoco.MjModel) -> None:
    with pytest.raises(ValueError, match="driven wheels are all, front, rear, and"):
        Driver(Car("a/"), model, driven="left")
    with pytest.raises(
        ValueError, match=r"a balance is in \[0, 1\]; got 'all' and 2.0"
    ):
        Driver(Car("a/"), model, balance=2.0)


def test_the_balance_says_which_axle_locks_first(model: mujoco.MjModel) -> None:
    sim = rolling(model, 1, a=3.0)
    readings = sim.set_state(sim.state())
    even, front = (
        Driver(Car("a/"), model, balance=b)(readings, torch.tensor([[0.0, -0.1]]))
        for b in (0.5, 0.8)
    )
    assert even[0, 6:].unique().numel() == 1
    torch.testing.assert_close(front[0, 6:8], 1.6 * even[0, 6:8])
    torch.testing.assert_close(front[0, 8:], 0.4 * even[0, 8:])


# -- what differs from world to world -------------------------------------------------


def test_each_cars_fields_are_its_own(model: mujoco.MjModel) -> None:
    sim = rolling(model, 2, a=2.0, b=2.0)
    own = CarFields(model, "b/")
    grip = torch.tensor([[0.8] * 4, [0.2] * 4])
    sim.assign(rows(own.friction(grip), model, 2))
    ctrl = torch.zeros(2, model.nu)
    for name in "ab":
        columns = torch.arange(model.nu)[Car(f"{name}/").controls(model)]
        ctrl[:, columns[6:]] = 1.0
    readings = stepped(sim, ctrl, 20)
    speed = {
        n: readings.qvel[:, Car(f"{n}/").coordinates(model).qvel][:, 0] for n in "ab"
    }
    assert torch.equal(speed["a"][0], speed["a"][1])
    lost = 2.0 - speed["b"][1].item()
    assert lost == pytest.approx(0.2 * 9.81 * 0.4, rel=0.1)
    assert speed["b"][0].item() < 0.1


def test_a_load_moves_the_centre_of_mass_and_weighs_in_the_corners(
    model: mujoco.MjModel,
) -> None:
    sim = rolling(model, 1)
    own = CarFields(model, "a/")
    share, ahead = torch.tensor([1.5]), torch.tensor([0.03])
    sim.assign(rows(own.mass(share, ahead), model, 1))
    loaded, data = sim.model_of(0), None
    data = mujoco.MjData(loaded)
    mujoco.mj_forward(loaded, data)
    chassis = 3.74 - 4 * figures.WHEEL_MASS
    total = 3.74 + 0.5 * chassis
    root = loaded.body("a/chassis").id
    assert loaded.body_subtreemass[root] == pytest.approx(total)
    before = mujoco.MjData(model)
    mujoco.mj_forward(model, before)
    place = before.xipos[root][0] + 0.03
    assert data.subtree_com[root][0] == pytest.approx(
        1.5 * chassis * place / total
        + (3.74 * 0.0 - chassis * before.xipos[root][0]) / total,
        abs=1e-6,
    )


def test_weaker_motors_and_a_lazier_steering(model: mujoco.MjModel) -> None:
    sim = rolling(model, 2)
    own = CarFields(model, "a/")
    share, lag = torch.tensor([1.0, 0.5]), torch.tensor([0.02, 0.3])
    sim.assign(rows({**own.motor(share), **own.lag(lag)}, model, 2))
    ctrl = torch.zeros(2, model.nu)
    columns = torch.arange(model.nu)[Car("a/").controls(model)]
    ctrl[:, columns[2:6]] = 0.05
    readings = stepped(sim, ctrl, 20)
    quick, slow = readings.qvel[:, 0].tolist()
    assert slow == pytest.approx(quick / 2, rel=0.03)
    ctrl[:, columns[:2]] = 0.3
    readings = stepped(sim, ctrl, 5)
    angle = readings.qpos[:, model.joint("a/front_left_steer").qposadr[0]]
    assert angle[0].item() == pytest.approx(0.3, abs=0.01)
    assert angle[1].item() == pytest.approx(0.3 * (1 - np.exp(-0.1 / 0.3)), abs=0.01)


# -- roads ---------------------------------------------------------------------------


def test_patches_of_grip_are_felt_where_they_lie() -> None:
    """Dry, then ice: the brakes are on throughout."""
    scene = make_scene(ground=False)
    add_patch(scene, "dry", x=(-2.0, 2.0), y=(-2.0, 2.0), friction=0.8)
    add_patch(scene, "ice", x=(2.0, 9.0), y=(-2.0, 2.0), friction=0.1)
    Car("a/").attach(scene)
    model = scene.compile()
    sim = rolling(model, 1, a=6.2)
    ctrl = torch.zeros(1, model.nu)
    ctrl[:, 6:] = 1.0
    speeds: list[tuple[float, float]] = []
    for _ in range(150):
        readings = sim.step(ctrl)
        speeds.append((readings.qpos[0, 0].item(), readings.qvel[0, 0].item()))
        assert abs(readings.qpos[0, 2].item() - figures.WHEEL_RADIUS) < 0.01
    x, v = np.array(speeds).T
    for begin, end, grip in ((0.05, 1.8, 0.8), (2.3, 4.0, 0.1)):
        i, j = np.searchsorted(x, (begin, end))
        slowed = (v[i] ** 2 - v[j] ** 2) / (2 * (x[j] - x[i]))
        assert slowed == pytest.approx(grip * 9.81, rel=0.05)


def test_cars_touch_each_other_and_their_wheels_do_not() -> None:
    scene = make_scene()
    Car("a/").attach(scene)
    Car("b/").attach(scene, pos=(0.7, 0.05, 0.0))
    model = scene.compile()
    sim = rolling(model, 1, a=2.0)
    readings = stepped(sim, torch.zeros(1, model.nu), 40)
    pushed = readings.qvel[0, Car("b/").coordinates(model).qvel][0].item()
    assert pushed > 0.5
    total = readings.qvel[0, 0].item() + pushed
    assert total == pytest.approx(2.0, abs=0.25)  # momentum, less a little friction

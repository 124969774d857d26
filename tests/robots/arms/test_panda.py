"""The arm against its published figures, and its controller against MuJoCo."""

import math

import mujoco
import numpy as np
import pytest
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from robots.arms.inverse_kinematics import StartTable, home
from robots.arms.panda import (
    JOINT_SPEED,
    JOINTS,
    CartesianVelocity,
    Panda,
    bias_acceleration,
    jacobian,
)
from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings

# modified Denavit-Hartenberg (a, alpha, d) of joints 1 to 7 and the flange, Franka
DH = (
    (0.0, 0.0, 0.333),
    (0.0, -math.pi / 2, 0.0),
    (0.0, math.pi / 2, 0.316),
    (0.0825, math.pi / 2, 0.0),
    (-0.0825, -math.pi / 2, 0.384),
    (0.0, math.pi / 2, 0.0),
    (0.088, math.pi / 2, 0.0),
    (0.0, 0.0, 0.107),
)
TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
TOOL_OFFSET = 0.1  # [m], flange to the paddle's centre
POINT = (0.5, 0.1, 0.2)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return Panda().scene().compile()


def simulate(model: mujoco.MjModel, worlds: int = 1, substeps: int = 8) -> CpuSimulator:
    return CpuSimulator(model, worlds=worlds, substeps=substeps, threads=1)


def angles_within(model: mujoco.MjModel, count: int) -> NDArray[np.float64]:
    low, high = model.jnt_range.T
    return np.random.default_rng(0).uniform(low, high, (count, 7))


def tilt(readings: Readings) -> Float[Tensor, "world"]:
    """Angle [rad] between the tool's frame and upright, facing +x."""
    x = readings.sensors["tool_xaxis"][:, 0]
    z = -readings.sensors["tool_zaxis"][:, 2]
    return torch.minimum(x, z).clamp(max=1).acos()


def test_forward_kinematics_is_the_published_product(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    for angles in angles_within(model, 20):
        data.qpos[:] = angles
        mujoco.mj_kinematics(model, data)
        frame = np.eye(4)
        for (a, alpha, d), theta in zip(DH, [*angles, 0.0], strict=True):
            ca, sa, ct, st = *trig(alpha), *trig(theta)
            frame = frame @ np.array(
                [
                    [ct, -st, 0, a],
                    [st * ca, ct * ca, -sa, -d * sa],
                    [st * sa, ct * sa, ca, d * ca],
                    [0, 0, 0, 1],
                ]
            )
        tool = frame @ [0, 0, TOOL_OFFSET, 1]
        rotation = data.site("tool").xmat.reshape(3, 3)
        np.testing.assert_allclose(data.site("tool").xpos, tool[:3], atol=1e-12)
        np.testing.assert_allclose(rotation, frame[:3, :3], atol=1e-12)


def trig(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


def test_limits_are_the_published_ones(model: mujoco.MjModel) -> None:
    published = [
        (-2.8973, 2.8973),
        (-1.7628, 1.7628),
        (-2.8973, 2.8973),
        (-3.0718, -0.0698),
        (-2.8973, 2.8973),
        (-0.0175, 3.7525),
        (-2.8973, 2.8973),
    ]
    np.testing.assert_allclose(model.jnt_range, published)
    assert tuple(model.actuator(i).name for i in range(7)) == JOINTS
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], JOINT_SPEED)
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 0], -np.array(JOINT_SPEED))
    for bounds in (model.actuator_forcerange, model.jnt_actfrcrange):
        np.testing.assert_allclose(bounds, np.stack([-np.array(TORQUE), TORQUE], 1))


def test_inertias_are_physical_and_add_up(model: mujoco.MjModel) -> None:
    links = [model.body(f"link{i}") for i in range(8)] + [model.body("tool")]
    for link in links:
        small, middle, large = np.sort(link.inertia)
        assert small > 0, link.name
        assert large <= small + middle, link.name
    # Gaz et al. 2019: 4.970684 + 0.646926 + 3.228604 + 3.587895 + 1.225946 + 1.666555
    # + 0.735522
    assert sum(float(b.mass[0]) for b in links[1:8]) == pytest.approx(16.062132)
    assert links[8].mass[0] == pytest.approx(0.2)


def test_only_the_paddle_collides(model: mujoco.MjModel) -> None:
    colliding = {
        model.geom(i).name
        for i in range(model.ngeom)
        if model.geom_contype[i] or model.geom_conaffinity[i]
    }
    assert colliding == {"table", "paddle"}


def test_jacobian_is_that_of_mujoco(model: mujoco.MjModel) -> None:
    qpos = torch.from_numpy(angles_within(model, 10)).float()
    simulator = simulate(model, worlds=10)
    assembled = jacobian(simulator.reset(qpos, torch.zeros(10, 7)))
    data = mujoco.MjData(model)
    for world in range(10):
        data.qpos[:] = qpos[world].numpy()
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        expected = np.full((6, 7), np.nan)
        mujoco.mj_jacSite(
            model, data, expected[:3], expected[3:], model.site("tool").id
        )
        np.testing.assert_allclose(assembled[world].numpy(), expected, atol=1e-6)


def test_bias_acceleration_is_the_change_of_twist(model: mujoco.MjModel) -> None:
    torch.manual_seed(0)
    qpos = torch.from_numpy(angles_within(model, 10)).float()
    rates = torch.randn(10, 7)
    simulator, step = simulate(model, worlds=10), 5e-3

    def twist(time: float) -> Float[Tensor, "world 6"]:
        moved = jacobian(simulator.reset(qpos + time * rates, rates))
        return (moved @ rates[..., None])[..., 0]

    difference = (twist(step) - twist(-step)) / (2 * step)
    columns = jacobian(simulator.reset(qpos, rates)).mT
    torch.testing.assert_close(
        bias_acceleration(columns, rates), difference, atol=5e-3, rtol=2e-3
    )


def test_arm_at_rest_stays_put(model: mujoco.MjModel) -> None:
    simulator = simulate(model)
    start = torch.tensor([home(*POINT)])
    readings = simulator.reset(start, torch.zeros(1, 7))
    for _ in range(100):
        readings = simulator.step(torch.zeros(1, 7))
    torch.testing.assert_close(readings.qpos, start, atol=1e-5, rtol=0)
    assert not readings.fault.any()


@pytest.mark.parametrize(
    "direction", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (-0.6, -0.8, 0.0)]
)
def test_tool_follows_a_commanded_velocity(
    model: mujoco.MjModel, direction: tuple[float, float, float]
) -> None:
    simulator, controller = simulate(model), CartesianVelocity(Panda(), model)
    wanted = 0.3 * torch.tensor([direction])
    readings = simulator.reset(torch.tensor([home(*POINT)]), torch.zeros(1, 7))
    for step in range(12):
        readings = simulator.step(controller(readings, wanted))
        if step > 4:  # five servo time constants
            error = readings.sensors["tool_vel"] - wanted
            assert error.norm() < 0.05 * wanted.norm(), f"step {step}"
    assert tilt(readings).max() < math.radians(1)


def test_looking_ahead_straightens_the_path(model: mujoco.MjModel) -> None:
    simulator = simulate(model)
    bend: list[float] = []
    for lookahead in (0.0, 0.04):
        controller = CartesianVelocity(Panda(), model, lookahead=lookahead)
        start = torch.tensor([home(0.6, -0.2, 0.1)])
        readings = simulator.reset(start, torch.zeros(1, 7))
        for _ in range(8):  # 40 ms each, 0.3 m in all, across the arm's front
            wanted = torch.tensor([[0.0, 1.0, 0.0]])
            readings = simulator.step(controller(readings, wanted))
        bend.append(abs(float(readings.sensors["tool_pos"][0, 0]) - 0.6))
    assert bend[1] < 0.5 * bend[0]


def test_paddle_rights_itself_on_the_spot(model: mujoco.MjModel) -> None:
    torch.manual_seed(0)
    simulator, controller = simulate(model, worlds=8), CartesianVelocity(Panda(), model)
    start = torch.tensor([home(*POINT)]) + 0.15 * torch.randn(8, 7)
    readings = simulator.reset(start, torch.zeros(8, 7))
    before = readings.sensors["tool_pos"]
    assert tilt(readings).min() > math.radians(4)
    for _ in range(40):
        readings = simulator.step(controller(readings, torch.zeros(8, 3)))
    assert tilt(readings).max() < math.radians(0.1)
    assert (readings.sensors["tool_pos"] - before).abs().max() < 0.01


def test_command_keeps_the_limits_and_its_direction(model: mujoco.MjModel) -> None:
    simulator, limit = simulate(model), torch.tensor(JOINT_SPEED)
    controller = CartesianVelocity(Panda(), model, damping=1e-3)
    readings = simulator.reset(torch.tensor([home(*POINT)]), torch.zeros(1, 7))
    wanted = torch.tensor([[3.0, -4.0, 2.0]])
    command = controller(readings, wanted)
    assert (command.abs() / limit).max() == pytest.approx(1.0)
    made = (jacobian(readings) @ command[..., None])[0, :3, 0]
    cosine = torch.cosine_similarity(made, wanted[0], dim=0)
    assert cosine > 0.9999
    assert made.norm() < wanted.norm()


def test_command_is_finite_and_legal_anywhere(model: mujoco.MjModel) -> None:
    torch.manual_seed(0)
    qpos = torch.from_numpy(angles_within(model, 500)).float()
    qpos[0] = 0  # stretched upwards: singular
    simulator, limit = simulate(model, worlds=500), torch.tensor(JOINT_SPEED)
    readings = simulator.reset(qpos, limit * (2 * torch.rand(500, 7) - 1))
    command = CartesianVelocity(Panda(), model)(readings, 2 * torch.randn(500, 3))
    assert command.isfinite().all()
    assert (command.abs() <= limit + 1e-6).all()


@pytest.mark.parametrize("timestep", [0.004, 0.005])
def test_full_strokes_are_stable_and_within_torque(timestep: float) -> None:
    spec = Panda().scene()
    spec.option.timestep = timestep
    spec.add_sensor(
        name="torque",
        type=mujoco.mjtSensor.mjSENS_JOINTACTFRC,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        objname="joint2",
    )
    model = spec.compile()
    simulator, controller = simulate(model), CartesianVelocity(Panda(), model)
    readings = simulator.reset(torch.tensor([home(0.6, -0.2, 0.1)]), torch.zeros(1, 7))
    for step in range(60):
        wanted = torch.tensor([[0.0, 1.4 if step // 8 % 2 == 0 else -1.4, 0.0]])
        readings = simulator.step(controller(readings, wanted))
        assert readings.sensors["torque"].abs() <= 87.01
        assert (readings.qvel.abs() < 1.15 * torch.tensor(JOINT_SPEED)).all()
    assert not readings.fault.any()


def test_home_holds_the_tool_upright_at_the_point(model: mujoco.MjModel) -> None:
    simulator = simulate(model)
    for point in ((0.3, 0.0, 0.045), (0.6, -0.24, 0.045), (0.65, 0.2, 0.25)):
        angles = home(*point)
        assert angles == home(*point)
        readings = simulator.reset(torch.tensor([angles]), torch.zeros(1, 7))
        tool = readings.sensors["tool_pos"][0]
        torch.testing.assert_close(tool, torch.tensor(point), atol=2e-6, rtol=0)
        assert tilt(readings) < 1e-3


def test_home_refuses_what_is_out_of_reach() -> None:
    with pytest.raises(ValueError, match=r"x=0.900, y=0.000, z=0.050 m; it reaches"):
        home(0.9, 0.0, 0.05)


def test_start_table_is_home_between_its_points(model: mujoco.MjModel) -> None:
    table = StartTable(x=(0.38, 0.62), y=(-0.2, 0.12), z=0.2)
    u = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    u[0], u[1] = torch.zeros(2), torch.ones(2)
    readings = simulate(model, worlds=200).reset(table(u), torch.zeros(200, 7))
    plane = torch.tensor([0.38, -0.2]) + u * torch.tensor([0.24, 0.32])
    wanted = torch.cat([plane, torch.full((200, 1), 0.2)], dim=-1)
    error = (readings.sensors["tool_pos"] - wanted).abs()
    assert error.max() < 3e-4
    assert tilt(readings).max() < math.radians(0.1)


def test_start_table_refuses_a_reversed_extent() -> None:
    with pytest.raises(ValueError, match="from least to greatest"):
        StartTable(x=(0.6, 0.5), y=(0.0, 0.1), z=0.2)

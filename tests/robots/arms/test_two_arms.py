"""Two arms in one scene: each moves as one that is alone, in its own frame."""

import math

import mujoco
import pytest
import torch
from torch import Tensor

from robots.arms.gripper import OPEN, PandaGripper
from robots.arms.inverse_kinematics import home
from robots.arms.panda import CartesianVelocity, Panda
from robots.sim.cpu import CpuSimulator

STEPS = 15
# where the arms stand, and which way they look: the second faces the first
PLACES = {"left/": ((0.0, 0.0, 0.0), 0.0), "right/": ((1.6, 0.3, 0.1), math.pi)}
STARTS = {"left/": (0.5, 0.1, 0.2), "right/": (0.45, -0.1, 0.3)}
# of the tool, in the frame of its arm [m/s]
VELOCITIES = {"left/": (0.2, 0.3, -0.1), "right/": (-0.1, 0.4, 0.1)}


def rotation(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def alone(prefix: str) -> Tensor:
    """Joint angles of a single arm on its table, (time, 7)."""
    model = Panda().scene().compile()
    sim = CpuSimulator(model, worlds=1, substeps=8, threads=1)
    control = CartesianVelocity(Panda(), model)
    readings = sim.reset(torch.tensor([home(*STARTS[prefix])]), torch.zeros(1, 7))
    path = [readings.qpos[0]]
    for _ in range(STEPS):
        velocity = torch.tensor([VELOCITIES[prefix]])
        readings = sim.step(control(readings, velocity))
        path.append(readings.qpos[0])
    return torch.stack(path)


def together(kind: type[Panda]) -> tuple[CpuSimulator, dict[str, Panda]]:
    scene = mujoco.MjSpec()
    scene.option.timestep = 0.005
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
    robots = {prefix: kind(prefix) for prefix in PLACES}
    for prefix, robot in robots.items():
        pos, yaw = PLACES[prefix]
        quat = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        robot.attach(scene, pos=pos, quat=quat)
    sim = CpuSimulator(scene.compile(), worlds=1, substeps=8, threads=1)
    return sim, robots


@pytest.mark.parametrize("kind", [Panda, PandaGripper])
def test_two_arms_move_as_each_does_alone(kind: type[Panda]) -> None:
    sim, robots = together(kind)
    model = sim.model
    qpos = torch.zeros(1, model.nq)
    for prefix, robot in robots.items():
        qpos[:, robot.coordinates(model).qpos][:, :7] = torch.tensor(
            [home(*STARTS[prefix])]
        )
    readings = sim.reset(qpos, torch.zeros(1, model.nv))
    controls = {p: CartesianVelocity(r, model) for p, r in robots.items()}
    paths = {
        p: [r.coordinates(model).positions(readings)[0]] for p, r in robots.items()
    }
    for _ in range(STEPS):
        ctrl = torch.zeros(1, model.nu)
        for prefix, robot in robots.items():
            turned = rotation(PLACES[prefix][1]) @ torch.tensor(VELOCITIES[prefix])
            command = controls[prefix](readings, turned[None])
            ctrl[:, robot.controls(model)][:, :7] = command
        readings = sim.step(ctrl)
        for prefix, robot in robots.items():
            paths[prefix].append(robot.coordinates(model).positions(readings)[0])
    for prefix, path in paths.items():
        tolerance = 1e-5 if kind is Panda else 0.02  # fingers weigh less than a paddle
        torch.testing.assert_close(
            torch.stack(path)[:, :7], alone(prefix), atol=tolerance, rtol=0
        )
        assert (path[-1][:7] - path[0][:7]).abs().max() > 0.1


def test_one_gripper_closes_and_the_other_stays_open() -> None:
    sim, robots = together(PandaGripper)
    model = sim.model
    qpos, ctrl = torch.zeros(1, model.nq), torch.zeros(1, model.nu)
    for prefix, robot in robots.items():
        start = torch.tensor([[*home(*STARTS[prefix]), OPEN, OPEN]])
        qpos[:, robot.coordinates(model).qpos] = start
        ctrl[:, robot.controls(model)][:, 7] = -10.0 if prefix == "left/" else 10.0
    readings = sim.reset(qpos, torch.zeros(1, model.nv))
    for _ in range(10):
        readings = sim.step(ctrl)
    opening = {
        p: r.coordinates(model).positions(readings)[0, 7:] for p, r in robots.items()
    }
    assert opening["left/"].max() < 0.002
    assert opening["right/"].min() > OPEN - 0.002

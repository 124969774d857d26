"""shove: the slide against closed forms, what each agent sees, and who shares what."""

import math
from dataclasses import replace

import mujoco
import pytest
import torch
from torch import Tensor

from robots.sim.tape import cpu_simulator
from tasks.env import Env
from tasks.task import Task
from tasks.teams.shove import APART, HEIGHT, INSERT, LENGTH, MASS, SIDES, WIDTH, Shove

FAMILY = Shove()
GRAVITY = 9.81


def team(left: float, right: float, load_x: float = 0.0) -> list[Task]:
    own = {"friction_left": left, "friction_right": right, "load_x": load_x}
    tasks = FAMILY.sample("train", 0, 2)
    return [replace(t, parameters={**t.parameters, **own}) for t in tasks]


def made(*teams: list[Task], oracle: bool = False) -> Env:
    tasks = [task for tasks in teams for task in tasks]
    env = Env(FAMILY, worlds=len(tasks), oracle=oracle, threads=1)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    return env


def shoved(env: Env, actions: Tensor, steps: int = 20) -> tuple[Tensor, Tensor]:
    """Poses and velocities of the load, (time, world, ...), from the shove on."""
    load, pose, velocity = FAMILY._load, list[Tensor](), list[Tensor]()
    for _ in range(steps):
        env.step(actions)
        pose.append(load.positions(env._now.readings))
        velocity.append(load.velocities(env._now.readings))
    return torch.stack(pose), torch.stack(velocity)


def turned(pose: Tensor) -> Tensor:
    return 2 * torch.atan2(pose[..., 6], pose[..., 3])


@pytest.mark.parametrize("load_x", [0.0, 0.2])
def test_a_load_on_equal_feet_slides_as_coulomb_says(load_x: float) -> None:
    """v^2 / (2 mu g), and as far wherever the weight is."""
    frictions = (0.05, 0.08, 0.13)
    env = made(*(team(mu, mu, load_x) for mu in frictions))
    pose, velocity = shoved(env, torch.full((6, 1), 0.5))
    # the paddles have stopped, and the load goes on alone
    slid = pose[-1, :, 1] - pose[1, :, 1]
    expected = velocity[1, :, 1] ** 2 / (2 * GRAVITY * torch.tensor(frictions))
    torch.testing.assert_close(slid, expected, rtol=0.03, atol=0.002)
    assert (velocity[-1].abs() < 0.01).all()
    assert (turned(pose[-1]).abs() < 0.2).all()


def test_a_load_turns_towards_the_rougher_end() -> None:
    """The angular acceleration of a beam that slides: torque over inertia."""
    env = made(team(0.05, 0.1), team(0.1, 0.05))
    pose, velocity = shoved(env, torch.full((4, 1), 0.6), steps=4)
    left, right = turned(pose[-1]).tolist()
    assert left < -0.1
    assert right > 0.1
    inertia = (MASS - INSERT) * LENGTH**2 / 3
    end = LENGTH - 0.012
    rate = (velocity[2, :, 5] - velocity[1, :, 5]) / 0.1
    expected = torch.tensor([-0.05, 0.05]) * MASS * GRAVITY / 2 * end / inertia
    torch.testing.assert_close(rate, expected, rtol=0.1, atol=0.0)


def test_the_balance_of_the_load_is_that_of_its_parts() -> None:
    """A beam and a point mass, composed by MuJoCo itself."""
    x = 0.15
    env = made(team(0.05, 0.05, x))
    model = cpu_simulator(env.sim).model_of(0)
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body()
    box = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[LENGTH, WIDTH, HEIGHT])
    box.mass = MASS - INSERT
    point = body.add_geom(pos=[x, 0, 0], size=[1e-4, 0, 0])
    point.mass = INSERT
    parts = spec.compile()
    ours = model.body("load")
    assert ours.ipos == pytest.approx(parts.body_ipos[1], abs=1e-7)
    assert ours.mass == pytest.approx(parts.body_mass[1])
    yaw = ours.inertia.max()
    assert yaw == pytest.approx(parts.body_inertia[1].max(), rel=0.05)


def test_the_agents_are_mirror_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right one of a scene's mirror image sees as the left one of the scene."""
    scene, mirrored = team(0.05, 0.1, 0.12), team(0.1, 0.05, -0.12)
    env = made(scene, mirrored, oracle=True)
    places = torch.tensor(
        [[0.2, 0.9, 0.6, 0.3, 0.8, 0.5], [0.6, 0.7, 0.2, 0.1, 0.2, 0.5]]
    )
    monkeypatch.setattr(torch, "rand", lambda *_, **__: places)
    seen = [env.reset(torch.Generator())]
    actions = torch.tensor([[0.7], [0.4], [0.4], [0.7]])
    seen += [env.step(actions).obs for _ in range(20)]
    for obs, tolerance in ((seen[0], 1e-3), (seen[2], 0.1), (seen[-1], 0.1)):
        torch.testing.assert_close(obs[0], obs[3], atol=tolerance, rtol=0)
        torch.testing.assert_close(obs[1], obs[2], atol=tolerance, rtol=0)
    assert (seen[-1][0] - seen[-1][1]).abs().max() > 0.5


def test_no_arm_feels_friction_as_it_shoves() -> None:
    env = made(team(0.04, 0.04), team(0.13, 0.13))
    tools = [f"{side}/tool_vel" for side in SIDES]
    env.step(torch.full((4, 1), 0.6))
    for name in tools:
        slippery, rough = env._now.readings.sensors[name][:, 1].tolist()
        assert slippery == pytest.approx(rough, abs=0.02)


def test_both_are_rewarded_for_where_both_ends_lie() -> None:
    env = made(team(0.08, 0.08))
    load, target = FAMILY._load, FAMILY._target
    step = env.step(torch.tensor([[0.2], [-0.6]]))
    assert step.terms["near"][0] == step.terms["near"][1]
    assert step.terms["effort"].tolist() == pytest.approx([0.04, 0.36])
    readings = env._now.readings
    pose, y = load.positions(readings)[0], target.positions(readings)[0, 0]
    angle = float(turned(pose))
    misses = [
        math.hypot(
            pose[0] - APART / 2 + side * LENGTH * (math.cos(angle) - 1),
            pose[1] - y + side * LENGTH * math.sin(angle),
        )
        for side in (-1, 1)
    ]
    expected = sum(math.exp(-miss / 0.2) for miss in misses) / 2
    assert float(step.terms["near"][0]) == pytest.approx(expected, rel=1e-4)


def test_knowing_both_frictions_would_do() -> None:
    """A load at rest on its place is a success, one that is turned is none."""
    env = made(team(0.08, 0.08))
    sim = cpu_simulator(env.sim)
    qpos = sim._state["qpos"][0]
    pose = qpos[FAMILY._load.qpos]
    pose[1] = qpos[FAMILY._target.qpos][0]
    sim._batch.forward()
    assert env.step(torch.zeros(2, 1)).success.all()
    pose[3], pose[6] = math.cos(0.2), math.sin(0.2)
    sim._batch.forward()
    assert not env.step(torch.zeros(2, 1)).success.any()

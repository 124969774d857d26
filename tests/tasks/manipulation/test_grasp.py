"""grasp: what two fingertips can carry, and when an object tips between them."""

from dataclasses import replace
from itertools import pairwise

import mujoco
import numpy as np
import pytest
import torch

from robots.arms.gripper import FINGERS, FORCE, OPEN, TIP_HALF
from robots.sim.cpu import CpuSimulator
from tasks.env import Env
from tasks.manipulation.grasp import INSERT_SHARE, OPENING, PLACE, SOLIDS, UNSEEN, Grasp
from tasks.task import Task

BOX = SOLIDS["box-0"]
G = 9.81


def make_env(*changes: dict) -> Env:
    base = {"insert_x": 0.0, "friction": 0.6, "mass": 0.3, "shape": BOX.name}
    env = Env(Grasp(), worlds=len(changes), threads=1)
    env.assign(
        [
            Task(family="grasp", split="train", seed=0, parameters=base | change)
            for change in changes
        ]
    )
    env.reset(torch.Generator().manual_seed(0))
    return env


def grip(force: float) -> float:
    """The action that closes with a force [N]."""
    return 2 * (force + OPENING) / (FORCE + OPENING) - 1


def lift(env: Env, force: torch.Tensor, at: torch.Tensor) -> None:
    """Grip `at` [m] from the middle of the object, then lift without a jerk."""
    command = 2 * (force + OPENING) / (FORCE + OPENING) - 1
    for t in range(45):
        r = env._now.readings
        off = r.qpos[:, 9] + at - r.sensors["tool_pos"][:, 0]
        along = (4 * off / 0.25).clamp(-1, 1) * (t < 6)
        closing = command if t >= 6 else torch.full_like(command, -1.0)
        up = torch.full_like(command, 0.3 * min(1.0, max(0.0, (t - 9) / 20)))
        env.step(torch.stack([along, up, closing], -1))


def test_a_finger_presses_with_the_force_it_is_told() -> None:
    env = make_env({})
    for t in range(5):
        env.step(torch.tensor([[0.0, 0.0, grip(12.0) if t else -1.0]]))
    sim = env.sim
    assert isinstance(sim, CpuSimulator)
    model, data = sim.model_of(0), mujoco.MjData(env.family.model)
    mujoco.mj_setState(model, data, sim.state()[0], mujoco.mjtState.mjSTATE_INTEGRATION)
    mujoco.mj_forward(model, data)
    tips = {model.body(name).id: 0.0 for name in FINGERS}
    for i, contact in enumerate(data.contact):
        for body in model.geom_bodyid[contact.geom]:
            if body in tips:
                wrench = np.zeros(6)
                mujoco.mj_contactForce(model, data, i, wrench)
                tips[body] += wrench[0]
    assert list(tips.values()) == pytest.approx([12.0, 12.0], rel=0.02)
    qpos = env._now.readings.qpos[0]
    assert qpos[7].item() == pytest.approx(qpos[8].item(), abs=1e-5)


@pytest.mark.parametrize("friction", [0.4, 0.8])
@pytest.mark.parametrize("mass", [0.2, 0.5])
def test_friction_carries_the_weight_from_mg_over_two_mu(
    friction: float, mass: float
) -> None:
    env = make_env(*[{"friction": friction, "mass": mass}] * 2)
    least = mass * G / (2 * friction)
    lift(env, torch.tensor([0.9 * least, 1.1 * least]), torch.zeros(2))
    height = env._now.readings.qpos[:, 11]
    assert height[0] < 0.02
    assert height[1] > 0.1


@pytest.mark.parametrize("force", [8.0, 15.0])
def test_an_object_tips_where_its_weight_turns_more_than_the_tips_hold(
    force: float,
) -> None:
    friction, mass = 0.6, 0.3
    # each finger's two contacts press with half the force; the one nearer to the centre
    # of mass slips when it would have to carry more than friction times that
    lever = TIP_HALF * (2 * friction * force / (mass * G) - 1)
    env = make_env(*[{"friction": friction, "mass": mass}] * 4)
    lift(env, torch.full((4,), force), lever * torch.tensor([0.6, -0.6, 1.3, -1.3]))
    q = env._now.readings.qpos
    tilt = torch.acos((1 - 2 * (q[:, 13] ** 2 + q[:, 14] ** 2)).clamp(-1, 1))
    assert (q[:, 11] > 0.08).all()
    assert tilt[:2].max() < 0.1
    assert tilt[2:].min() > 0.25


def test_the_insert_moves_the_centre_of_mass_along_the_object() -> None:
    inserts = (-0.7, 0.0, 0.7)
    env = make_env(*({"insert_x": x} for x in inserts))
    body = env.family.model.body("object").id
    com = env.family.model_fields(env._values)["body_ipos"][:, body, 0]
    half = BOX.vertices[:, 0].max()
    for x, found in zip(inserts, com, strict=True):
        assert found.item() == pytest.approx(INSERT_SHARE * x * half, abs=1e-6)


def test_open_fingers_start_around_every_object_and_touch_none() -> None:
    shapes = [*SOLIDS, *UNSEEN]
    env = make_env(*({"shape": name} for name in shapes))
    at = env._now.readings.qpos[:, 9:12].clone()
    for _ in range(3):
        env.step(torch.tensor([[0.0, 0.0, -1.0]]).expand(len(shapes), -1))
    q = env._now.readings.qpos
    assert (q[:, 9:12] - at).norm(dim=-1).max() < 1e-3
    assert (q[:, 7:9] > OPEN - 0.002).all()
    level = 1 - 2 * (q[:, 13] ** 2 + q[:, 14] ** 2)
    assert level.min() > 0.999
    assert (at[:, 0] - PLACE[0]).abs().max() <= 0.0101


def test_a_firmer_grip_closes_further_on_nothing_and_costs_more() -> None:
    env = make_env({}, {}, {})
    commands = torch.tensor([-1.0, 0.0, 1.0])
    action = torch.stack([torch.zeros(3), torch.ones(3), commands], -1)
    for _ in range(3):  # above the object there is nothing to hold
        env.step(action * torch.tensor([0.0, 1.0, 0.0]) + torch.tensor([0.0, 0.0, -1]))
    for _ in range(3):
        env.step(action * torch.tensor([0.0, 0.0, 1.0]))
    step = env.step(action * torch.tensor([0.0, 0.0, 1.0]))
    opening = env._now.readings.qpos[:, 7]
    assert opening[0] > OPEN - 0.002
    assert opening[1:].max() < 0.01
    costs = step.terms["squeeze"].tolist()
    assert all(a < b for a, b in pairwise(costs))


def test_what_is_lifted_counts_the_more_the_more_level_it_is() -> None:
    heights, tilts = torch.tensor([0.1, 0.1, 0.1, 0.05, 0.0]), [0.0, 0.2, 1.5, 0.0, 0.0]
    env = make_env(*[{}] * 5)
    qpos = env._now.readings.qpos.clone()
    qpos[:, 11] = heights
    half = torch.tensor(tilts) / 2
    qpos[:, 12:16] = torch.stack([half.cos(), 0 * half, half.sin(), 0 * half], -1)
    end = replace(
        env._now,
        readings=replace(env._now.readings, qpos=qpos),
        progress=torch.tensor([1.0, 1.0, 1.0, 1.0, 0.5]),
    )
    outcome = env.family.judge(env._now, end, -torch.ones(5, 3))
    lifted = outcome.terms["lifted"]
    assert lifted[0] == pytest.approx(1.0)
    assert 0.3 < lifted[1] < 0.9
    assert lifted[2] == pytest.approx(0.3, abs=0.01)
    assert lifted[3] == pytest.approx(0.5)
    assert lifted[4] == 0
    assert torch.equal(outcome.terms["held"][:4], lifted[:4])
    assert outcome.success.tolist() == [True, True, False, False, False]

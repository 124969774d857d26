"""Furniture against the mechanics of the textbook, and what a closed one looks like."""

import math

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.env import Env
from tasks.manipulation.open import (
    ANGLE,
    MECHANISMS,
    PANEL_MASS,
    SUCCESS,
    TOOL_Z,
    Open,
)
from tasks.task import Task

NAMES = tuple(MECHANISMS)
LATCH, DAMPING, TRAVEL = 25.0, 20.0, 0.16
POST_MASS = 0.1
WIDE = 0.1  # [m], half of the front


def make_task(mechanism: str, **changed: float) -> Task:
    parameters = {"latch": LATCH, "damping": DAMPING, "travel": TRAVEL, **changed}
    return Task(
        family="open",
        split="train",
        seed=0,
        parameters={"mechanism": mechanism, **parameters},
    )


def make_env(tasks: list[Task]) -> Env:
    env = Env(Open(), worlds=len(tasks), threads=1)
    env.assign(tasks)
    return env


def furniture(mechanism: str, **changed: float) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """One piece that nobody holds, closed, in steps of 0.2 ms."""
    env = make_env([make_task(mechanism, **changed)])
    env.reset(torch.Generator().manual_seed(0))
    model = env.sim.model_of(0)  # pyright: ignore
    state = env.sim.state()[0]  # pyright: ignore
    model.opt.timestep = 2e-4
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION.value)
    data.eq_active[:] = 0
    mujoco.mj_forward(model, data)
    return model, data


def joint_of(mechanism: str) -> str:
    return "hinge" if MECHANISMS[mechanism][2] else "slide"


def pull(mechanism: str, force: float, seconds: float) -> tuple[float, float]:
    """Way and speed of a handle [m, m/s] pulled where it wants to go, from closed."""
    model, data = furniture(mechanism)
    lever = TRAVEL / ANGLE if joint_of(mechanism) == "hinge" else 1.0
    dof = model.joint(joint_of(mechanism)).id
    data.qfrc_applied[dof] = force * lever
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    return float(data.qpos[dof] * lever), float(data.qvel[dof] * lever)


@pytest.mark.parametrize("mechanism", NAMES)
def test_a_pull_accelerates_what_the_latch_and_damping_leave(mechanism: str) -> None:
    mass = PANEL_MASS + POST_MASS
    if joint_of(mechanism) == "hinge":
        radius = TRAVEL / ANGLE
        # a box of half-edges a, b about its middle: m (a^2 + b^2) / 3; then Steiner
        front = PANEL_MASS * (0.01**2 + WIDE**2) / 3
        post = POST_MASS * (0.008**2 + 0.008**2) / 3
        mass += (front + post) / radius**2
    force, seconds = LATCH + 8.0, 0.3
    way, speed = pull(mechanism, force, seconds)
    # m dv/dt = F - latch - c v from rest
    limit, settling = (force - LATCH) / DAMPING, mass / DAMPING
    faded = math.exp(-seconds / settling)
    assert speed == pytest.approx(limit * (1 - faded), rel=2e-3)
    assert way == pytest.approx(limit * (seconds - settling * (1 - faded)), rel=5e-3)


@pytest.mark.parametrize("mechanism", ["drawer", "door-left", "oblique-right"])
def test_a_latch_holds_below_its_force_and_yields_above(mechanism: str) -> None:
    held, _ = pull(mechanism, 0.95 * LATCH, 0.5)
    given, _ = pull(mechanism, 1.05 * LATCH, 0.5)
    assert abs(held) < 1e-3
    assert given > 0.01


@pytest.mark.parametrize("mechanism", NAMES)
def test_a_handle_goes_along_its_line_or_its_arc(mechanism: str) -> None:
    model, data = furniture(mechanism)
    joint = model.joint(joint_of(mechanism)).id
    handle = data.site("handle").xpos.copy()
    *way, turn = MECHANISMS[mechanism]
    along = np.array([*way, 0.0])
    low, high = model.jnt_range[joint]
    assert low == 0
    for share in (0.0, 0.3, 1.0):
        data.qpos[joint] = share * high
        mujoco.mj_kinematics(model, data)
        if turn:
            angle, radius = share * ANGLE, TRAVEL / ANGLE
            aside = turn * np.array([-along[1], along[0], 0.0])
            expected = radius * (
                math.sin(angle) * along + (1 - math.cos(angle)) * aside
            )
        else:
            expected = share * TRAVEL * along
        np.testing.assert_allclose(
            data.site("handle").xpos - handle, expected, atol=1e-8
        )


def compass(env: Env) -> Tensor:
    """Where each handle wants to go now."""
    number = env._values["mechanism"].long()
    x, y, turn = torch.tensor(list(MECHANISMS.values()))[number].unbind(-1)
    angle = turn * env._now.readings.qpos[:, 10]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


def test_the_hand_stays_on_the_handle_and_all_else_stands() -> None:
    env = make_env([make_task(name) for name in NAMES])
    env.reset(torch.Generator().manual_seed(0))
    stood = env._now.readings.qpos[:, 7:9].clone()
    state = mujoco.mjtState.mjSTATE_INTEGRATION.value
    rng = torch.Generator().manual_seed(1)
    for step in range(env.horizon):
        noise = 2 * torch.rand(len(NAMES), 2, generator=rng) - 1
        env.step(compass(env) if step % 4 else noise)
        for world, now in enumerate(env.sim.state()):  # pyright: ignore
            model = env.sim.model_of(world)  # pyright: ignore
            data = mujoco.MjData(model)
            mujoco.mj_setState(model, data, now, state)
            mujoco.mj_kinematics(model, data)
            apart = data.site("tool").xpos - data.site("handle").xpos
            assert np.abs(apart).max() < 2e-3
            locked = {"slide": "hinge", "hinge": "slide"}[joint_of(NAMES[world])]
            assert abs(data.joint(locked).qpos[0]) < 1e-5
    assert (env._now.readings.qpos[:, 7:9] - stood).abs().max() < 1e-5
    assert (env._now.readings.sensors["tool_pos"][:, 2] - TOOL_Z).abs().max() < 5e-3


def test_all_that_is_closed_looks_alike() -> None:
    env = make_env([make_task(name) for name in NAMES])
    start = env.family.start(env.family.values(env.tasks[:1]), torch.Generator())
    qpos, qvel = (part.repeat(len(NAMES), 1) for part in start)
    readings = env.sim.reset(qpos, qvel)
    assert all((v == v[0]).all() for v in readings.sensors.values())
    seen: list[list[np.ndarray]] = []
    for world, now in enumerate(env.sim.state()):  # pyright: ignore
        model = env.sim.model_of(world)  # pyright: ignore
        data = mujoco.MjData(model)
        mujoco.mj_setState(model, data, now, mujoco.mjtState.mjSTATE_INTEGRATION.value)
        mujoco.mj_forward(model, data)
        looks = (model.geom_type, model.geom_size, model.geom_rgba)
        seen.append([*looks, data.geom_xpos, data.geom_xmat])
    for other in seen[1:]:
        for one, another in zip(seen[0], other, strict=True):
            np.testing.assert_allclose(one, another, atol=1e-12)


def test_who_knows_the_way_opens_and_no_one_way_opens_most() -> None:
    family = Open()
    env = make_env(family.sample("held-out", 0, 100))

    def opened(way: Tensor | None) -> float:
        env.reset(torch.Generator().manual_seed(0))
        for _ in range(env.horizon):
            env.step(compass(env) if way is None else way.expand(100, 2))
        return (family.openness(env._now) > SUCCESS).float().mean().item()

    assert opened(None) > 0.85
    ways = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    diagonals = torch.tensor([[-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    for way in (*ways, *diagonals):
        assert opened(way) < 0.5


def test_two_ways_at_once_are_not_twice_the_force() -> None:
    env = make_env([make_task("drawer"), make_task("drawer")])
    rng = torch.Generator().manual_seed(0)
    start = env.family.start(env.family.values(env.tasks[:1]), rng)
    qpos, qvel = (part.repeat(2, 1) for part in start)
    env.reset(rng)
    env._now = env._instant(env.sim.reset(qpos, qvel))
    corner = torch.tensor([[-1.0, 1.0], [-(0.5**0.5), 0.5**0.5]])
    step = env.step(corner)
    torch.testing.assert_close(step.obs[0], step.obs[1])
    torch.testing.assert_close(step.reward[0], step.reward[1])

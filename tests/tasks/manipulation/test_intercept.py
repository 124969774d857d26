"""intercept: the puck's way back follows the law of reflection, and is hidden."""

import copy
import dataclasses
import math

import mujoco
import numpy as np
import pytest
import torch

from tasks.manipulation import intercept
from tasks.manipulation.intercept import Intercept, spring
from tasks.registry import make_env
from tasks.task import Task

FAMILY = Intercept()


def task(**values: float) -> Task:
    [drawn] = FAMILY.sample("held-out", 0, 1)
    return dataclasses.replace(drawn, parameters={**drawn.parameters, **values})


def mirror(angle: float, restitution: float, aim: float) -> tuple[float, float]:
    """Where from the launcher the puck crosses the line, and after how long [m, s]."""
    normal = np.array([-math.cos(angle), -math.sin(angle)])
    out = intercept.SHOT * np.array([math.cos(aim), math.sin(aim)])
    face = np.array([intercept.BUMPER, 0.0]) + intercept.RADIUS * normal
    launcher = np.array([intercept.LAUNCH, 0.0])
    first = (face - launcher) @ normal / (out @ normal)
    hit = launcher + first * out
    back = out - (1 + restitution) * (out @ normal) * normal
    second = (intercept.CROSSED - hit[0]) / back[0]
    return float(hit[1] + second * back[1]), first + second


@pytest.mark.parametrize("bumper", [-5.0, 0.0, 4.0])
@pytest.mark.parametrize("restitution", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("aim", [-6.0, 3.0])
def test_the_way_back_is_that_of_a_mirror(
    bumper: float, restitution: float, aim: float
) -> None:
    values = FAMILY.values([task(aim=aim, bumper=bumper, restitution=restitution)])
    model = copy.copy(FAMILY.model)
    for name, rows in FAMILY.model_fields(values).items():
        getattr(model, name)[:] = rows[0].numpy()
    data = mujoco.MjData(model)
    qpos, qvel = FAMILY.start(values, torch.Generator().manual_seed(0))
    data.qpos, data.qvel = qpos[0].numpy(), qvel[0].numpy()
    puck, start = data.body("puck"), float(qpos[0, FAMILY._puck.qpos][1])
    mujoco.mj_kinematics(model, data)
    before = puck.xpos.copy()
    while puck.xpos[0] > intercept.CROSSED:
        before = puck.xpos.copy()
        mujoco.mj_step(model, data)
        assert data.time < 1.2
    share = (before[0] - intercept.CROSSED) / (before[0] - puck.xpos[0])
    crossed = before[1] + share * (puck.xpos[1] - before[1])
    place, after = mirror(math.radians(bumper), restitution, math.radians(aim))
    # the bumper gives way by 2 cm
    assert crossed - start == pytest.approx(place, abs=0.015)
    assert data.time == pytest.approx(after + intercept.CONTACT / 2, abs=0.05)


def test_a_spring_gives_back_its_share() -> None:
    """By integrating the spring and the damper until they let go."""
    for restitution in (0.4, 0.65, 0.9):
        stiffness, damping = (-spring(torch.tensor([restitution]))[0]).tolist()
        x, v, dt = 0.0, -1.0, 1e-6
        while x <= 0:
            v -= dt * (stiffness * x + damping * v)
            x += dt * v
        assert v == pytest.approx(restitution, abs=1e-3)


def test_the_puck_is_hidden_until_it_crosses_the_line() -> None:
    tasks = [task(aim=a, bumper=b) for a in (-6.0, 6.0) for b in (-5.0, 5.0)]
    env = make_env(FAMILY, worlds=4, threads=1)
    env.assign(tasks)
    obs = env.reset(torch.Generator().manual_seed(0))
    first = obs
    crossed = torch.zeros(4, dtype=torch.bool)
    for _ in range(FAMILY.horizon):
        assert (obs[~crossed, 3:5] == 0).all()
        step = env.step(torch.zeros(4, 1))
        obs, crossed = step.obs, crossed | (step.terms["met"] > 0)
    assert crossed.all()
    # the same start tells all tasks alike
    env.assign(tasks[::-1])
    assert torch.equal(env.reset(torch.Generator().manual_seed(0)), first)


def test_waiting_where_it_comes_out_keeps_the_puck() -> None:
    tasks = FAMILY.sample("held-out", 1, 60)
    env = make_env(FAMILY, worlds=60, threads=1)
    env.assign(tasks)
    obs = env.reset(torch.Generator().manual_seed(0))
    p = [{k: float(v) for k, v in t.parameters.items()} for t in tasks]
    ways = [
        mirror(math.radians(x["bumper"]), x["restitution"], math.radians(x["aim"]))[0]
        for x in p
    ]
    place = obs[:, 2] / 10 + torch.tensor(ways)
    met, kept = torch.zeros(60), torch.zeros(60)
    for _ in range(FAMILY.horizon):
        action = (10 * (place - obs[:, 0] / 5))[:, None]
        step = env.step(action)
        obs, met, kept = step.obs, met + step.terms["met"], step.success.float()
    assert met.mean() > 0.8
    assert kept.mean() > 0.95
    env.reset(torch.Generator().manual_seed(0))
    for _ in range(FAMILY.horizon):
        kept = env.step(torch.zeros(60, 1)).success.float()
    assert kept.mean() < 0.6

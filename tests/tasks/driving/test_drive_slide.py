"""drive-slide: where the car stops follows from grip and slack, which are hidden."""

import copy
import dataclasses

import mujoco
import pytest
import torch
from torch import Tensor

from robots.wheeled.figures import WHEELS
from tasks.driving import drive_slide
from tasks.driving.drive_slide import REACH, DriveSlide
from tasks.env import Env
from tasks.parameters import Scalar
from tasks.task import Task

FAMILY = DriveSlide()
PERIOD = FAMILY.substeps * FAMILY.model.opt.timestep


def task(**values: float) -> Task:
    [drawn] = FAMILY.sample("held-out", 0, 1)
    return dataclasses.replace(drawn, parameters={**drawn.parameters, **values})


def way(speed: Tensor, friction: Tensor | float, slack: Tensor | float) -> Tensor:
    """Distance between the pull and where the car stands [m]."""
    return speed * slack + speed**2 / (2 * 9.81 * friction)


def speed_of(obs: Tensor) -> Tensor:
    return obs[:, 2] / 2 + 2.3


def played(tasks: list[Task], friction: Tensor | float, slack: Tensor | float) -> tuple:
    """Return and success of pulling as if friction and slack were these."""
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    obs = env.reset(torch.Generator().manual_seed(0))
    total, success = torch.zeros(len(tasks)), None
    for _ in range(FAMILY.horizon):
        speed = speed_of(obs)
        # half a period early as often as half a period late
        pull = way(speed, friction, slack) + speed * PERIOD / 2
        step = env.step((2 * pull / REACH - 1)[:, None])
        obs, success, total = step.obs, step.success, total + step.reward
        assert not step.fault.any()
    assert success is not None
    return total.mean().item(), success.float().mean().item()


@pytest.mark.parametrize("friction", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("slack", [0.0, 0.3])
def test_the_car_stops_where_the_closed_form_says(
    friction: float, slack: float
) -> None:
    values = FAMILY.values([task(friction=friction, slack=slack)])
    model = copy.copy(FAMILY.model)
    for name, rows in FAMILY.model_fields(values).items():
        getattr(model, name)[:] = rows[0].numpy()
    env = Env(FAMILY, worlds=1, threads=1)
    env.assign([task(friction=friction, slack=slack)])
    obs = env.reset(torch.Generator().manual_seed(1))
    data = mujoco.MjData(model)
    data.qpos, data.qvel = (
        getattr(env._now.readings, name)[0].double().numpy()
        for name in ("qpos", "qvel")
    )
    speed, start = speed_of(obs), float(data.qpos[0])
    for _ in range(FAMILY.horizon):
        env.step(torch.ones(1, 1))  # pulls at once
    # the same by mj_step alone: the brakes come on when the slack is out
    lock = round(slack / PERIOD) * PERIOD
    brakes = [model.actuator(f"car/{w}_brake").id for w in WHEELS]
    for _ in range(FAMILY.horizon * FAMILY.substeps):
        data.ctrl[brakes] = float(data.time > lock - 1e-9)
        mujoco.mj_step(model, data)
    moved = env._now.readings.qpos[0, 0].item() - start
    assert moved == pytest.approx(data.qpos[0] - start, abs=1e-5)
    expected = way(speed, friction, lock).item()
    assert moved == pytest.approx(expected, rel=0.03, abs=0.01)
    assert abs(env._now.readings.qvel[0, 0].item()) < drive_slide.STILL


def test_once_pulled_it_stays_pulled() -> None:
    env = Env(FAMILY, worlds=1, threads=1)
    env.assign([task(friction=0.3, slack=0.2)])
    env.reset(torch.Generator().manual_seed(1))
    pulled = [env.step(torch.tensor([[1.0]])).obs[0, 3].item()]
    for _ in range(FAMILY.horizon - 1):
        step = env.step(torch.tensor([[-1.0]]))
        pulled.append(step.obs[0, 3].item())
    assert set(pulled) == {1.0}
    assert env._now.readings.qvel[0, 0].abs() < drive_slide.STILL


def test_nothing_of_grip_and_slack_is_felt_before_the_brakes_bite() -> None:
    tasks = [task(friction=f, slack=s) for f in (0.2, 0.9) for s in (0.0, 0.3)]
    env = Env(FAMILY, worlds=4, threads=1)
    env.assign([tasks[0]] * 4)
    first = env.reset(torch.Generator().manual_seed(0))
    env.assign(tasks)
    assert torch.equal(env.reset(torch.Generator().manual_seed(0)), first)
    alike = env._now.readings
    state = torch.cat([alike.qpos, alike.qvel], dim=1)[:1].repeat(4, 1)
    env.sim.reset(state[:, : FAMILY.model.nq], state[:, FAMILY.model.nq :])
    for _ in range(20):
        obs = env.step(-torch.ones(4, 1)).obs[:, 2:]
        assert (obs - obs[0]).abs().max() < 2e-3


@pytest.mark.slow
def test_knowing_the_task_is_worth_more_than_a_third_of_the_range() -> None:
    tasks = FAMILY.sample("held-out", 1, 100)
    numbers = FAMILY.values(tasks)
    told, parked = played(tasks, numbers["friction"], numbers["slack"])
    assert told > 1.0
    assert parked > 0.95
    # the best of a grid by the closed form
    fixed, _ = played(tasks, 0.85, 0.3)
    assert (told - fixed) / told > 0.45
    # a lie about either alone is dear
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    for lie in ("friction", "slack"):
        believed = {**numbers, lie: numbers[lie][order]}
        lied, _ = played(tasks, believed["friction"], believed["slack"])
        assert told - lied > 0.3


def test_the_slipperiest_road_leaves_room_to_stop() -> None:
    """And the quickest brake time to get there."""
    slow, fast = drive_slide.SPEED
    near, far = drive_slide.PLACE
    friction, slack = FAMILY.parameters
    assert isinstance(friction, Scalar)
    assert isinstance(slack, Scalar)
    slippery, lively = friction.low, slack.high
    longest = way(torch.tensor(fast), slippery, lively)
    assert longest < min(near, REACH)
    slide = way(torch.tensor(slow), slippery, 0.0)
    assert (far + slide) / slow < FAMILY.horizon * PERIOD

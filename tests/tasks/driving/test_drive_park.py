"""drive-park: what the steering does, what is seen, and what knowing it is worth."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from robots.wheeled.figures import STEER, WHEELBASE
from tasks.driving.drive_park import DrivePark
from tasks.env import Env
from tasks.parameters import Value
from tasks.task import Task

FAMILY = DrivePark()
PERIOD = FAMILY.substeps * FAMILY.model.opt.timestep
SLOW = -0.6  # [m/s] 0.4


def task(**values: Value) -> Task:
    [drawn] = FAMILY.sample("held-out", 0, 1)
    plain = {"mirrored": "no", "gain": 1.0, "bias": 0.0, "lag": 0.02}
    return dataclasses.replace(drawn, parameters=plain | values)


def made(tasks: list[Task], seed: int = 0) -> tuple[Env, Tensor]:
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    return env, env.reset(torch.Generator().manual_seed(seed))


def motion(env: Env) -> tuple[Tensor, Tensor, Tensor]:
    """Heading, yaw rate and speed of the cars."""
    found = FAMILY.motion(env._now.readings)
    return found.yaw, found.turn, found.ahead


def test_the_steering_is_what_is_hidden() -> None:
    """In a slow turn the yaw rate is v tan(steer) / L of the angle at the wheels."""
    command = 0.5
    tasks = [
        task(),
        task(mirrored="yes"),
        task(gain=0.6),
        task(bias=0.1),
        task(mirrored="yes", gain=0.8, bias=-0.1),
    ]
    env, _ = made(tasks)
    for _ in range(25):
        env.step(torch.tensor([[command, SLOW]]).expand(len(tasks), 2))
    _, turn, speed = motion(env)
    angle = STEER * command
    angles = [angle, -angle, 0.6 * angle, angle + 0.1, -0.8 * angle - 0.1]
    wanted = speed * torch.tensor(angles).tan() / WHEELBASE
    torch.testing.assert_close(turn, wanted, rtol=0.05, atol=0.01)


def test_the_lag_is_a_first_order_one() -> None:
    """The wheels go to their angle as 1 - exp(-t / lag)."""
    lags = (0.05, 0.3)
    env, _ = made([task(lag=lag) for lag in lags])
    wheel = FAMILY.model.joint("car/front_left_steer").qposadr[0]
    seen: list[Tensor] = []
    for _ in range(20):
        env.step(torch.tensor([[0.3, -1.0]]).expand(2, 2))
        seen.append(env._now.readings.qpos[:, wheel].clone())
    final = seen[-1][0]
    for i, lag in enumerate(lags):
        share = float(seen[4][i] / final)
        assert share == pytest.approx(1 - math.exp(-5 * PERIOD / lag), abs=0.03)


def test_nothing_that_is_seen_on_the_way_tells_of_the_steering() -> None:
    tasks = [task(), task(mirrored="yes", gain=0.7, bias=0.1, lag=0.3)]
    env, first = made(tasks)
    now = env._now.readings
    start = (x[:1].repeat(2, 1) for x in (now.qpos, now.qvel))
    env._now = dataclasses.replace(env._now, readings=env.sim.reset(*start))
    action = torch.tensor([[0.6, 0.2]]).expand(2, 2)
    *under_way, last = [env.step(action).obs for _ in range(FAMILY.horizon)]
    for obs in under_way:
        assert torch.equal(obs[0], obs[1])
        assert torch.equal(obs[0, :3], first[0, :3])
    # at the end both see where they stand
    assert (last[0, 4:] - last[1, 4:]).abs().max() > 0.5


CRUISE = 1.3  # [m/s]


def known(obs: Tensor, step: int, belief: list[Task]) -> Tensor:
    """Actions of a driver who takes the steering for a given one.

    He follows the cubic from his place to the bay, by the angle that its curvature asks
    for where he reckons to be once the wheels have turned.
    """
    x, y, yaw = (obs[:, 0] + 3.2) / 2, obs[:, 1] / 2, obs[:, 2] / 3
    values = FAMILY.values(belief)
    made = CRUISE * max(step * PERIOD - 0.15, 0.0)
    way = torch.minimum(made + CRUISE * (values["lag"] + 0.02), x)
    a = (yaw.tan() * x - 2 * y) / x**3
    b = (3 * y - yaw.tan() * x) / x**2
    slope, bend = 3 * a * way**2 + 2 * b * way, 6 * a * way + 2 * b
    angle = (WHEELBASE * bend / (1 + slope**2) ** 1.5).atan()
    gain = (1 - 2 * values["mirrored"]) * values["gain"]
    steer = (angle - values["bias"]) / (gain * STEER)
    pedal = torch.where(made > x - 0.23, -1.0, CRUISE - 1)
    return torch.stack([steer.clamp(-1, 1), pedal], -1)


def lived(tasks: list[Task], belief: list[Task]) -> tuple[float, float]:
    """Mean return and success of such a driver."""
    env, obs = made(tasks)
    total = torch.zeros(len(tasks))
    success = torch.zeros(len(tasks), dtype=torch.bool)
    for step in range(FAMILY.horizon):
        done = env.step(known(obs, step, belief))
        assert not done.fault.any()
        obs, success, total = done.obs, done.success, total + done.reward
    return float(total.mean()), float(success.float().mean())


def test_knowing_the_steering_is_worth_a_third() -> None:
    """Each parameter of it, too, but for the lag."""
    tasks = list(FAMILY.sample("held-out", 1, 100))
    told, success = lived(tasks, tasks)
    assert told > 0.8
    assert success > 0.5
    straight, _ = lived(tasks, [task()] * 100)
    assert told - straight > 0.4
    for name, value in (("mirrored", "no"), ("gain", 0.85), ("bias", 0.0)):
        lied = [
            dataclasses.replace(t, parameters={**t.parameters, name: value})
            for t in tasks
        ]
        assert told - lived(tasks, lied)[0] > 0.05, name

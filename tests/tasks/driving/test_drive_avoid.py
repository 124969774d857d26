"""drive-avoid: who jumps, when and which way, and what knowing it is worth."""

import dataclasses

import pytest
import torch
from torch import Tensor

from robots.wheeled.figures import STEER
from tasks.driving.drive_avoid import NEAR, ROOM, TOP, DriveAvoid
from tasks.env import Env
from tasks.parameters import Value
from tasks.task import Task

FAMILY = DriveAvoid()
PERIOD = FAMILY.substeps * FAMILY.model.opt.timestep


def task(**values: Value) -> Task:
    [drawn] = FAMILY.sample("held-out", 0, 1)
    return dataclasses.replace(drawn, parameters={**drawn.parameters, **values})


def made(tasks: list[Task]) -> tuple[Env, Tensor]:
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    return env, env.reset(torch.Generator().manual_seed(0))


def walker(env: Env) -> tuple[Tensor, Tensor]:
    """Place and velocity of the one on the lane, across it."""
    readings, joints = env._now.readings, FAMILY._walker
    return joints.positions(readings)[:, 1], joints.velocities(readings)[:, 1]


def gap(obs: Tensor) -> Tensor:
    return 2 * obs[:, 5]


def driven(obs: Tensor, side: Tensor | float, share: float) -> Tensor:
    """Actions that make for one side, at a share of the speed that counts."""
    y, yaw, speed = obs[:, 0] / 2, (obs[:, 1] / 2).asin(), 1.5 * obs[:, 2] + 2
    steer = 1.2 * (0.3 * side - y - yaw)
    return torch.stack([(steer / STEER).clamp(-1, 1), 2 * (share * TOP - speed)], -1)


def lived(
    tasks: list[Task], side: Tensor | float | None, share: float
) -> tuple[Tensor, Tensor]:
    """Returns and successes of such a driver, or without a side, of one who reacts."""
    env, obs = made(tasks)
    running, total = torch.ones(len(tasks), dtype=torch.bool), torch.zeros(len(tasks))
    success = ~running
    for _ in range(FAMILY.horizon):
        step = env.step(reacting(obs) if side is None else driven(obs, side, share))
        assert not step.fault.any()
        total += step.reward * running
        success = torch.where(running, step.success, success)
        running = running & ~step.terminated
        obs = step.obs
    return total, success


def away(tasks: list[Task]) -> Tensor:
    """The side that each one's habit leaves free: 1 is the left."""
    return 2 * FAMILY.values(tasks)["habit"] - 1


@pytest.mark.parametrize(("habit", "sign"), [("left", 1), ("right", -1)])
def test_they_jump_when_the_car_is_near_and_by_their_habit(
    habit: str, sign: int
) -> None:
    haste = 0.5
    env, obs = made([task(habit=habit, haste=haste, friction=0.5)])
    at, moved = walker(env)[0].item(), 0
    for _ in range(FAMILY.horizon):
        near = gap(obs)[0] < NEAR
        free = walker(env)[0].abs().item() < ROOM
        obs = env.step(torch.tensor([[0.0, 0.3]])).obs
        y, speed = (x.item() for x in walker(env))
        if not near:
            assert y == pytest.approx(at, abs=1e-6)
        elif free:
            moved += 1
            # they gather speed in a fiftieth of a second
            assert sign * speed == pytest.approx(haste, rel=0.08)
            way = haste * (moved * PERIOD - 0.02)
            assert sign * (y - at) == pytest.approx(way, abs=0.004)
    assert moved > 5


def test_the_habit_is_seen_too_late() -> None:
    """Until they jump, all that is observed is alike; then a second is left or less."""
    env, obs = made([task(habit="left"), task(habit="right")])
    now = env._now.readings
    start = (x[:1].repeat(2, 1) for x in (now.qpos, now.qvel))
    env._now = dataclasses.replace(env._now, readings=env.sim.reset(*start))
    alike = True
    for _ in range(FAMILY.horizon):
        step = env.step(torch.tensor([[0.0, 1.0]]).repeat(2, 1))
        if alike:
            same = torch.allclose(step.obs[0], step.obs[1], atol=1e-6)
            if not same:
                alike = False
                assert (gap(step.obs) < NEAR).all()
                assert (gap(step.obs) / (1.5 * step.obs[:, 2] + 2) < 0.6).all()
        obs = step.obs
    assert not alike
    assert (obs[0] - obs[1]).abs().max() > 0.1


def test_a_collision_and_the_roadside_forfeit_the_way_made_good() -> None:
    tasks = [task(habit=h, friction=0.5) for h in ("left", "right")]
    into, _ = lived(tasks, -away(tasks), 0.9)
    torch.testing.assert_close(into, torch.zeros(2), atol=0.03, rtol=0)
    env, _ = made([task(friction=0.5)])
    steps = [env.step(torch.tensor([[0.6, 0.0]])) for _ in range(FAMILY.horizon)]
    ended = [bool(step.terminated[0]) for step in steps]
    first = ended.index(True)
    total = sum(float(step.reward[0]) for step in steps[: first + 1])
    assert total == pytest.approx(0.0, abs=0.03)
    assert not steps[first].success[0]


def reacting(obs: Tensor) -> Tensor:
    """Actions down the middle, slower than could be, until they are seen to jump."""
    jumped = 2 * (gap(obs) < NEAR - 0.05)
    where = obs[:, 7] / 2 + obs[:, 0] / 2
    side = -where.sign() * jumped * (where.abs() > 0.12)
    return driven(obs, side.clamp(-1, 1), 0.75)


@pytest.mark.slow
def test_knowing_the_habit_and_the_grip_is_worth_a_fifth() -> None:
    tasks = FAMILY.sample("held-out", 1, 100)
    friction = FAMILY.values(tasks)["friction"]
    best = {s: lived(tasks, away(tasks), s)[0] for s in (0.6, 0.8, 1.0)}
    told = torch.where(friction < 0.2, best[0.8], best[1.0]).mean()
    assert told > 0.8
    # drivers who know neither: to one side, slowly down the middle, or reacting
    blind = [
        lived(tasks, side, share)[0].mean()
        for side in (-1.0, 0.0, 1.0)
        for share in (0.3, 0.5, 0.7, 0.9)
    ]
    blind.append(lived(tasks, None, 0.0)[0].mean())
    assert (told - max(blind)) / told > 0.2
    # one who knows the habit alone, and drives all roads at one speed
    assert told - max(x.mean() for x in best.values()) > 0.05

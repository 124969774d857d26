"""drive-fork: the ways, what a bend allows, and what knowing the grips is worth."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from robots.wheeled.figures import FRONT
from tasks.driving.drive_fork import (
    ASKED,
    COMMIT,
    LATE,
    PARTED,
    ROOM,
    TOP,
    DriveFork,
)
from tasks.driving.ways import LAYOUTS, POINTS, WAYS, lay_ways, stripes
from tasks.env import Env
from tasks.parameters import Value
from tasks.task import Task

FAMILY = DriveFork()
PERIOD = FAMILY.substeps * FAMILY.model.opt.timestep
LEFT, RIGHT = 1.0, -1.0


def task(**values: Value) -> Task:
    [drawn] = FAMILY.sample("held-out", 0, 1)
    return dataclasses.replace(drawn, parameters={**drawn.parameters, **values})


def made(tasks: list[Task], seed: int = 0) -> tuple[Env, Tensor]:
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    return env, env.reset(torch.Generator().manual_seed(seed))


def asking(way: Tensor | float, speed: Tensor) -> Tensor:
    """The action that asks for a way and a speed [m/s]."""
    share = 2 * (speed - ASKED[0]) / (ASKED[1] - ASKED[0]) - 1
    return torch.stack([way * torch.ones_like(share), share], dim=-1)


def along(env: Env) -> Tensor:
    return FAMILY._track(env._now).along


def lived(
    tasks: list[Task], way: Tensor | float, speed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns, successes, and how long the way took [s]."""
    env, _ = made(tasks)
    running = torch.ones(len(tasks), dtype=torch.bool)
    total, took, success = torch.zeros(len(tasks)), torch.zeros(len(tasks)), ~running
    for _ in range(FAMILY.horizon):
        step = env.step(asking(way, speed))
        assert not step.fault.any()
        total, took = total + step.reward * running, took + PERIOD * running
        success = torch.where(running, step.success, success)
        running = running & ~step.terminated
    return total, success, took


# -- the ways ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "end", "heading"),
    [
        ("hairpin", (0.0, 2.0), math.pi),
        ("corner", (1.0, 1.2), math.pi / 2),
        ("esses", (2 * math.sin(1.1) + 0.1, 2 - 2 * math.cos(1.1)), 0.0),
        ("island", (3 * math.sin(0.8), 1 - math.cos(0.8)), -0.8),
    ],
)
def test_ways_end_where_arcs_do(
    layout: str, end: tuple[float, float], heading: float
) -> None:
    ways, i = lay_ways(), list(LAYOUTS).index(layout)
    torch.testing.assert_close(ways.place[i, -1], torch.tensor(end), atol=1e-5, rtol=0)
    assert ways.heading[i, -1].item() == pytest.approx(heading, abs=1e-6)
    assert ways.place[i, 0].tolist() == [0, 0]


def test_points_are_evenly_spaced_and_headings_are_slopes() -> None:
    ways = lay_ways()
    steps = ways.place.diff(dim=1)
    even = (ways.length / (POINTS - 1))[:, None].expand(-1, POINTS - 1)
    torch.testing.assert_close(steps.norm(dim=-1), even, atol=0, rtol=1e-3)
    slopes = torch.atan2(steps[..., 1], steps[..., 0])
    halfway = (ways.heading[:, 1:] + ways.heading[:, :-1]) / 2
    off = torch.atan2((slopes - halfway).sin(), (slopes - halfway).cos())
    assert off.abs().max() < 0.02
    turned = ways.heading.diff(dim=1) / even
    inside = turned - (ways.curvature[:, 1:] + ways.curvature[:, :-1]) / 2
    assert inside.abs().max() < 1.01  # where a piece ends, at most
    assert inside.abs().median() < 1e-3


def test_both_ways_are_drawn_where_the_car_is_judged() -> None:
    """A stripe lies on the way, and the one to the right is its mirror image."""
    layouts = torch.arange(len(LAYOUTS)).float()
    drawn = stripes(layouts, torch.full_like(layouts, 1.2), ROOM)
    left, right = drawn.pos.chunk(2, dim=1)
    torch.testing.assert_close(left[..., :2] * torch.tensor([1, -1]), right[..., :2])
    points = 1.2 * lay_ways().place
    near = torch.cdist(left[..., :2], points).amin(-1)
    assert near.max() < 2e-3
    torch.testing.assert_close(left[:, -1, :2], points[:, -1])


# -- driving -------------------------------------------------------------------------


@pytest.mark.parametrize("friction", [0.15, 0.5])
@pytest.mark.parametrize("way", [LEFT, RIGHT])
def test_a_bend_is_lost_beyond_the_speed_of_the_closed_form(
    friction: float, way: float
) -> None:
    """It is sqrt(mu g R), and a road of some width forgives a little more."""
    name = f"friction_{WAYS[int(way == RIGHT)]}"
    bend = task(layout="hairpin", radius=1.1, **{name: friction})
    limit = math.sqrt(friction * 9.81 * 1.1)
    speed = limit * torch.tensor([0.8, 0.9, 0.97, 1.3, 1.5])
    env, _ = made([bend] * 5)
    lost = torch.zeros(5, dtype=torch.bool)
    for _ in range(FAMILY.horizon):
        step = env.step(asking(way, speed))
        lost |= step.terminated & ~step.success
    assert lost.tolist() == [False, False, False, True, True]
    assert (along(env)[:3] > 1.8).all()


def test_no_car_turns_harder_than_its_grip() -> None:
    env, _ = made([task(layout="hairpin", friction_left=0.2)] * 3)
    pulled: list[Tensor] = []
    for _ in range(FAMILY.horizon):
        before = FAMILY._root.velocities(env._now.readings)[:, :2]
        env.step(asking(LEFT, torch.tensor([1.2, 1.6, 2.4])))
        gained = FAMILY._root.velocities(env._now.readings)[:, :2] - before
        bent = (along(env) > PARTED[0] + 0.3) & (along(env) < 1.5)
        speed = FAMILY.motion(env._now.readings).ahead[0]
        own = torch.cat([gained.norm(dim=-1) / PERIOD, speed[None]])
        pulled.append(torch.where(bent[[0, 1, 2, 0]], own, torch.nan))
    *mean, speed = torch.stack(pulled).nanmean(0).tolist()
    assert max(mean) < 1.1 * 0.2 * 9.81
    # the slow one takes what it needs, and the others all that there is
    assert min(mean[1:]) > 0.9 * 0.2 * 9.81
    [radius] = FAMILY.values(env.tasks[:1])["radius"].tolist()
    assert mean[0] == pytest.approx(speed**2 / radius, rel=0.1)


def test_the_way_is_chosen_before_the_fork_and_kept() -> None:
    env, _ = made([task(friction_left=0.5, friction_right=0.5)] * 2)
    sides: list[Tensor] = []
    slow = torch.full((2,), 1.2)
    for _ in range(30):
        free = along(env) < -COMMIT
        # the second world's mind is changed again and again, and at last to the right
        mind = torch.where(free, torch.tensor([LEFT, RIGHT]), torch.tensor(LEFT))
        step = env.step(asking(mind, slow))
        sides.append(step.obs[:, 0])
    assert sides[0].tolist() == [0, 0]
    assert sides[-1].tolist() == [1, -1]
    y = FAMILY.motion(env._now.readings).y
    assert y[0] > 0.1
    assert y[1] < -0.1


def test_in_the_bend_there_is_no_drive_but_a_brake() -> None:
    env, _ = made([task(friction_left=0.9)] * 2)
    while (along(env) < 0).any():
        env.step(asking(LEFT, torch.full((2,), 1.3)))
    before = FAMILY.motion(env._now.readings).ahead
    for _ in range(4):
        env.step(asking(LEFT, torch.tensor([3.4, 0.6])))
    after = FAMILY.motion(env._now.readings).ahead
    assert before[0] - 0.15 < after[0] < before[0] + 0.02
    assert after[1] < 0.75


def test_nothing_of_either_grip_is_felt_before_the_bend() -> None:
    grips = [(a, b) for a in (0.1, 0.9) for b in (0.1, 0.9)]
    tasks = [task(friction_left=a, friction_right=b) for a, b in grips]
    env, _ = made(tasks)
    state = [
        x[:1].repeat(4, 1) for x in (env._now.readings.qpos, env._now.readings.qvel)
    ]
    env._now = dataclasses.replace(env._now, readings=env.sim.reset(*state))
    while True:
        obs = env.step(asking(LEFT, torch.full((4,), 2.8))).obs
        if (along(env) > PARTED[0] - FRONT).any():
            break
        assert torch.equal(obs, obs[:1].expand(4, -1))
    assert (along(env) > 0).all()
    # and in the bend, of one alone
    for _ in range(6):
        obs = env.step(asking(LEFT, torch.full((4,), 2.8))).obs
    assert torch.equal(obs[0], obs[1])
    assert torch.equal(obs[2], obs[3])
    assert (obs[0] - obs[2]).abs().max() > 0.1


def test_who_is_round_in_time_wins_and_who_leaves_the_road_forfeits() -> None:
    tasks = [task(layout="corner", radius=1.0, friction_left=0.5)] * 3
    total, success, took = lived(tasks, LEFT, torch.tensor([1.5, 2.0, 3.4]))
    assert success.tolist() == [True, True, False]
    length = math.pi / 2 + 0.2
    late = (took - length / TOP).clamp(min=0)
    expected = 0.3 + (-late / LATE).exp()
    torch.testing.assert_close(total[:2], expected[:2], atol=0.02, rtol=0)
    assert total[1] > total[0]
    assert abs(total[2]) < 1e-5


def told(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The way that grips better, and the speed that it allows."""
    left, right = (values[f"friction_{way}"] for way in WAYS)
    way = torch.where(left >= right, LEFT, RIGHT)
    grip = torch.maximum(left, right)
    return way, (1.1 * (grip * 9.81 * values["radius"]).sqrt()).clamp(max=3.2)


@pytest.mark.slow
def test_knowing_the_grips_is_worth_more_than_a_third_of_the_range() -> None:
    tasks = FAMILY.sample("held-out", 1, 60)
    values = dict(FAMILY.values(tasks))
    known, success, _ = lived(tasks, *told(values))
    assert success.float().mean() > 0.85
    blind = max(
        lived(tasks, LEFT, torch.full((60,), v))[0].mean().item()
        for v in (1.2, 1.6, 2.0, 2.4)
    )
    assert (known.mean() - blind) / known.mean() > 0.33
    for way in WAYS:
        wrong = {**values, f"friction_{way}": values[f"friction_{way}"].roll(1)}
        lied, _, _ = lived(tasks, *told(wrong))
        assert known.mean() - lied.mean() > 0.1

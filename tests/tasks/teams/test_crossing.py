"""crossing: braking against closed forms, who is in the way, what is forfeited."""

import itertools
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from robots.wheeled.figures import DRIVE_TORQUE, MASS, WHEEL_INERTIA, WHEEL_RADIUS
from tasks.env import Env
from tasks.task import Task
from tasks.teams.crossing import AWAY, CLOSE, LATE, PULL, SPEED, Crossing

FAMILY = Crossing()
GRAVITY = 9.81
PERIOD = FAMILY.substeps * FAMILY.model.opt.timestep
ON, WAIT = 1.0, -1.0


def team(east: float, north: float) -> list[Task]:
    own = {"friction_east": east, "friction_north": north}
    tasks = FAMILY.sample("train", 0, 2)
    return [replace(t, parameters={**t.parameters, **own}) for t in tasks]


def made(*teams: list[Task], seed: int = 0) -> tuple[Env, Tensor]:
    tasks = [task for tasks in teams for task in tasks]
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    return env, env.reset(torch.Generator().manual_seed(seed))


def lived(
    *teams: list[Task], plans: list[float], seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Places and speeds (time, world, car), and returns of the agents."""
    env, _ = made(*teams, seed=seed)
    actions = torch.tensor(plans)[:, None]
    running, total = torch.ones(len(plans), dtype=torch.bool), torch.zeros(len(plans))
    motions = [FAMILY._motion(env._now)]
    for _ in range(FAMILY.horizon):
        step = env.step(actions)
        total += step.reward * running
        running = running & ~step.terminated
        motions.append(FAMILY._motion(env._now))
    places, speeds = (torch.stack(x) for x in zip(*motions, strict=True))
    return places, speeds, total


def test_a_car_slows_down_as_its_tyres_let_it() -> None:
    """By mu g, whatever the other's are."""
    frictions = (0.05, 0.1, 0.3)
    _, speeds, _ = lived(
        *(team(mu, 0.5) for mu in frictions), plans=[WAIT, ON] * len(frictions)
    )
    took = 3 * PERIOD
    slowing = (speeds[1, :, 0] - speeds[4, :, 0]) / took
    expected = GRAVITY * torch.tensor(frictions)
    torch.testing.assert_close(slowing, expected, rtol=0.05, atol=0.0)


def test_a_car_that_waits_goes_on_once_the_other_is_through() -> None:
    places, speeds, _ = lived(team(0.5, 0.5), plans=[ON, WAIT])
    through = int((places[:, 0, 0] > CLOSE).float().argmax())
    assert 8 <= through <= 11
    assert speeds[through, 0, 1] < 0.6
    gained = (speeds[through + 3, 0, 1] - speeds[through, 0, 1]) / (3 * PERIOD)
    # the motors turn the wheels, too
    mass = MASS + 4 * WHEEL_INERTIA / WHEEL_RADIUS**2
    force = PULL * DRIVE_TORQUE / WHEEL_RADIUS
    assert float(gained) == pytest.approx(force / mass, rel=0.05)
    assert places[-1, 0, 1] > places[through, 0, 1] + 0.5


def test_a_speed_is_asked_for_once() -> None:
    """Later commands change nothing, bit for bit."""
    ends = list[Tensor]()
    for later in (ON, -0.2):
        env, _ = made(team(0.3, 0.1))
        env.step(torch.tensor([[-0.2], [ON]]))
        for _ in range(8):
            env.step(torch.full((2, 1), later))
        ends.append(env._now.readings.qpos)
    assert torch.equal(ends[0], ends[1])


def test_cars_that_go_on_arrive_together() -> None:
    """So that one must give way: as late as that, by the speeds at the start."""
    env, _ = made(*(team(0.5, 0.5) for _ in range(200)))
    places, speeds = FAMILY._motion(env._now)
    due = -places / speeds
    assert due.min() > AWAY[0] - LATE
    assert due.max() < AWAY[1] + LATE
    assert (due[:, 0] - due[:, 1]).abs().max() <= LATE
    assert speeds.min() >= SPEED[0] - 1e-5
    _, _, total = lived(*(team(0.5, 0.5) for _ in range(20)), plans=[ON, ON] * 20)
    assert total.abs().max() < 1e-6


def test_a_hit_is_where_the_bodies_would_touch() -> None:
    """The family's rule against MuJoCo's distance of the two boxes, on a grid."""
    model, data = FAMILY.model, mujoco.MjData(FAMILY.model)
    one, other = (model.geom(f"{heading}/hull").id for heading in FAMILY.agents)
    env, _ = made(team(0.1, 0.1))
    qpos = env._now.readings.qpos[0].double().numpy()
    roots = [model.joint(f"{heading}/root") for heading in FAMILY.agents]
    joints = [int(root.qposadr[0]) + i for i, root in enumerate(roots)]
    ahead = FAMILY._motion(env._now)[0][0].double().numpy() - qpos[joints]
    for x, y in itertools.product(
        (-0.6, -0.41, -0.385, 0.0, 0.3, 0.385, 0.41), (-0.41, 0.385)
    ):
        data.qpos[:] = qpos
        data.qpos[joints] = np.array([x, y]) - ahead
        mujoco.mj_forward(model, data)
        apart = mujoco.mj_geomDistance(model, data, one, other, 1.0, None)
        at = torch.tensor([[x, y]])
        assert FAMILY._hit(at, at).item() == (apart <= 0), (x, y, apart)


def test_a_corner_that_is_clipped_between_two_looks_is_a_hit() -> None:
    clipped = torch.tensor([[-CLOSE - 0.05, 0.2]]), torch.tensor([[-0.2, CLOSE + 0.05]])
    assert FAMILY._hit(*clipped).all()
    passed = torch.tensor([[-CLOSE - 0.2, 0.3]]), torch.tensor([[-CLOSE, 0.55]])
    assert not FAMILY._hit(*passed).any()


def test_the_better_grip_has_to_give_way_on_either_road() -> None:
    """No convention does for both of two scenes, and knowing the grips does."""
    slips, grips = 0.06, 0.4
    scenes = (team(slips, grips), team(grips, slips))
    plans = {"east": [-0.4, ON], "north": [ON, -0.4]}
    earned = {
        who: lived(*scenes, plans=[*plan, *plan])[2] for who, plan in plans.items()
    }
    for who, wrong, right in (("east", 0, 1), ("north", 1, 0)):
        by_scene = earned[who].reshape(2, 2)
        # shared by both agents; a hit forfeits all
        assert by_scene[wrong].abs().max() < 1e-6
        assert by_scene[right].min() > 0.7
        assert by_scene[right][0] == by_scene[right][1]


def test_the_agents_see_each_other_alike() -> None:
    """The one sees of itself what the other sees of it, and no car is told its road."""
    env, obs = made(team(0.3, 0.08))
    for _ in range(6):
        assert torch.equal(obs[0, [0, 2]], obs[1, [1, 3]])
        assert torch.equal(obs[1, [0, 2]], obs[0, [1, 3]])
        assert obs[0, 4] == -obs[1, 4]
        assert obs[0, 6] == obs[1, 6]
        obs = env.step(torch.tensor([[ON], [-0.5]])).obs


def test_nothing_is_felt_before_the_plan_is_made() -> None:
    """Not by a car that rolls, of its own tyres or the other's."""
    _, slippery = made(team(0.05, 0.05))
    _, grippy = made(team(0.5, 0.5))
    assert torch.equal(slippery, grippy)

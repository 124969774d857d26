"""handover: who has the rod in the end, what is felt, and what each part is worth."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tasks.env import Env
from tasks.people import script
from tasks.people.handover import APART, SEEN, SPEED, Handover
from tasks.task import Task

FAMILY = Handover()
USUAL = {
    "direction": "gives",
    "handed": "left",
    "height": 0.36,
    "reach_time": 0.7,
    "hesitation": 0.3,
    "grip": 8.0,
    "style": "steady",
}


def person(**given: float | str) -> Task:
    task = FAMILY.sample("train", 0, 1)[0]
    return replace(task, parameters=USUAL | given)


def lived(
    tasks: list[Task],
    *,
    late: float = 0.15,
    ratio: float = 2**0.5,
    aside: float = 0.0,
    tries: bool = True,
) -> tuple[Env, Tensor, list[bool]]:
    """The worlds after an episode that a robot lived which was told everything.

    Args:
        tasks: one a world.
        late: of the try, after the person is ready [s].
        ratio: of the force to the person's grip.
        aside: how far beside the right place the robot waits [m].
        tries: whether it tries at all.
    """
    env = Env(FAMILY, worlds=len(tasks), threads=1)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    earned, v = torch.zeros(len(tasks)), FAMILY.values(tasks)
    strength = 2 * torch.log10(ratio * v["grip"] / 3) - 1
    moment = ((script.ready(v) + late) / 0.1).round()
    stand = FAMILY._stand.positions(env._now.readings)[:, 0]
    goal = script.place(v, stand, torch.ones(len(tasks)))
    goal = goal - torch.tensor([APART, aside, 0.0])
    step = None
    for time in range(FAMILY.horizon):
        way = (goal - env._now.readings.sensors["tool_pos"]) * 6 / SPEED
        now = torch.where((moment == time) & tries, 1.0, -1.0)
        step = env.step(torch.cat([way, now[:, None], strength[:, None]], dim=1))
        earned += step.reward
    assert step is not None
    return env, earned, step.success.tolist()


def rod_and_holders(env: Env) -> tuple[Tensor, Tensor, Tensor]:
    r = env._now.readings
    offset = torch.tensor([APART / 2, 0.0, 0.0])
    rod = FAMILY._rod.positions(r)
    return (
        rod,
        (rod - FAMILY.hand.positions(r) + offset).norm(dim=-1),
        (rod - r.sensors["tool_pos"] - offset).norm(dim=-1),
    )


def test_the_rod_ends_with_the_one_that_it_was_meant_for() -> None:
    env, earned, success = lived([person(), person(direction="takes")])
    _, by_hand, by_tool = rod_and_holders(env)
    assert success == [True, True]
    assert (earned > 1.0).all()
    assert by_tool[0] < 0.01 < 0.2 < by_hand[0]
    assert by_hand[1] < 0.01 < 0.2 < by_tool[1]


@pytest.mark.parametrize(
    "wrong",
    [{"late": -0.1}, {"late": 0.5}, {"ratio": 0.9}, {"ratio": 2.1}, {"aside": 0.07}],
    ids=str,
)
def test_at_another_moment_strength_or_place_it_does_not(
    wrong: dict[str, float],
) -> None:
    env, earned, success = lived([person(), person(direction="takes")], **wrong)
    rod, by_hand, _ = rod_and_holders(env)
    assert success == [False, False]
    assert (earned < 0.9).all()
    assert by_hand[0] < 0.01
    assert rod[1, 2] < 0.02, "what nobody holds falls"


def test_who_never_tries_keeps_things_as_they_are() -> None:
    env, earned, success = lived([person(), person(direction="takes")], tries=False)
    _, by_hand, by_tool = rod_and_holders(env)
    assert success == [False, False]
    assert by_hand[0] < 0.01
    assert by_tool[1] < 0.01
    assert (earned < 0.4).all()


def test_the_hand_moves_on_the_path_of_least_jerk() -> None:
    tasks = [person(reach_time=t, height=h) for t in (0.6, 1.0) for h in (0.25, 0.5)]
    env = Env(FAMILY, worlds=4, threads=1)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    idle = torch.zeros(4, FAMILY.action_dim)
    idle[:, :4] = -1.0
    for time in range(1, 12):
        env.step(idle)
        r = env._now.readings
        share = script.reached(FAMILY.values(tasks), torch.full((4,), time * 0.1))
        stand = FAMILY._stand.positions(r)[:, 0]
        expected = script.place(FAMILY.values(tasks), stand, share)
        assert (FAMILY.hand.positions(r) - expected).norm(dim=-1).max() < 0.02


def test_a_try_feels_how_firmly_the_other_holds_and_no_more() -> None:
    """The hand gives way by the lesser of the force and the grip."""
    grips = (4.0, 8.0, 14.0)
    env = Env(FAMILY, worlds=4, threads=1)
    tasks = [person(grip=g, hesitation=0.7) for g in (*grips, 14.0)]
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    v = FAMILY.values(tasks)
    stand = FAMILY._stand.positions(env._now.readings)[:, 0]
    goal = script.place(v, stand, torch.ones(4)) - torch.tensor([APART, 0.0, 0.0])
    # 20 N are more than anybody holds; 8 N are not
    force = 2 * torch.log10(torch.tensor([20.0, 20.0, 20.0, 8.0]) / 3) - 1
    before = goal
    for time in range(13):
        way = (goal - env._now.readings.sensors["tool_pos"]) * 6 / SPEED
        act = torch.full((4, 1), 1.0 if time == 12 else -1.0)
        before = FAMILY.hand.positions(env._now.readings)
        env.step(torch.cat([way, act, force[:, None]], dim=1))
    moved = (before - FAMILY.hand.positions(env._now.readings))[:, 0]
    torch.testing.assert_close(
        moved / moved[1], torch.tensor([*grips, 8.0]) / 8, rtol=0.05, atol=0.0
    )
    assert 0.01 < moved[1] < 0.03


def test_the_hand_is_not_seen_before_it_is_near() -> None:
    tasks = [person(handed=h, height=z) for h in ("left", "right") for z in (0.25, 0.5)]
    env = Env(FAMILY, worlds=4, threads=1)
    env.assign(tasks)
    obs = env.reset(torch.Generator().manual_seed(0))
    seen = torch.zeros(4, dtype=torch.bool)
    for _ in range(12):
        hand = FAMILY.hand.positions(env._now.readings)
        seen = hand[:, 0] < SEEN
        assert torch.equal(obs[:, 10] > 0.5, seen)
        assert not obs[~seen][:, 6:10].any()
        obs = env.step(torch.full((4, FAMILY.action_dim), -0.2)).obs
    assert seen.all()


def test_a_hand_stops_short_of_a_gripper_that_is_in_its_way() -> None:
    env = Env(FAMILY, worlds=1, threads=1)
    env.assign([person(reach_time=1.0)])
    env.reset(torch.Generator().manual_seed(0))
    goal = torch.tensor([[0.62, -0.14, 0.36]])
    for _ in range(14):
        tool = env._now.readings.sensors["tool_pos"]
        way = (goal - tool) * 6 / SPEED
        env.step(torch.cat([way, -torch.ones(1, 2)], dim=1))
    hand = FAMILY.hand.positions(env._now.readings)
    assert env._now.readings.sensors["tool_pos"][0, 0] > 0.55
    assert hand[0, 0] > script.PLACE_X + 0.03

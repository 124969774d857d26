"""The layer that keeps limits: distances, speeds, and that it is needed."""

from dataclasses import replace

import mujoco
import numpy as np
import torch

from benchmarks.people import Options, limits
from benchmarks.people_worlds import Counted, Watched
from robots.humans import person
from tasks.people import safety
from tasks.people.handover import Handover

FAMILY = Handover()


def test_separation_is_that_of_two_capsules() -> None:
    model = mujoco.MjSpec()
    low, high, width = safety.GRIPPER
    for name, radius, ends in (
        ("gripper", width, [0, 0, low, 0, 0, high]),
        ("arm", person.RADIUS, [person.FRONT, 0, 0, person.BACK, 0, 0]),
    ):
        body = model.worldbody.add_body(name=name, mocap=True)
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[radius, 0, 0])
        geom.fromto = np.array(ends)
    model = model.compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    for _ in range(200):
        tool, hand = rng.uniform(-0.6, 0.6, (2, 3))
        data.mocap_pos[:] = tool, hand
        mujoco.mj_kinematics(model, data)
        expected = mujoco.mj_geomDistance(model, data, 0, 1, 10.0, None)
        found, towards = safety.separation(
            *(torch.tensor(x[None]).float() for x in (tool, hand))
        )
        if expected > 0:
            np.testing.assert_allclose(found[0], expected, atol=1e-5)
            moved = safety.separation(
                torch.tensor(tool[None]).float() + 0.01 * towards,
                torch.tensor(hand[None]).float(),
            )[0]
            np.testing.assert_allclose(found - moved, 0.01, atol=1e-4)


def test_nothing_of_the_arm_is_nearer_to_the_person_than_is_thought() -> None:
    """Capsules hold every part of gripper and wrist, of arms in their start poses."""
    model, rng = FAMILY.model, torch.Generator().manual_seed(0)
    data = mujoco.MjData(model)
    values = FAMILY.values(FAMILY.sample("train", 0, 40))
    qpos, _ = FAMILY.start(values, rng)
    place = torch.rand(40, 3, generator=rng)
    qpos[:, FAMILY.hand.qpos] = torch.tensor([0.3, -0.3, 0.2]) + place * torch.tensor(
        [0.5, 0.6, 0.35]
    )
    wrist = model.body("link6").id
    geoms = [
        g for g in range(model.ngeom) if _below(model, model.geom_bodyid[g], wrist)
    ]
    skin = [model.geom(name).id for name in person.SKIN]
    for q in qpos:
        data.qpos[:] = q.numpy()
        mujoco.mj_forward(model, data)
        true = min(
            mujoco.mj_geomDistance(model, data, a, b, 2.0, None)
            for a in geoms
            for b in skin
        )
        tool = torch.tensor(data.site("tool").xpos[None]).float()
        thought = safety.separation(tool, q[None, FAMILY.hand.qpos])[0]
        assert float(thought) < true + 1e-4


def _below(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body and body != root:
        body = model.body_parentid[body]
    return body == root


def test_a_command_is_slowed_and_keeps_its_direction_or_is_stopped() -> None:
    tool = torch.zeros(1, 3)
    wish = torch.tensor([[0.6, 0.3, 0.0]])
    speeds = list[float]()
    for x in (1.2, 0.6, 0.32, 0.2):
        velocity, stopped = safety.check(wish, tool, torch.tensor([[x, 0.0, 0.0]]))
        assert not stopped
        torch.testing.assert_close(velocity / velocity.norm(), wish / wish.norm())
        speeds.append(float(velocity.norm()))
    assert speeds == sorted(speeds, reverse=True)
    assert abs(speeds[0] - float(wish.norm())) < 1e-6
    assert abs(speeds[-1] - safety.NEAR_SPEED) < 1e-6
    at = torch.tensor([[0.18, 0.0, 0.0]])
    velocity, stopped = safety.check(wish, tool, at)
    assert stopped
    assert not velocity.any()
    velocity, stopped = safety.check(-wish, tool, at)
    assert not stopped
    assert float(velocity.norm()) > 0.1


def test_the_tool_slows_down_at_walls_and_where_the_arm_is_stretched_out() -> None:
    tool = torch.tensor([[0.45, 0.33, 0.35], [0.55, 0.0, 0.55], [0.45, 0.0, 0.35]])
    wish = torch.tensor([[0.1, 0.5, -0.1], [0.8, 0.0, 0.8], [0.3, 0.2, 0.1]])
    slowed = safety.within_reach(wish, tool)
    expected = torch.tensor([0.1, 0.05, -0.1])
    torch.testing.assert_close(slowed[0], expected, rtol=0.0, atol=1e-5)
    arm = tool[1] + torch.tensor(safety.WRIST)
    out = (slowed[1] @ arm) / arm.norm()
    torch.testing.assert_close(out, safety.WALL_GAIN * (safety.STRETCH - arm.norm()))
    assert torch.equal(slowed[2], wish[2])


def test_no_limit_is_broken_and_without_the_layer_they_are() -> None:
    kept = limits(Options(what="limits", episodes=150))
    assert [row["broken"] for row in kept] == [0, 0, 0]
    assert kept[-1]["stops"] > 1
    off = limits(Options(what="limits", episodes=150, off=True))
    assert all(row["broken"] > 20 for row in off)
    assert max(row["force"] for row in off) > 20 > max(row["force"] for row in kept)


def test_idle_times_are_those_of_who_stands_still() -> None:
    """A robot that stays, beside a person who waits for 0.7 s and leaves."""
    task = FAMILY.sample("train", 0, 1)[0]
    values = {"reach_time": 0.6, "hesitation": 0.3, "handed": "left", "height": 0.5}
    task = replace(task, parameters={**task.parameters, **values})
    env = Counted(FAMILY, worlds=1, simulator=Watched(FAMILY, 1))
    env.assign([task])
    env.reset(torch.Generator().manual_seed(0))
    idle = torch.tensor([[0.0, 0.0, 0.0, -1.0, 0.0]])
    for _ in range(FAMILY.horizon):
        env.step(idle)
    found = env.idle()
    assert abs(float(found["time"]) - 2.8) < 1e-5
    assert found["robot"] > 0.9
    # at the place for about 0.7 s, before 0.2 s and after that for 0.9 s at rest
    assert abs(float(found["person"]) * 2.8 - 1.8) < 0.35
    assert float(env.stops) == 0

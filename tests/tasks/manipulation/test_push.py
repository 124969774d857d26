"""push: which way an object turns, how far it slides, and what is seen of it when."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tasks.env import Env
from tasks.manipulation.push import PLACE, PUSHING, SOLIDS, SPEED, SUCCESS, UNSEEN, Push
from tasks.task import Task

BOX = "box-0"
SHAPES = (*SOLIDS, *UNSEEN)


def make_env(*changes: dict) -> Env:
    base = {"insert_y": 0.0, "friction": 0.25, "mass": 0.4, "shape": BOX}
    env = Env(Push(), worlds=len(changes), threads=1)
    env.assign(
        [
            Task(family="push", split="train", seed=0, parameters=base | change)
            for change in changes
        ]
    )
    env.reset(torch.Generator().manual_seed(0))
    return env


def moved(env: Env) -> tuple[Tensor, Tensor]:
    assert isinstance(env.family, Push)
    return env.family._moved(env._now)


def pushed(env: Env, offset: float, steps: int = PUSHING) -> tuple[Tensor, Tensor]:
    """Displacement and turn after a push `offset` [m] beside the middle."""
    for _ in range(steps):
        x = env._now.readings.sensors["tool_pos"][:, 0]
        across = ((PLACE[0] - offset - x) / (0.15 * SPEED)).clamp(-1, 1)
        # ahead only once it is in line
        ahead = 0.8 * (across.abs() < 0.2).float()
        env.step(torch.stack([ahead, across], -1))
    return moved(env)


def test_a_push_through_the_centre_of_mass_does_not_turn_a_box() -> None:
    env = make_env({"insert_y": 0.0}, {"insert_y": 0.04}, {"insert_y": -0.04})
    bodies = env.sim.model.body("object").id
    com = env.family.model_fields(env._values)["body_ipos"][:, bodies, 1]
    turns = []
    for offset in (float(com[0]), float(com[1]), float(com[2])):
        env.reset(torch.Generator().manual_seed(0))
        far, turned = pushed(env, offset)
        assert (far[:, 1] > 0.05).all()
        turns.append(turned)
    turns = torch.stack(turns)
    assert turns.diagonal().abs().max() < 0.03
    # the side that holds less of the mass goes ahead
    for i in range(3):
        for j in range(3):
            if i != j:
                assert turns[i, j] * (com[j] - com[i]) > 0.1 * 0.01


@pytest.mark.parametrize("friction", [0.15, 0.3])
@pytest.mark.parametrize("shape", [BOX, "cylinder-0", "ell-0", "cross-0"])
def test_a_free_slide_is_v_squared_over_two_mu_g(friction: float, shape: str) -> None:
    env = make_env({"friction": friction, "shape": shape})
    rest = torch.zeros(1, env.family.model.nu)
    qpos = env._now.readings.qpos.clone()
    qpos[:, 8] += 0.05  # clear of the finger
    readings = env.sim.reset(qpos, torch.zeros(1, env.family.model.nv))
    for _ in range(3):  # settle on the table
        readings = env.sim.step(rest)
    qpos[:, 9:14] = readings.qpos[:, 9:14]
    qvel, speed = torch.zeros(1, env.family.model.nv), 0.9
    qvel[:, 8] = speed
    readings = env.sim.reset(qpos, qvel)
    for _ in range(12):
        readings = env.sim.step(rest)
    distance = (readings.qpos[:, 8] - qpos[:, 8]).item()
    assert abs(readings.qvel[:, 8].item()) < 5e-3
    assert distance == pytest.approx(speed**2 / (2 * friction * 9.81), rel=0.08)


def test_every_object_shows_the_finger_the_same_side_at_the_same_place() -> None:
    env = make_env(*({"shape": shape} for shape in SHAPES))
    qpos = env._now.readings.qpos
    assert torch.equal(env.family.observe(env._now)[:, 6:].std(0), torch.zeros(4))
    for world, solid in enumerate((*SOLIDS.values(), *UNSEEN.values())):
        nearest = qpos[world, 8] + solid.vertices[:, 0].min()
        assert nearest.item() == pytest.approx(PLACE[1], abs=1e-6)
        assert (solid.vertices[:, 0].max() - solid.vertices[:, 0].min()) > 0.05


def test_the_object_is_seen_when_nothing_can_be_done_any_more() -> None:
    one, other = make_env({}, {"insert_y": 0.04}), make_env({}, {"insert_y": 0.04})
    for t in range(Push.horizon):
        push = torch.tensor([[0.9, 0.1]]).expand(2, -1)
        late = t >= PUSHING
        seen = one.step(push).obs
        assert torch.equal(seen, other.step(push if not late else -push).obs)
        told = seen[:, 7:].abs().sum(-1) > 0
        assert told.tolist() == [t + 1 >= PUSHING] * 2
    far, turned = moved(one)
    assert far.norm(dim=-1).min() > 0.05
    assert (turned[0] - turned[1]).abs() > math.radians(5)


def test_done_is_where_the_pushed_side_has_come_to_the_target() -> None:
    env = make_env(*({"shape": shape} for shape in SHAPES))
    family, now = env.family, env._now
    qpos = now.readings.qpos.clone()
    qpos[:, 7:9] += qpos[:, 14:16]  # from where it began, as far as was asked
    end = replace(
        now, readings=replace(now.readings, qpos=qpos), progress=torch.ones(len(qpos))
    )
    outcome = family.judge(now, end, torch.zeros(len(qpos), 2))
    assert outcome.success.all()
    torch.testing.assert_close(outcome.terms["placed"], torch.ones(len(qpos)))
    qpos[:, 7] += 1.1 * SUCCESS[0]
    assert not family.judge(now, end, torch.zeros(len(qpos), 2)).success.any()

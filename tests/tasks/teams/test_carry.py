"""carry: what holds a carton against closed forms, what crushes it, what is seen."""

from dataclasses import dataclass, replace

import mujoco
import pytest
import torch
from torch import Tensor

from benchmarks.plans import moves
from robots.sim.tape import cpu_simulator
from tasks.env import Env
from tasks.task import Task
from tasks.teams.carry import HOLD, STRENGTH, Carry
from tasks.teams.carton import HEIGHT, INSERT, LENGTH, WIDTH, needed

FAMILY = Carry()
LADDER = torch.linspace(-1, 1, 21)
PLAIN = {"friction_left": 0.8, "friction_right": 0.8, "load_x": 0.0, "mass": 0.4}


def team(**own: float) -> list[Task]:
    own = {**PLAIN, **own}
    tasks = FAMILY.sample("train", 0, 2)
    return [replace(t, parameters={**t.parameters, **own}) for t in tasks]


def made(*teams: list[Task], oracle: bool = False) -> tuple[Env, Tensor]:
    tasks = [task for tasks in teams for task in tasks]
    env = Env(FAMILY, worlds=len(tasks), oracle=oracle, threads=1)
    env.assign(tasks)
    return env, env.reset(torch.Generator().manual_seed(0))


def pressed(env: Env) -> Tensor:
    """Forces on the two ends, (team, end)."""
    sensors = env._now.readings.sensors
    return torch.cat([sensors["pressed_left"], sensors["pressed_right"]], -1)


@dataclass
class Lived:
    obs: Tensor
    forces: Tensor
    crushed: Tensor
    success: Tensor
    env: Env


def carried(*teams: list[Task], press: Tensor) -> Lived:
    """Press so, and drive each paddle to where its end of the carton belongs."""
    env, obs = made(*teams)
    seen = [obs]
    lived: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(FAMILY.horizon):
        step = env.step(torch.cat([press[:, None], moves(obs)], -1))
        obs = step.obs
        seen.append(obs)
        lived.append((pressed(env), step.terms["crushed"] > 0, step.success))
    forces, crushed, success = (torch.stack(x) for x in zip(*lived, strict=True))
    return Lived(torch.stack(seen), forces, crushed[:, ::2], success[:, ::2], env)


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"mass": 0.6},
        {"friction_left": 0.4},
        {"friction_right": 0.4, "load_x": -0.15},
        {"load_x": 0.15, "mass": 0.5},
    ],
)
def test_friction_at_the_worse_end_holds_the_carton(own: dict[str, float]) -> None:
    """It is carried by a tenth less than two points would need, to two fifths more.

    Less, where faces bear a couple or it slides a little as it is lifted; more, for it
    is lifted from rest in a tenth of a second.
    """
    lived = carried(*[team(**own)] * len(LADDER), press=LADDER.repeat_interleave(2))
    whole = {**PLAIN, **own}
    need = float(needed({k: torch.tensor([v]) for k, v in whole.items()}))
    right = 0.5 + INSERT * whole["load_x"] / (2 * LENGTH)
    ends = (1 - right) / whole["friction_left"], right / whole["friction_right"]
    assert need == pytest.approx(9.81 * whole["mass"] * max(ends))
    carries = lived.success[-1].nonzero()[:, 0].tolist()
    assert carries == list(range(carries[0], carries[-1] + 1))
    assert len(carries) >= 3
    forces = lived.forces[-1].mean(-1) / need
    assert 0.9 < float(forces[carries[0]]) < 1.4
    assert float(forces[carries[-1]]) < 1.1 * STRENGTH
    assert lived.crushed[:, carries[-1] + 1 :].any(0).all()


def test_a_carton_is_crushed_by_more_than_it_bears() -> None:
    lived = carried(*[team()] * len(LADDER), press=LADDER.repeat_interleave(2))
    need = needed({k: torch.tensor([v]) for k, v in PLAIN.items()})
    held = lived.forces[HOLD + 1 :]
    sustained = torch.minimum(held[1:], held[:-1]).amin(-1) > STRENGTH * need
    assert (sustained.any(0) == lived.crushed.any(0)).all()
    assert lived.crushed.any(0).sum() > 5
    assert not lived.crushed[: HOLD + 1].any()
    assert not lived.success[lived.crushed].any()


def test_both_ends_bear_the_same_force_whoever_presses_harder() -> None:
    """The mean of the two, and the carton drifts towards the one that presses less."""
    uneven = torch.tensor([0.2, 0.2, 0.5, -0.3])
    lived = carried(team(), team(), press=uneven)
    left, right = lived.forces[HOLD + 4].unbind(-1)
    torch.testing.assert_close(left, right, rtol=0.05, atol=0.05)
    drift = FAMILY._load.positions(lived.env._now.readings)[:, 0]
    assert float(drift[1]) - float(drift[0]) > 0.01


def test_how_hard_to_press_is_decided_once() -> None:
    env, _ = made(team(), team())
    actions = torch.zeros(4, 3)
    for t in range(6):
        actions[:, 0] = torch.tensor([0.1, 0.1, 0.1, 0.1 if t == 0 else 1.0])
        env.step(actions)
    asked = FAMILY._asked.positions(env._now.readings)
    torch.testing.assert_close(asked, torch.full((2, 2), 0.55), atol=1e-3, rtol=0)
    one, other = pressed(env)
    torch.testing.assert_close(one, other, rtol=0.01, atol=0.0)


def test_nothing_is_felt_before_it_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = team(friction_left=0.4, load_x=0.15, mass=0.6)
    places = torch.rand(1, 6, generator=torch.Generator().manual_seed(0)).expand(2, 6)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: places)
    lived = carried(team(), heavy, press=torch.full((4,), 0.1))
    first, after = lived.obs[0], lived.obs[HOLD + 4]
    assert torch.equal(first[:2], first[2:])
    assert (after[:2] - after[2:]).abs().max() > 0.2


def test_the_agents_are_mirror_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right one of a scene's mirror image sees as the left one of the scene."""
    scene = team(friction_left=0.5, friction_right=1.0, load_x=0.1)
    mirrored = team(friction_left=1.0, friction_right=0.5, load_x=-0.1)
    env, _ = made(scene, mirrored, oracle=True)

    places = torch.tensor(
        [[0.2, 0.9, 0.6, 0.3, 0.8, 0.5], [0.6, 0.7, 0.2, 0.1, 0.8, 0.5]]
    )
    monkeypatch.setattr(torch, "rand", lambda *_, **__: places)
    seen = [env.reset(torch.Generator())]
    one, other = [0.1, 0.4, 0.3], [0.3, 0.2, 0.5]
    actions = torch.tensor([one, other, other, one])
    seen += [env.step(actions).obs for _ in range(8)]
    for obs, tolerance in ((seen[0], 1e-3), (seen[2], 0.1), (seen[-1], 0.1)):
        torch.testing.assert_close(obs[0], obs[3], atol=tolerance, rtol=0)
        torch.testing.assert_close(obs[1], obs[2], atol=tolerance, rtol=0)
        torch.testing.assert_close(obs[0, [6, 9, 11]], obs[1, [5, 8, 10]])
    assert (seen[-1][0] - seen[-1][1]).abs().max() > 0.3


def test_the_balance_of_the_carton_is_that_of_its_parts() -> None:
    """A box and a point mass, composed by MuJoCo itself."""
    x, mass = 0.12, 0.5
    env, _ = made(team(load_x=x, mass=mass))
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body()
    box = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[LENGTH, WIDTH, HEIGHT])
    box.mass = mass * (1 - INSERT)
    point = body.add_geom(pos=[x, 0, 0], size=[1e-4, 0, 0])
    point.mass = mass * INSERT
    parts = spec.compile()
    ours = cpu_simulator(env.sim).model_of(0).body("load")
    assert ours.ipos == pytest.approx(parts.body_ipos[1], abs=1e-7)
    assert ours.mass == pytest.approx(parts.body_mass[1])
    assert sorted(ours.inertia) == pytest.approx(
        sorted(parts.body_inertia[1]), rel=1e-5
    )

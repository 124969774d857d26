"""Published families beside Gymnasium's own environments under the same actions.

Bodies move as Gymnasium's do, and rewards are the papers' formulas of that motion.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tasks.env import Env
from tasks.family import Family
from tasks.locomotion.ant_crippled import AntCrippled
from tasks.locomotion.ant_direction import AntDirection
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.locomotion.cheetah_velocity import CheetahVelocity
from tasks.locomotion.walker_parameters import LINKS, WalkerParameters
from tasks.parameters import Choice, Scalar
from tasks.task import Task

Array = NDArray[np.float64]
Values = dict[str, Any]
STEPS = 25


class Published(NamedTuple):
    """A family, the environment of its body, and what a paper says of a task."""

    family: type[Family]
    env: str
    body: Callable[[mujoco.MjModel, Values], None]
    reward: Callable[[float, Array, Array, Values], float]
    """A reward of the velocity, the action, the state after the step, and the task."""


def same(model: mujoco.MjModel, task: Values) -> None:
    assert task.get("mass", 1.0) == 1.0


def without_leg(model: mujoco.MjModel, task: Values) -> None:
    """Links half as thick and long, the lower one in the hip; its motors are dead."""
    legs = {"front-left": 0, "back-left": 1, "back-right": 2, "front-right": 3}
    upper = 3 + 3 * legs[task["leg"]]
    model.geom_size[[upper, upper + 1]] /= 2
    model.geom_pos[upper + 1] = model.geom_pos[upper]
    # else MuJoCo takes it to be in the middle of its body's mass, as it was
    model.geom_sameframe[upper + 1] = 0
    motors = {"front-left": 2, "back-left": 4, "back-right": 6, "front-right": 0}
    first = motors[task["leg"]]
    model.actuator_gear[[first, first + 1]] = 0.0


def another_walker(model: mujoco.MjModel, task: Values) -> None:
    for i, link in enumerate(LINKS):
        model.body_mass[1 + i] *= task[f"mass_{link}"]
        model.body_inertia[1 + i] *= task[f"inertia_{link}"]
        model.geom_friction[1 + i] *= task[f"friction_{link}"]
        if i:
            model.dof_damping[2 + i] *= task[f"damping_{link}"]
    model.geom_friction[0] *= task["friction_floor"]
    mujoco.mj_setConst(model, mujoco.MjData(model))


def sign(task: Values) -> float:
    return 1.0 if task["direction"] == "forwards" else -1.0


def walking(velocity: float, action: Array, state: Array, task: Values) -> float:
    """Velocity, 1 while it stands, and 1e-3 of the squared controls."""
    stands = 0.8 < state[1] < 2.0 and abs(state[2]) < 1.0
    return velocity + stands - 1e-3 * float(action @ action)


PUBLISHED = [
    Published(
        CheetahDirection,
        "HalfCheetah-v5",
        same,
        lambda v, a, _, task: sign(task) * v - 0.05 * float(a @ a),
    ),
    Published(
        CheetahVelocity,
        "HalfCheetah-v5",
        same,
        lambda v, a, _, task: -abs(v - task["velocity"]) - 0.05 * float(a @ a),
    ),
    Published(
        AntDirection,
        "Ant-v5",
        same,
        lambda v, a, s, task: (
            sign(task) * v - 0.005 * float(a @ a) + 0.05 * (0.2 <= s[2] <= 1.0)
        ),
    ),
    Published(AntCrippled, "Ant-v5", without_leg, lambda v, *_: v),
    Published(WalkerParameters, "Walker2d-v5", another_walker, walking),
]
every = pytest.mark.parametrize("of", PUBLISHED, ids=lambda of: of.family.name)


def tasks_of(family: Family, count: int) -> list[Task]:
    """Tasks of training, and those of the split of what training never shows."""
    split = "unseen" if "unseen" in family.splits else "held-out"
    return [*family.sample("train", 0, count), *family.sample(split, 0, 1)]


@every
def test_bodies_move_and_earn_as_published(of: Published) -> None:
    family = of.family()
    tasks = tasks_of(family, 3)
    env = Env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    actions = 2 * torch.rand(STEPS, len(tasks), family.action_dim, generator=rng) - 1
    theirs: list[Any] = []
    for world, task in enumerate(tasks):
        other: Any = gymnasium.make(of.env, frame_skip=family.substeps).unwrapped
        other.reset(seed=0)
        of.body(other.model, dict(task.parameters))
        now = env._now.readings
        other.set_state(*(x[world].double().numpy() for x in (now.qpos, now.qvel)))
        theirs.append(other)
    moved = 0.0
    for action in actions:
        step = env.step(action)
        for world, (task, other) in enumerate(zip(tasks, theirs, strict=True)):
            given = action[world].double().numpy()
            # Gymnasium's own is that of a place that lags behind the state
            before = other.data.qpos[0]
            other.step(given)
            velocity = (other.data.qpos[0] - before) / other.dt
            state = np.concatenate([other.data.qpos, other.data.qvel])
            ours = torch.cat([env._now.readings.qpos, env._now.readings.qvel], dim=-1)
            np.testing.assert_allclose(ours[world].numpy(), state, rtol=1e-5, atol=1e-5)
            earned = of.reward(velocity, given, state, dict(task.parameters))
            # velocities are differences of places in single precision
            assert float(step.reward[world]) == pytest.approx(earned, abs=1e-4)
            moved = max(moved, abs(state[0]))
    assert moved > 0.02


@every
def test_what_is_seen_is_gymnasiums_observation(of: Published) -> None:
    family = of.family()
    made = {"include_cfrc_ext_in_observation": False} if "Ant" in of.env else {}
    other: Any = gymnasium.make(of.env, **made).unwrapped
    other.reset(seed=3)
    fast = 12.0 * np.ones(family.model.nv)
    other.set_state(other.data.qpos, fast)
    env = Env(family, worlds=1, threads=1)
    env.assign(family.sample("train", 0, 1))
    env.reset(torch.Generator().manual_seed(0))
    state = (torch.from_numpy(x.copy()).float()[None] for x in (other.data.qpos, fast))
    seen = family.observe(env._instant(env.sim.reset(*state)))[0]
    np.testing.assert_allclose(seen.numpy(), other._get_obs(), rtol=1e-6, atol=1e-6)


@every
def test_episodes_start_as_gymnasiums_do(of: Published) -> None:
    """The same spread of positions and velocities about the same pose."""
    family, n = of.family(), 2000
    values = family.values(family.sample("train", 0, 1) * n)
    start = family.start(values, torch.Generator().manual_seed(0))
    other: Any = gymnasium.make(of.env).unwrapped
    other.reset(seed=0)
    drawn = [torch.empty(n, x.shape[1], dtype=torch.double) for x in start]
    for i in range(n):
        other.reset_model()
        drawn[0][i] = torch.from_numpy(other.data.qpos)
        drawn[1][i] = torch.from_numpy(other.data.qvel)
    turn = slice(3, 7) if "Ant" in of.env else slice(0, 0)
    torch.testing.assert_close(
        start[0][:, turn].norm(dim=-1), torch.ones(n) * bool(turn.stop)
    )
    for qpos in (start[0], drawn[0]):  # theirs is of any length
        qpos[:, turn] /= qpos[:, turn].norm(dim=-1, keepdim=True)
    for ours, theirs in zip(start, drawn, strict=True):
        spread = theirs.std(0)
        apart = (ours.mean(0) - theirs.mean(0)).abs()
        assert (apart < 0.15 * spread).all()
        torch.testing.assert_close(ours.double().std(0), spread, rtol=0.1, atol=0.0)


@every
def test_every_parameter_changes_motion_or_reward(of: Published) -> None:
    """From one start, under the same actions, in tasks that differ in it alone.

    A link's friction shows where it slides on the floor, so the walker lies down.
    """
    family = of.family()
    [drawn] = family.sample("train", 0, 1)
    slippery = {p.name: 0.3 for p in family.parameters if "friction" in p.name}
    base = replace(drawn, parameters={**drawn.parameters, **slippery})
    tasks = [base]
    for p in family.parameters:
        assert isinstance(p, Choice | Scalar)
        values = p.all if isinstance(p, Choice) else [p.high, p.beyond[-1][-1]]
        tasks += [
            replace(base, parameters={**base.parameters, p.name: value})
            for value in values
            if value != base.parameters[p.name]
        ]
    env = Env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    now = env._now.readings
    qpos, qvel = (x[:1].repeat(len(tasks), 1) for x in (now.qpos, now.qvel))
    if isinstance(family, WalkerParameters):
        qpos[:, 1:3] = torch.tensor([0.3, 1.5])
    env._now = replace(env._now, readings=env.sim.reset(qpos, qvel))
    rng = torch.Generator().manual_seed(1)
    furthest = torch.zeros(len(tasks))
    for _ in range(60):
        action = 2 * torch.rand(1, family.action_dim, generator=rng) - 1
        step = env.step(action.expand(len(tasks), -1))
        seen = torch.cat([step.obs, step.reward[:, None]], dim=-1)
        furthest = torch.maximum(furthest, (seen - seen[0]).abs().amax(-1))
    for task, apart in zip(tasks[1:], furthest[1:], strict=True):
        assert apart > 1e-3, task.parameters


@pytest.mark.parametrize("kind", [AntDirection, WalkerParameters])
def test_an_episode_ends_where_the_body_does_not_stand(kind: type[Family]) -> None:
    family = kind()
    env = Env(family, worlds=2, threads=1)
    env.assign(family.sample("train", 0, 2))
    env.reset(torch.Generator().manual_seed(0))
    now = env._now.readings
    qpos = now.qpos.clone()
    qpos[1, 2 if kind is AntDirection else 1] = 1.5 if kind is AntDirection else 0.5
    env.sim.reset(qpos, now.qvel)
    step = env.step(torch.zeros(2, family.action_dim))
    assert step.terminated.tolist() == [False, True]
    assert step.terms["standing"].tolist() == [1.0, 0.0]
    assert step.success.tolist()[1] is False


def test_every_factor_of_the_walker_reaches_its_own_row() -> None:
    """Each of 28 factors moves one row of one field, by itself."""
    family = WalkerParameters()
    plain = {p.name: torch.ones(1) for p in family.parameters}
    nominal = family.model_fields(plain)
    reached: set[tuple[str, int]] = set()
    for p in family.parameters:
        fields = family.model_fields(plain | {p.name: torch.tensor([2.0])})
        [(name, row)] = {
            (name, int(row))
            for name, value in fields.items()
            for row in (value != nominal[name])[0]
            .reshape(value.shape[1], -1)
            .any(-1)
            .nonzero()
        }
        torch.testing.assert_close(fields[name][0, row], 2 * nominal[name][0, row])
        reached.add((name, row))
        kind, _, part = p.name.partition("_")
        owner = {
            "mass": lambda i: family.model.body(i).name,
            "inertia": lambda i: family.model.body(i).name,
            "damping": lambda i: family.model.joint(i).name.removesuffix("_joint"),
            "friction": lambda i: family.model.geom(i).name.removesuffix("_geom"),
        }[kind](row)
        assert owner == part
    assert len(reached) == len(family.parameters) == 28


def test_a_crippled_leg_does_nothing() -> None:
    """Its motors move nothing."""
    family = AntCrippled()
    tasks = tasks_of(family, 20)
    legs = {str(t.parameters["leg"]) for t in tasks}
    assert legs == {"front-left", "back-left", "back-right", "front-right"}
    [last] = [t for t in tasks if t.split == "unseen"]
    assert last.parameters["leg"] == "front-right"
    model, hips = family.model, ("front-left", "back-left", "back-right", "front-right")
    for leg in legs:
        [task] = [t for t in tasks if t.parameters["leg"] == leg][:1]
        env = Env(family, worlds=2, threads=1)
        env.assign([task, task])
        env.reset(torch.Generator().manual_seed(0))
        now = env._now.readings
        start = (x[:1].repeat(2, 1) for x in (now.qpos, now.qvel))
        env.sim.reset(*start)
        wild = torch.zeros(2, 8)
        hip = model.actuator(f"hip_{hips.index(leg) + 1}").id
        wild[1, [hip, model.actuator(f"ankle_{hips.index(leg) + 1}").id]] = 1.0
        for _ in range(10):
            step = env.step(wild)
            assert torch.equal(step.obs[0], step.obs[1])

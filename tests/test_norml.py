"""NoRML's environments are those of its paper: Gymnasium's, with something hidden."""

from math import pi
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from examples.norml import CartPole, CartPoles, Cheetah, Cheetahs, Point, SparsePoint
from tasks.external import ExternalEnv, ExternalFamily
from tasks.registry import find_family

KINDS = (Point, SparsePoint, CartPole, Cheetah)


def played(family: ExternalFamily, actions: torch.Tensor, **hidden: float) -> list:
    """Steps of one world that has a hidden number, under the same actions."""
    env = ExternalEnv(family, worlds=1)
    [task] = family.sample("train", 0, 1)
    env.assign([type(task)(**{**_fields(task), "parameters": hidden})])
    env.reset(torch.Generator().manual_seed(0))
    return [env.step(action[None]) for action in actions]


def _fields(task: object) -> dict:
    return {name: getattr(task, name) for name in ("family", "split", "seed")}


@pytest.mark.parametrize("kind", KINDS)
def test_families_are_found_by_name_and_step(kind: type[ExternalFamily]) -> None:
    family = find_family(f"examples.norml:{kind.__name__}")
    env = ExternalEnv(family, worlds=3, oracle=True)
    env.assign(family.sample("held-out", 0, 3))
    obs = env.reset(torch.Generator().manual_seed(0))
    step = env.step(torch.zeros(3, family.action_dim))
    assert obs.shape == step.obs.shape == (3, env.obs_dim)
    assert not step.fault.any()


@pytest.mark.parametrize("angle", [0.0, pi / 2, -2.0])
def test_a_point_moves_by_the_turned_action(angle: float) -> None:
    actions = torch.tensor([[0.5, 0.0], [0.0, 0.25]])
    first, second = played(Point(), actions, rotation=angle)
    along = torch.tensor([np.cos(angle), np.sin(angle)]).float()
    across = torch.tensor([-np.sin(angle), np.cos(angle)]).float()
    torch.testing.assert_close(first.obs[0], 0.5 * along)
    torch.testing.assert_close(second.obs[0], 0.5 * along + 0.25 * across)
    goal = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(-second.reward[0], (second.obs[0] - goal).norm())


def test_a_point_stays_within_its_square() -> None:
    steps = played(Point(), torch.tensor([[0.0, 1.0]] * 3), rotation=0.0)
    assert steps[-1].obs[0].tolist() == [0.0, 2.0]


def test_the_sparse_reward_ends_at_the_goal_and_only_there() -> None:
    actions = torch.tensor([[0.5, 0.0], [0.45, 0.0], [0.5, 0.0]])
    dense = played(Point(), actions, rotation=0.0)
    sparse = played(SparsePoint(), actions, rotation=0.0)
    assert [s.reward.item() for s in sparse] == [-1, -1, 0]
    assert [s.terminated.item() for s in sparse] == [False, True, True]
    assert not any(s.terminated.item() for s in dense)
    assert sparse[1].success.item()


@pytest.mark.parametrize("bias", [0.0, pi / 18])
def test_a_cart_pole_is_gymnasiums_but_for_what_it_reads(bias: float) -> None:
    ours = CartPoles(1)
    ours.hidden[:] = bias
    seen, _ = ours.reset(seed=0)
    theirs: Any = gymnasium.make("CartPole-v1").unwrapped
    theirs.reset(seed=0)
    theirs.state = tuple(ours.state[:, 0])
    rng, steps, over = np.random.default_rng(0), 0, False
    while not over:
        right = int(rng.integers(2))
        wanted, _, fell, *_ = theirs.step(right)
        seen, reward, ended, *_ = ours.step(np.array([[10.0 if right else -10.0]]))
        wanted = wanted + np.array([0.0, 0.0, bias, 0.0], np.float32)
        np.testing.assert_allclose(seen[0], wanted, atol=1e-6)
        over, steps = bool(ended[0]), steps + 1
        assert over == fell
        assert reward[0] == (0.0 if fell else 1.0)
    assert steps > 5
    still, reward, *_ = ours.step(np.array([[10.0]]))
    np.testing.assert_array_equal(still, seen)
    assert reward[0] == 0.0


@pytest.mark.parametrize("swapped", [0, 1])
def test_a_cheetah_is_gymnasiums_with_its_hips_swapped(swapped: int) -> None:
    ours = Cheetahs(1)
    ours.hidden[:] = swapped
    ours.reset(seed=0)
    theirs: Any = gymnasium.make("HalfCheetah-v5").unwrapped
    theirs.reset(seed=0)
    theirs.set_state(*(x[0].double().numpy() for x in (ours.now.qpos, ours.now.qvel)))
    rng, order = np.random.default_rng(0), [3, 1, 2, 0, 4, 5] if swapped else range(6)
    for _ in range(10):
        action = rng.uniform(-1.0, 1.0, 6)
        start = theirs.data.qpos[0]
        seen, reward, *_ = ours.step(action[None])
        theirs.step(action[list(order)])
        x, speed = theirs.data.qpos, theirs.data.qvel
        np.testing.assert_allclose(seen[0], [*x[2:], *speed[2:]], atol=1e-3)
        wanted = (x[0] - start) / 0.05 + 1 - 0.05 * (action**2).sum()
        assert reward[0] == pytest.approx(wanted, abs=1e-3)


def test_a_cheetah_that_tilts_is_over() -> None:
    ours = Cheetahs(2)
    ours.reset(seed=0)
    qpos, qvel = ours.now.qpos.clone(), ours.now.qvel.clone()
    qpos[1, 2] = 0.75
    ours.now = ours.sim.reset(qpos, qvel)
    *_, over, _, _ = ours.step(np.zeros((2, 6)))
    assert over.tolist() == [False, True]
    assert mujoco.mj_name2id(ours.sim.model, mujoco.mjtObj.mjOBJ_JOINT, "rooty") == 2

"""Studies of teams: an agent that fails, and what critics leave."""

import numpy as np
import torch

from benchmarks.critics import explained
from benchmarks.failing import Weakened
from meta.experience.rollout import Experience
from policies.gaussian import Gaussian
from tasks.env import Env
from tasks.teams.shove import Shove


def test_a_weakened_row_does_a_share_of_what_it_is_told() -> None:
    """Beyond a full command there is none, weak or not."""
    env = Env(Shove(), worlds=2, threads=1)
    env.assign(env.family.sample("train", 0, 2))
    weak = Weakened(env, torch.tensor([0.5, 1.0]))
    ends = list[torch.Tensor]()
    for worlds, told in ((weak, [1.6, 0.7]), (env, [0.5, 0.7]), (env, [0.8, 0.7])):
        env.reset(torch.Generator().manual_seed(0))
        ends.append(worlds.step(torch.tensor(told)[:, None]).obs)
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert weak.family is env.family


def test_shares_are_those_that_were_planted() -> None:
    """Own action, the other's and chance: 4, 1 and 4 parts of the variance."""
    rng = torch.Generator().manual_seed(0)
    action, chance = (torch.randn(40, 2, 50, generator=rng) for _ in range(2))
    sign = torch.tensor([1.0, -1.0]).repeat(20)[:, None, None]  # by task
    advantage = 2 * sign * action + action.flip(1) + 2 * chance
    action = action.flatten(0, 1)[..., None, None]
    zero = torch.zeros_like(action)
    e = Experience(
        zero, zero, action, Gaussian(zero, zero), zero[..., 0], zero[..., 0] + 1
    )
    squares, own, others = np.array(explained(advantage.flatten(0, 1), e, 2))
    assert abs(own.sum() / squares.sum() - 4 / 9) < 0.03
    assert abs(others.sum() / squares.sum() - 1 / 9) < 0.03

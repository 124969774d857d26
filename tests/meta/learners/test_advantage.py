"""The learned advantage: what its summary leaves out, and what one step can say."""

import pytest
import torch
from torch import Tensor

from meta.learners.advantage import LearnedAdvantage, Weights

READ, ACTION, EPISODES, TIME = 3, 2, 4, 5
KINDS = pytest.mark.parametrize("weighed", [False, True])


def made(*, weighed: bool) -> LearnedAdvantage:
    rng = torch.Generator().manual_seed(0)
    return LearnedAdvantage(READ, ACTION, hidden=8, rng=rng, weighed=weighed)


def steps(seed: int = 1) -> list[Tensor]:
    """Features, action, noise and advantage."""
    rng = torch.Generator().manual_seed(seed)
    lead = EPISODES, TIME
    wide = [torch.randn(*lead, n, generator=rng) for n in (READ, ACTION, ACTION)]
    return [*wide, torch.randn(lead, generator=rng)]


def of_valid(weights: Weights, valid: Tensor) -> Tensor:
    both = torch.cat([weights.advantage[..., None], weights.push], dim=-1)
    return both[valid > 0]


@KINDS
def test_absent_steps_say_nothing(weighed: bool) -> None:
    network, x = made(weighed=weighed), steps()
    valid = torch.ones(EPISODES, TIME)
    valid[1, 3:], valid[2] = 0, 0
    mask = [valid[..., None]] * 3 + [valid]
    changed = [
        torch.where(m > 0, a, 100 * b)
        for m, a, b in zip(mask, x, steps(seed=2), strict=True)
    ]
    said = of_valid(network(*x, valid), valid)
    assert of_valid(network(*changed, valid), valid).equal(said)
    whole = of_valid(network(*x, torch.ones_like(valid)), valid)
    assert not said.allclose(whole)
    assert network(*x, torch.zeros_like(valid)).advantage.isfinite().all()


@KINDS
@pytest.mark.parametrize("dim", [0, 1])
def test_the_order_of_episodes_and_of_steps_says_nothing(
    weighed: bool, dim: int
) -> None:
    network, x, valid = made(weighed=weighed), steps(), torch.ones(EPISODES, TIME)
    valid[0, 2:] = 0
    here = network(*x, valid)
    there = network(*(a.flip(dim) for a in x), valid.flip(dim))
    torch.testing.assert_close(there.advantage.flip(dim), here.advantage)
    torch.testing.assert_close(there.push.flip(dim), here.push)

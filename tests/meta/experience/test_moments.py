"""Running moments: what they are, and what a single absurd value may do to them."""

import pytest
import torch
from torch import Tensor

from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.theta import Theta


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(theta: Theta) -> Tensor:
    return (theta["moments/square"] / theta["moments/count"]).sqrt()


def test_they_are_the_mean_and_variance_of_all_samples() -> None:
    theta, parts = fresh_moments(3), [draw(n, 3, seed=n) for n in (1, 50, 2000)]
    for part in parts:
        update_moments(theta, part)
    whole = torch.cat(parts).double()
    torch.testing.assert_close(theta["moments/mean"], whole.mean(0))
    torch.testing.assert_close(spread(theta), whole.std(0, correction=0))


@pytest.mark.parametrize("absurd", [1e8, -1e5, 1e30])
def test_one_absurd_value_does_not_blind_a_feature(absurd: float) -> None:
    x = 0.1 * draw(2000, 3)
    theta = fresh_moments(3)
    update_moments(theta, x)
    x[17, 1] = absurd
    update_moments(theta, x)
    assert spread(theta)[1] < 0.25
    seen = standardised(theta, 0.1 * draw(500, 3, seed=1))
    assert 0.4 < seen[:, 1].std() < 1.1
    assert abs(seen[:, 1].mean()) < 0.2


def test_values_that_are_rare_or_large_but_not_absurd_count_as_they_are() -> None:
    """A contact's force once in a thousand samples, and a feature in other units."""
    x = draw(4000, 3).double()
    x[:, 1] = 0
    x[::1000, 1] = 300.0
    x[:, 2] *= 1e5
    theta = fresh_moments(3)
    update_moments(theta, x)
    assert torch.equal(theta["moments/mean"], x.sum(0) / 4000)
    square = (x - x.sum(0) / 4000).square().sum(0)
    assert torch.equal(theta["moments/square"], square)


def test_of_few_samples_none_is_an_outlier() -> None:
    x = torch.zeros(9, 1)
    x[:4] = 1e6
    theta = fresh_moments(1)
    update_moments(theta, x)
    assert theta["moments/mean"].item() == pytest.approx(4e6 / 9)


def test_no_sample_and_one_sample_leave_numbers() -> None:
    theta = fresh_moments(2)
    update_moments(theta, torch.empty(0, 2))
    assert standardised(theta, draw(4, 2)).isfinite().all()
    update_moments(theta, torch.ones(1, 2))
    assert theta["moments/mean"].tolist() == [1, 1]
    assert standardised(theta, draw(4, 2)).isfinite().all()

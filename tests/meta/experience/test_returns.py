"""Returns, advantages, the ridge baseline and the moments, against other arithmetic."""

import numpy as np
import pytest
import torch
from torch import Tensor

from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.experience.returns import discounted, features, fit_ridge, gae, standardise

LENGTHS = (6, 1, 4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def make_valid(lengths: tuple[int, ...] = LENGTHS) -> Tensor:
    steps = torch.arange(max(lengths))
    return (steps < torch.tensor(lengths)[:, None]).double()


def test_discounted_by_hand() -> None:
    reward, valid = torch.tensor([1.0, 2.0, 3.0]), torch.ones(3)
    # R2 = 3;  R1 = 2 + 0.5 * 3 = 3.5;  R0 = 1 + 0.5 * 3.5 = 2.75
    assert discounted(reward, valid, 0.5).tolist() == [2.75, 3.5, 3.0]


def test_gae_by_hand() -> None:
    reward, value = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 2.0, 1.0])
    # discount 0.5, trace 0.5, nothing after the end:
    # d2 = 3 + 0.5 * 0 - 1 = 2;  d1 = 2 + 0.5 * 1 - 2 = 0.5;  d0 = 1 + 0.5 * 2 - 4 = -2
    # A2 = 2;  A1 = 0.5 + 0.25 * 2 = 1;  A0 = -2 + 0.25 * 1 = -1.75
    got = gae(reward, value, torch.ones(3), 0.5, 0.5)
    assert got.tolist() == [-1.75, 1.0, 2.0]


def test_gae_of_an_episode_that_ends_early_by_hand() -> None:
    reward, value = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([4.0, 2.0, 9.0])
    valid = torch.tensor([1.0, 1.0, 0.0])
    # d1 = 2 + 0.5 * 0 - 2 = 0;  d0 = 1 + 0.5 * 2 - 4 = -2;  A0 = -2 + 0.25 * 0
    assert gae(reward, value, valid, 0.5, 0.5).tolist() == [-2.0, 0.0, 0.0]


def test_gae_with_trace_one_is_return_minus_value() -> None:
    reward, value, valid = draw(3, 6), draw(3, 6, seed=1), make_valid()
    got = gae(reward, value, valid, 0.9, 1.0)
    torch.testing.assert_close(got, (discounted(reward, valid, 0.9) - value) * valid)


def test_unequal_episodes_equal_each_alone() -> None:
    reward, value, valid = draw(3, 6), draw(3, 6, seed=1), make_valid()
    returns = discounted(reward, valid, 0.9)
    advantages = gae(reward, value, valid, 0.9, 0.8)
    for i, n in enumerate(LENGTHS):
        ones = torch.ones(n, dtype=torch.float64)
        torch.testing.assert_close(returns[i, :n], discounted(reward[i, :n], ones, 0.9))
        alone = gae(reward[i, :n], value[i, :n], ones, 0.9, 0.8)
        torch.testing.assert_close(advantages[i, :n], alone)
        assert not returns[i, n:].any()
        assert not advantages[i, n:].any()


def test_features_by_hand() -> None:
    obs = torch.tensor([[2.0, -30.0], [0.5, 1.0]])
    # clipped to 10; then squares; then t, t^2, t^3 with t in hundreds of steps; then 1
    expected = [
        [2.0, -10.0, 4.0, 100.0, 0.0, 0.0, 0.0, 1.0],
        [0.5, 1.0, 0.25, 1.0, 0.01, 0.0001, 0.000001, 1.0],
    ]
    torch.testing.assert_close(features(obs), torch.tensor(expected))


def test_ridge_equals_numpy_least_squares() -> None:
    x, y = draw(2, 40, 5), draw(2, 40, seed=1)
    valid = (torch.rand(2, 40, generator=seeded(2)) < 0.7).double()
    got = fit_ridge(x, y, valid)
    for i in range(2):
        kept = valid[i] > 0
        a, b = x[i, kept].numpy(), y[i, kept].numpy()
        # the ridge as rows: |w|^2 times 1e-5 of the features' mean square
        rows = np.sqrt(1e-5 * np.square(a).sum() / 5) * np.eye(5)
        exact, *_ = np.linalg.lstsq(
            np.vstack([a, rows]), np.append(b, np.zeros(5)), rcond=None
        )
        np.testing.assert_allclose(got[i], exact, rtol=1e-9)
        plain, *_ = np.linalg.lstsq(a, b, rcond=None)
        np.testing.assert_allclose(got[i], plain, rtol=1e-3)


def test_ridge_is_regular_with_constant_and_unused_features() -> None:
    x = torch.cat(
        [draw(30, 1), torch.ones(30, 2).double(), torch.zeros(30, 1).double()], 1
    )
    y = 3 * x[:, 0] + 2
    weights = fit_ridge(x, y, torch.ones(30).double())
    torch.testing.assert_close(x @ weights, y, rtol=1e-3, atol=1e-3)
    assert weights[3] == 0
    few = fit_ridge(x[:2], y[:2], torch.ones(2).double())
    assert few.isfinite().all()


def test_ridge_scales_with_its_features() -> None:
    x, y, valid = draw(30, 3), draw(30, seed=1), torch.ones(30).double()
    torch.testing.assert_close(
        1e4 * fit_ridge(1e4 * x, y, valid), fit_ridge(x, y, valid)
    )


def test_standardise_divides_by_the_standard_deviation() -> None:
    x = torch.tensor([[[1.0, 3.0], [5.0, 100.0]]])
    valid = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    # mean 3, variance (4 + 0 + 4) / 3
    std = (8 / 3) ** 0.5
    expected = torch.tensor([[[-2 / std, 0.0], [2 / std, 0.0]]])
    torch.testing.assert_close(standardise(x, valid), expected)


def test_standardise_ignores_scale_and_offset_task_by_task() -> None:
    x, valid = draw(1, 3, 6).expand(3, -1, -1), make_valid().expand(3, -1, -1)
    factor = torch.tensor([1.0, 100.0, 0.01]).double()[:, None, None]
    scaled = standardise(factor * x + 7 * factor, valid)
    for task in scaled:
        torch.testing.assert_close(task, scaled[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_standardise_of_equal_values_is_zero(value: float) -> None:
    x = torch.full((1, 2, 3), value)
    assert not standardise(x, torch.ones(1, 2, 3)).any()


def test_moments_of_parts_equal_those_of_the_whole() -> None:
    x = 5 + 3 * draw(50, 2)
    theta = fresh_moments(2)
    for part in (x[:1], x[1:20], x[20:]):
        update_moments(theta, part)
    expected = (x - x.mean(0)) / x.std(0, correction=0)
    torch.testing.assert_close(standardised(theta, x), expected)


def test_moments_scale_the_first_features_alone() -> None:
    x = 5 + 3 * draw(50, 3)
    theta = fresh_moments(3)
    update_moments(theta, x)
    whole = standardised(theta, x)
    torch.testing.assert_close(standardised(theta, x[:, :2]), whole[:, :2])


def test_moments_before_any_data_scale_nothing() -> None:
    x = torch.tensor([[0.5, -20.0]])
    assert standardised(fresh_moments(2), x).tolist() == [[0.5, -10.0]]


def test_moments_do_not_blow_up_what_hardly_varies() -> None:
    theta = fresh_moments(1)
    update_moments(theta, torch.full((10, 1), 3.0))
    got = standardised(theta, torch.tensor([[3.0], [3.001], [9.0]]))
    torch.testing.assert_close(
        got, torch.tensor([[0.0], [0.1], [10.0]]), atol=1e-4, rtol=0
    )

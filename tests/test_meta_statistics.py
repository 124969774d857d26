"""Aggregates against closed forms, intervals against planted truth."""

import numpy as np
import pytest

from meta.statistics import admission, estimate, iqm, mean, share_of_gap


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_interquartile_mean_drops_a_quarter_at_either_end() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1000.0]]).T
    # sorted: 0 1 | 2 3 4 5 | 6 1000
    assert iqm(scores) == pytest.approx(3.5)
    assert mean(scores) == pytest.approx(scores.mean())


def test_share_of_the_gap_and_admission_by_hand() -> None:
    floor, scores, ceiling = (
        np.full((5, n), v) for n, v in ((1, 2.0), (3, 5.0), (2, 6.0))
    )
    assert share_of_gap(scores, floor, ceiling) == pytest.approx(0.75)
    chance = np.zeros((5, 1))
    assert admission(ceiling, floor, chance) == pytest.approx(4 / 6)


def test_value_is_the_statistic_itself_and_lies_within() -> None:
    scores = generator().normal(size=(3, 50))
    found = estimate([scores], mean, generator(1))
    assert found.value == pytest.approx(scores.mean())
    assert found.low < found.value < found.high


def test_methods_are_resampled_with_the_same_tasks() -> None:
    # the two differ by a constant, so a paired comparison is exact
    tasks = generator().normal(size=(1, 40)) * 10
    found = estimate([tasks + 1, tasks], lambda a, b: mean(a) - mean(b), generator(1))
    assert found.low == pytest.approx(1)
    assert found.high == pytest.approx(1)


def test_methods_on_different_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same"):
        estimate([np.zeros((1, 4)), np.zeros((1, 5))], share_of_gap, generator())


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_cover_the_truth(seeds: int) -> None:
    rng, truth, hits, trials = generator(2), 0.3, 0, 400
    for _ in range(trials):
        task = rng.normal(truth, 1.0, size=(1, 60))
        scores = task + rng.normal(0, 0.5, size=(seeds, 60))
        found = estimate([scores], mean, rng, resamples=400)
        hits += found.low <= truth <= found.high
    # 95 % +- 2.8 standard errors of 400 trials
    assert 0.92 <= hits / trials <= 0.98

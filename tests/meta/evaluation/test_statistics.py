"""Aggregates against closed forms, intervals against planted truth."""

import numpy as np
import pytest
from scipy.stats import t as students
from scipy.stats import trim_mean

from meta.evaluation.statistics import (
    Estimate,
    Scores,
    bounded,
    estimate,
    harm,
    iqm,
    mean,
    performance_profile,
    probability_of_improvement,
    share_of_gap,
    value_of_knowing,
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_interquartile_mean_drops_a_quarter_at_either_end() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1000.0]]).T
    # sorted: 0 1 | 2 3 4 5 | 6 1000
    assert iqm(scores) == pytest.approx(3.5)
    assert mean(scores) == pytest.approx(scores.mean())


@pytest.mark.parametrize("tasks", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("seeds", [1, 3])
def test_interquartile_mean_is_the_one_of_rliable(tasks: int, seeds: int) -> None:
    scores = generator().normal(size=(7, tasks, seeds))
    # rliable.metrics.aggregate_iqm, for each batch
    expected = [trim_mean(x, proportiontocut=0.25, axis=None) for x in scores]
    assert iqm(scores) == pytest.approx(np.array(expected))


def test_share_of_the_gap_and_admission_by_hand() -> None:
    floor, scores, ceiling = (
        np.full((5, n), v) for n, v in ((1, 2.0), (3, 5.0), (2, 6.0))
    )
    assert share_of_gap(scores, floor, ceiling) == pytest.approx(0.75)
    chance = np.zeros((5, 1))
    assert value_of_knowing(ceiling, floor, chance) == pytest.approx(4 / 6)


@pytest.mark.parametrize("ceiling", [2.0, 1.0])
def test_of_a_gap_that_is_not_there_no_share_is_stated(ceiling: float) -> None:
    floor, top = np.full((1, 5), 2.0), np.full((1, 5), ceiling)
    found = estimate([floor + 1, floor, top], share_of_gap, generator())
    assert np.isnan(found.value)
    assert not np.isfinite([found.low, found.high]).any()


def test_a_gap_that_may_not_be_there_has_an_unbounded_share() -> None:
    # a gap of 0.1 +- 0.1: in one resample of six there is none
    tasks = generator().normal(size=(1, 100))
    gap = (tasks - tasks.mean()) / tasks.std() + 0.1
    zero = np.zeros_like(gap)
    found = estimate([zero + 0.05, zero, gap], share_of_gap, generator(1))
    assert found.value == pytest.approx(0.5)
    assert not np.isfinite([found.low, found.high]).any()


def test_a_few_undefined_resamples_widen_the_interval() -> None:
    def lame(x: Scores) -> Scores:
        values = np.array(x.mean((-2, -1)))
        return np.where(values > np.quantile(values, 0.99), np.nan, values)

    def whole(x: Scores) -> Scores:
        return np.array(x.mean((-2, -1)))

    scores = generator().normal(size=(1, 40))
    found = estimate([scores], lame, generator(1), resamples=1000)
    expected = estimate([scores], whole, generator(1), resamples=1000)
    # the lost hundredth might as well have been the lowest one
    assert found.low < expected.low < expected.high <= found.high
    assert np.isfinite([found.low, found.high]).all()


def test_value_is_the_statistic_itself_and_lies_within() -> None:
    scores = generator().normal(size=(3, 50))
    for statistic in (mean, iqm):
        found = estimate([scores], statistic, generator(1))
        assert found.value == pytest.approx(statistic(scores))
        assert found.low < found.value < found.high


def test_the_interval_is_that_of_the_normal_theory() -> None:
    scores = generator().normal(size=(1, 2000))
    found = estimate([scores], mean, generator(1), resamples=4000)
    half = 1.96 * scores.std() / np.sqrt(2000)
    assert found.low == pytest.approx(scores.mean() - half, abs=half / 20)
    assert found.high == pytest.approx(scores.mean() + half, abs=half / 20)


def test_what_few_seeds_leave_open_is_students_t() -> None:
    # all tasks alike: what is left open is the mean of the seeds that training gives
    means = np.array([0.0, 1.0, 3.0])
    scores = np.tile(means[:, None], 50)
    found = estimate([scores], mean, generator(1), resamples=20_000)
    half = students.ppf(0.975, 2) * means.std(ddof=1) / np.sqrt(3)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_methods_are_resampled_with_the_same_tasks() -> None:
    # the two differ by a constant, so a paired comparison is exact
    tasks = generator().normal(size=(1, 40)) * 10
    found = estimate([tasks + 1, tasks], lambda a, b: mean(a) - mean(b), generator(1))
    assert found.low == pytest.approx(1)
    assert found.high == pytest.approx(1)


def test_methods_on_different_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same"):
        estimate([np.zeros((1, 4)), np.zeros((1, 5))], share_of_gap, generator())


def test_the_same_generator_gives_the_same_interval() -> None:
    scores = generator().normal(size=(2, 30))
    first, again, other = (
        estimate([scores], mean, generator(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_harm_compares_a_policy_with_itself() -> None:
    # each seed is better adapted, though seed 1 adapted is worse than seed 0 unadapted
    unadapted = np.array([[5.0, 5.0], [0.0, 0.0]])
    assert harm(unadapted + 1, unadapted).sum() == 0
    assert harm(unadapted, unadapted).sum() == 0
    assert np.array_equal(harm(np.array([[4.0, 6.0]]), unadapted[:1]), [[1.0, 0.0]])


def test_harm_of_a_planted_rate_is_read_with_its_interval() -> None:
    rng, truth, hits, trials = generator(4), 0.2, 0, 200
    for _ in range(trials):
        gain = np.where(rng.random((1, 100)) < truth, -1.0, 1.0)
        start = rng.normal(size=(1, 100))
        found = estimate([harm(start + gain, start)], mean, rng, resamples=400)
        hits += found.low <= truth <= found.high
    # 95 % +- 3 standard errors of 200 trials
    assert hits / trials >= 0.9


@pytest.mark.parametrize("statistic", [mean, iqm])
@pytest.mark.parametrize(("seeds", "apart"), [(1, 0.0), (3, 0.0), (3, 0.5), (5, 0.2)])
def test_intervals_cover_the_truth(seeds: int, apart: float, statistic) -> None:
    # 1,000 evaluations of other tasks by other training seeds, whose worth differs by
    # `apart` on all tasks at once
    rng, truth, hits, trials = generator(2), 0.3, 0, 1000
    for _ in range(trials):
        task = rng.normal(truth, 1.0, size=(1, 60))
        worth = rng.normal(0, apart, size=(seeds, 1))
        scores = task + worth + rng.normal(0, 0.5, size=(seeds, 60))
        found = estimate([scores], statistic, rng, resamples=400)
        hits += found.low <= truth <= found.high
    assert 0.93 <= hits / trials <= 0.97


@pytest.mark.parametrize(("objects", "alone"), [(3, 0.55), (20, 0.85)])
def test_where_tasks_share_objects_clusters_cover_the_truth(
    objects: int, alone: float
) -> None:
    """Objects are draws of as much spread as tasks; so are three training seeds."""
    rng, truth, trials, hits = generator(6), 0.3, 200, np.zeros(2)
    for _ in range(trials):
        label = rng.integers(objects, size=100)
        task = rng.normal(truth, 1.0, size=objects)[label] + rng.normal(0, 1.0, 100)
        scores = task + rng.normal(0, 0.1, size=(3, 1)) + rng.normal(0, 0.3, (3, 100))
        for i, clusters in enumerate((label.tolist(), None)):
            found = estimate([scores], mean, rng, clusters=clusters, resamples=200)
            hits[i] += found.low <= truth <= found.high
    clustered, by_task = hits / trials
    # 95 % and 3 standard errors of 200 trials
    assert 0.9 <= clustered <= 0.995
    assert by_task < alone


def test_objects_are_drawn_with_all_their_tasks() -> None:
    # the tasks of an object are alike: they say no more than one task of each would
    worth = generator().normal(size=(1, 200))
    each = np.repeat(worth, 5, axis=1)
    label = np.repeat(np.arange(200), 5).tolist()
    once = estimate([worth], mean, generator(1), resamples=4000)
    found = estimate([each], mean, generator(1), resamples=4000, clusters=label)
    assert found.value == pytest.approx(once.value)
    assert found.high - found.low == pytest.approx(once.high - once.low, rel=0.06)
    # paired all the same: two methods that differ by a constant do so in any resample
    gain = estimate(
        [each + 1, each], lambda a, b: mean(a) - mean(b), generator(1), clusters=label
    )
    assert (gain.low, gain.high) == (pytest.approx(1), pytest.approx(1))


def test_few_objects_widen_an_interval_to_students_t() -> None:
    worth = np.array([[0.0, 1.0, 3.0]])
    found = estimate(
        [np.repeat(worth, 40, axis=1)],
        mean,
        generator(1),
        clusters=[i // 40 for i in range(120)],
        resamples=20_000,
    )
    half = students.ppf(0.975, 2) * worth.std(ddof=1) / np.sqrt(3)
    # three values have ten resamples, and none is far out: the tails are but alike
    assert found.high - found.low == pytest.approx(2 * half, rel=0.25)


@pytest.mark.parametrize("labels", [list(range(30)), ["one"] * 30, None])
def test_tasks_that_share_nothing_or_all_are_drawn_by_themselves(labels) -> None:
    scores = generator().normal(size=(2, 30))
    plain = estimate([scores], mean, generator(1))
    assert estimate([scores], mean, generator(1), clusters=labels) == plain
    with pytest.raises(ValueError, match="30 tasks need as many labels, got 1"):
        estimate([scores], mean, generator(1), clusters=["one"])


def test_success_rates_are_covered_too() -> None:
    rng, hits, trials = generator(5), 0, 1000
    for _ in range(trials):
        chance = rng.beta(1, 3, size=60)
        scores = rng.binomial(5, chance, size=(3, 60)) / 5
        found = estimate([scores], mean, rng, resamples=400)
        hits += found.low <= 0.25 <= found.high
    assert 0.93 <= hits / trials <= 0.97


def test_no_rate_lies_outside_its_bounds() -> None:
    scores = np.repeat([[0.9], [1.0], [1.0]], 30, axis=1)
    found = estimate([scores], mean, generator(1))
    assert found.high > 1
    kept = bounded(found, 30)
    assert (kept.low, kept.high) == (min(found.low, kept.low), 1.0)


@pytest.mark.parametrize(("tasks", "rate"), [(100, 0.02), (40, 0.03), (12, 0.05)])
def test_a_rare_harm_is_covered(tasks: int, rate: float) -> None:
    """Where the bootstrap of few ones, or of none, covers 0.47 to 0.86."""
    rng, hits, trials = generator(tasks), 0, 400
    for _ in range(trials):
        scores = rng.binomial(1, rate, size=(1, tasks)).astype(float)
        found = bounded(estimate([scores], mean, rng, resamples=200), tasks)
        hits += found.low <= rate <= found.high
    assert hits / trials >= 0.93


def test_wilsons_interval_by_hand() -> None:
    found = bounded(Estimate(value=0.0, low=0.0, high=0.0), 10)
    assert (found.low, round(found.high, 3)) == (0.0, 0.278)


def test_probability_of_improvement_by_hand() -> None:
    # task 0: 2 of 4 pairs and a tie; task 1: none
    x = np.array([[1.0, 0.0], [3.0, 0.0]])
    y = np.array([[1.0, 5.0], [2.0, 5.0]])
    found = probability_of_improvement(x.T, y.T)
    assert found == pytest.approx((2.5 / 4 + 0) / 2)
    assert probability_of_improvement(x.T, x.T) == pytest.approx(0.5)


def test_performance_profile_by_hand() -> None:
    scores = np.array([[0.0, 1.0], [2.0, 3.0]])
    at = np.array([[-1.0, 0.0, 1.5, 3.0]])
    assert performance_profile(scores, at).tolist() == [1.0, 0.75, 0.5, 0.0]


def test_the_interval_of_a_share_covers_the_truth_and_pairs_the_tasks() -> None:
    rng, truth, hits, trials, width = generator(3), 0.7, 0, 300, 0.0
    for _ in range(trials):
        floor = rng.normal(0, 5.0, size=(1, 60))
        noise = (rng.normal(0, 0.3, size=(n, 60)) for n in (3, 3, 3))
        means = (truth, 0.0, 1.0)
        methods = [floor + m + x for m, x in zip(means, noise, strict=True)]
        found = estimate(methods, share_of_gap, rng, resamples=400)
        hits += found.low <= truth <= found.high
        width += (found.high - found.low) / trials
    # noise of a seed within its task is counted twice, so a little above 95 %
    assert 0.92 <= hits / trials <= 0.995
    # the tasks differ by 5.0, five times the gap, and leave no trace
    assert width < 0.3

"""Transfer between tasks: its measure, and how well a distance foretells it."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from meta.evaluation import transfer
from meta.library.embedding import live_with
from meta.training.trained import load_trained
from tasks.registry import find_family


def test_rank_correlation_is_scipys() -> None:
    g = np.random.default_rng(0)
    for _ in range(20):
        x, y = g.integers(6, size=(2, 15)).astype(float)
        expected = float(np.asarray(spearmanr(x, y))[0])
        assert transfer.rank_correlation(x, y) == pytest.approx(expected)
    assert math.isnan(transfer.rank_correlation(np.ones(3), np.arange(3.0)))


def test_own_entry_is_left_out_of_what_is_foretold() -> None:
    distance = np.array([[0.0, 1, 2], [9, 0, 1], [1, 2, 0]])
    earned = np.array([[-9.0, 5, 3], [2, -9, 1], [1, 7, -9]])
    same = np.eye(3, dtype=bool)
    assert transfer.foretold(distance, earned, same).tolist() == [1, 1, 1]
    assert transfer.foretold(-distance, earned, same).tolist() == [-1, -1, -1]


def test_area_under_the_curve_by_hand() -> None:
    a, b = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0])
    assert transfer.auroc(a, b) == pytest.approx(4.5 / 6)
    assert transfer.auroc(b, a) == pytest.approx(1.5 / 6)


def test_draws_take_tasks_of_one_object_together() -> None:
    """Tasks of one object that are all alike tell as much as one of them."""
    objects, rng = [i // 10 for i in range(40)], np.random.default_rng(0)
    alone = list(range(40))
    inside = rng.normal(size=4).repeat(10)
    outside = 1 + rng.normal(size=4).repeat(10)
    spreads = [
        transfer.auroc_draws(inside, outside, (x, x), np.random.default_rng(1)).std()
        for x in (objects, alone)
    ]
    assert spreads[0] > 2 * spreads[1]
    points = rng.normal(size=(4, 2)).repeat(10, axis=0)
    away = np.linalg.norm(points[:, None] - points[None], axis=-1)
    # one object's tasks transfer by nearness, the others' against it
    earned = np.where(np.array(objects) == 0, -away, away)
    spreads = [
        np.nanstd(transfer.foretold_draws(away, earned, x, np.random.default_rng(1)))
        for x in (objects, alone)
    ]
    assert spreads[0] > 2 * spreads[1]


def test_ties_and_recall() -> None:
    returns = np.array([[1.0, 2.0, 3.0], [1.1, 1.8, 3.0], [0.0, 1.0, 2.0]])
    # the second is 0.03 behind, give or take; the third 1, always
    assert transfer.ties_with_best(returns).tolist() == [True, True, False]
    order = np.array([[2, 1, 0]])
    good = np.array([[True, False, False]])
    assert not transfer.recall_at(order, good, 2)[0]
    assert transfer.recall_at(order, good, 3)[0]


def test_transfer_is_paired_and_its_diagonal_is_the_policys_own() -> None:
    policy = load_trained("shipped:insert-explore")
    tasks = find_family("insert").sample("held-out", 0, 3)
    lives = live_with(policy, find_family("insert"), tasks, 2, seed=0, threads=1)
    adaptation = policy.begin(3).after(lives).adaptation
    setting = {"episodes": 2, "seed": 5, "threads": 1}
    whole = transfer.transfer_matrix(policy, adaptation, tasks, **setting)
    own = transfer.measured_returns(policy, adaptation, tasks, **setting)
    assert whole.shape == (3, 3, 2)
    np.testing.assert_allclose(whole[[0, 1, 2], [0, 1, 2]], own, atol=1e-5)

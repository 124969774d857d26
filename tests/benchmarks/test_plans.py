"""The study of teams by plans: what it chooses, where the best is planted."""

import numpy as np
import pytest

from benchmarks.plans import (
    KINDS,
    Options,
    Teams,
    by_own_end,
    drive,
    follow,
    robust,
)

PLANS = 5


def teams(best: np.ndarray, count: int = 400) -> Teams:
    """Teams that earn 1 by the pair of plans that is best for their kind, else less."""
    rng = np.random.default_rng(0)
    kinds = np.column_stack(
        [rng.integers(2, size=count), rng.integers(KINDS, size=(count, 2))]
    )
    returns = rng.uniform(0, 0.2, size=(count, PLANS, PLANS))
    east, north = best[tuple(kinds.T)].T
    returns[np.arange(count), east, north] = 1.0
    return Teams(returns=returns, kinds=kinds)


def test_what_each_can_know_alone_is_found() -> None:
    """One car's best plan depends on its own grip, and the other's on its own."""
    best = np.zeros((2, KINDS, KINDS, 2), np.int64)
    best[..., 0] = np.arange(KINDS)[:, None]
    best[..., 1] = np.arange(KINDS)[::-1]
    planted = teams(best)
    assert follow(by_own_end(planted), planted).mean() == 1.0
    assert follow(robust(planted), planted).mean() < 0.3


def test_what_needs_the_other_s_grip_is_out_of_reach() -> None:
    """The one with the better grip gives way: neither knows whether that is it."""
    east, north = np.indices((KINDS, KINDS))
    gives = (east > north).astype(int)
    best = np.broadcast_to(
        np.stack([4 * (1 - gives), 4 * gives], -1), (2, KINDS, KINDS, 2)
    )
    planted = teams(best)
    assert follow(best, planted).mean() == 1.0
    assert 0.55 < follow(by_own_end(planted), planted).mean() < 0.9


def test_who_is_due_first_is_a_convention_that_robust_plans_may_follow() -> None:
    best = np.zeros((2, KINDS, KINDS, 2), np.int64)
    best[0], best[1] = (4, 0), (0, 4)
    planted = teams(best)
    assert follow(robust(planted), planted).mean() == 1.0


def test_all_pairs_are_driven_from_the_same_start() -> None:
    """Both that go on hit each other, and what is driven again earns the same."""
    o = Options(family="crossing", teams=4, plans=2)
    once, again = (drive(o, "held-out") for _ in range(2))
    assert np.array_equal(once.returns, again.returns)
    assert once.returns[:, 1, 1] == pytest.approx(0.0, abs=1e-6)
    assert once.returns.max() > 0.2


def test_a_carton_is_carried_by_plans_between_slipping_and_crushing() -> None:
    returns = drive(Options(family="carry", teams=4, plans=5), "train").returns
    assert (returns.max((1, 2)) > 0.9).all()
    assert (returns[:, 0, 0] < 0.7).all()
    assert (returns[:, 4, 4] < 0).all()

"""The study of `drive-fork` by plans: what it chooses, where the best is planted."""

import numpy as np

from benchmarks.fork import (
    QUARTERS,
    Driven,
    Options,
    drive,
    lied_to,
    robust,
    told_no_way,
    told_of_one,
)

PLANS = 5


def planted(best: np.ndarray, count: int = 600) -> Driven:
    """Tasks that earn 1 by the plan that is best for their kinds, else less.

    Args:
        best: way and plan, by layout and kind of either way's grip.
        count: number of tasks.
    """
    rng = np.random.default_rng(0)
    layouts = rng.integers(2, size=count)
    kinds = rng.integers(QUARTERS, size=(2, count))
    returns = rng.uniform(0, 0.2, size=(count, 2, 2, PLANS))
    way, plan = best[layouts, kinds[0], kinds[1]].T
    returns[np.arange(count), 0, way, plan] = 1.0
    return Driven(
        returns=returns,
        chance=np.zeros(count),
        layouts=layouts,
        left=kinds[0],
        seen=2 * layouts,
    )


def test_robust_plans_follow_the_layout_alone() -> None:
    best = np.zeros((2, QUARTERS, QUARTERS, 2), np.int64)
    best[1] = (1, 3)
    tasks = planted(best)
    assert robust(tasks, tasks, brakes=False).mean() == 1.0
    assert robust(tasks, tasks, brakes=True).mean() < 0.2
    best[:, 1:] = (1, 2)  # now the grip to the left decides, too
    tasks = planted(best)
    assert robust(tasks, tasks, brakes=False).mean() < 0.9
    assert told_no_way(tasks).mean() == robust(tasks, tasks, brakes=False).mean()
    assert told_of_one(tasks).mean() == 1.0


def test_what_needs_both_grips_is_out_of_reach_of_one() -> None:
    left, right = np.indices((QUARTERS, QUARTERS))
    way = (right > left).astype(np.int64)
    plan = np.maximum(left, right)
    best = np.broadcast_to(np.stack([way, plan], -1), (2, QUARTERS, QUARTERS, 2))
    tasks = planted(best)
    assert 0.4 < told_of_one(tasks).mean() < 0.85
    assert robust(tasks, tasks, brakes=False).mean() < 0.5


def test_a_lie_costs_where_that_way_is_the_best_and_nothing_where_it_is_not() -> None:
    best = np.zeros((2, QUARTERS, QUARTERS, 2), np.int64)
    best[..., 1] = np.arange(QUARTERS)[:, None]
    tasks = planted(best)  # always to the left, as fast as it grips
    assert lied_to(tasks, 1).mean() == 1.0
    assert lied_to(tasks, 0).mean() < 0.6


def test_all_plans_are_driven_from_the_same_start() -> None:
    o = Options(tasks=6, plans=3)
    once, again = (drive(o, "held-out") for _ in range(2))
    assert np.array_equal(once.returns, again.returns)
    # most who ask for the greatest speed leave the road
    assert once.returns[:, 0, :, 2].mean() < 0.3
    assert once.returns[:, 0, :, 1].max() > 0.5

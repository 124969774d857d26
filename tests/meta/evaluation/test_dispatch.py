"""Plans: the best of all that keep the orders, for jobs that are alike for all."""

import subprocess
import sys
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from meta.evaluation.dispatch import earned, expected, make_plan
from meta.language.belief import Belief, Names
from meta.language.orders import Orders
from meta.training.trained import load_trained
from tasks.registry import make_family


def names(kind: str, count: int) -> list[str]:
    return [f"{kind} {i}" for i in range(count)]


def best(worth: np.ndarray, orders: Orders) -> float | None:
    """The best total by trying every plan, or None if none keeps the orders."""
    robots, jobs = names("robot", len(worth)), names("job", worth.shape[1])
    there = [r for r in robots if r not in orders.away]
    least = min(len(there), len(jobs))
    found: list[float] = []
    for some in permutations(there, least):
        for done in permutations(jobs, least):
            pairs = {*zip(some, done, strict=True)}
            if pairs & orders.never or not orders.must <= pairs:
                continue
            found.append(sum(worth[robots.index(r), jobs.index(j)] for r, j in pairs))
    return max(found, default=None)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_no_plan_that_keeps_the_orders_is_better(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    robots, jobs = names("robot", shape[0]), names("job", shape[1])
    kept = refused = 0
    for _ in range(60):
        worth = rng.normal(size=shape)
        pairs = [(str(r), str(j)) for r in robots for j in jobs]
        drawn = [pairs[i] for i in rng.permutation(len(pairs))[:4]]
        orders = Orders(
            must=frozenset(drawn[: rng.integers(2)]),
            never=frozenset(drawn[1 : 1 + rng.integers(4)]),
            away=frozenset(robots[: rng.integers(2)]),
        )
        if {r for r, _ in orders.must} & orders.away:
            continue
        optimum = best(worth, orders)
        if optimum is None:
            refused += 1
            with pytest.raises(ValueError, match="no plan keeps all orders"):
                make_plan(worth, robots, jobs, orders)
            continue
        kept += 1
        plan = make_plan(worth, robots, jobs, orders)
        done = {*plan.jobs.items()}
        assert plan.total == pytest.approx(optimum)
        assert len({*plan.jobs.values()}) == len(plan.jobs)
        assert orders.must <= done
        assert not orders.never & done
        assert not orders.away & {*plan.jobs}
    assert kept > 20
    assert shape[0] != shape[1] or refused > 0


def test_jobs_are_the_same_whichever_robot_does_them() -> None:
    oracle = load_trained("shipped:reach-rotated-oracle")
    family = make_family("reach-rotated")
    tasks = family.sample("held-out", 3, 2)
    both = earned(oracle, tasks, 3, seed=5, threads=1)
    alone = [earned(oracle, [task], 3, seed=5, threads=1)[0] for task in tasks]
    np.testing.assert_allclose(both, alone, atol=1e-6)
    assert not np.allclose(both, earned(oracle, tasks, 3, seed=6, threads=1))
    # one task twice earns the same in the same jobs
    twice = earned(oracle, [tasks[0]] * 2, 3, seed=5, threads=1)
    np.testing.assert_allclose(twice[0], twice[1], atol=1e-6)
    sure = Belief(about={"mirrored": Names(probability={"no": 1.0, "yes": 0.0})})
    found = expected(oracle, [sure, Belief()], 3, seed=5, threads=1)
    assert found.shape == (2, 3)
    assert torch.tensor(found).isfinite().all()
    with pytest.raises(ValueError, match="is none"):
        expected(load_trained("shipped:reach-rotated"), [sure], 2)


REFUSED: list[tuple[Any, Any, Any, str]] = [
    ({}, ["bay"], "", "name at least one robot"),
    ({"a": "left"}, [], "", "name at least one job"),
    ({"a": "left"}, [2], "", "name at least one job, by a text; got [2]"),
    ({"a": "left"}, "bay", "", "jobs are a list of names"),
    ({"a": "left"}, ["bay"], None, "orders a text"),
    ({"bay": "left"}, ["Bay"], "", "different names; twice: 'bay'"),
    ({"a": 3.0}, ["bay"], "", "a robot tells a text, a belief or a message, got 3.0"),
]
PROGRAM = """
import pliant
oracle = pliant.load("shipped:drive-park-oracle")
for told, jobs, orders, _ in {}:
    try:
        pliant.dispatch(oracle, told, jobs, orders=orders)
    except ValueError as error:
        print(error)
"""


def test_what_cannot_be_planned_is_refused_in_a_line() -> None:
    """Called without the checks of annotations, as a user's program calls it."""
    program = [sys.executable, "-c", PROGRAM.format(REFUSED)]
    found = subprocess.run(program, capture_output=True, text=True, check=True)
    for said, (*_, words) in zip(found.stdout.splitlines(), REFUSED, strict=True):
        assert words in said

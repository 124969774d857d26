"""Estimates of an evaluation rest on as many draws as there are objects."""

from functools import partial

import numpy as np
import pytest

from meta.evaluation.estimates import estimates
from meta.evaluation.grid import by_object
from meta.evaluation.measure import Measured
from meta.evaluation.statistics import Estimate, Scores, estimate, mean
from tasks.registry import make_family

TASKS = 60


def measured(scores: Scores) -> Measured:
    return Measured(returns=scores, success=(scores > 0).astype(float))


def width(e: Estimate) -> float:
    return e.high - e.low


def test_every_estimate_draws_objects_with_all_their_tasks() -> None:
    """Returns are decided by the object alone, so that tasks by themselves say less."""
    family = make_family("strike")  # held-out: four shapes
    tasks = family.sample("held-out", 0, TASKS)
    shape = [str(task.parameters["shape"]) for task in tasks]
    worth = {name: i for i, name in enumerate(dict.fromkeys(shape))}
    by_shape = np.array([[worth[name] for name in shape]] * 3, dtype=float)
    # each method gains by the shape, so that gaps, harms and wins differ by it, too
    found = {
        "policy": {0: measured(by_shape - 1.5), 5: measured(2 * by_shape - 2)},
        "random": {0: measured(0 * by_shape[:1] - 3)},
        "dr": {0: measured(0 * by_shape - 1)},
        "oracle": {0: measured(3 * by_shape)},
    }
    told = estimates(found, (0, 5), family, tasks, 0)
    plain = estimates(found, (0, 5), make_family("reach-rotated"), tasks, 0)
    points = [t["curve"][1] for t in (told, plain)]
    for name in ("returns", "iqm", "success", "normalised", "harm_rate"):
        clustered, by_task = (getattr(point, name) for point in points)
        assert clustered.value == pytest.approx(by_task.value)
        assert width(clustered) > 1.5 * width(by_task), name
    for part, key in (("baselines", "oracle"), ("improvement", "dr")):
        clustered, by_task = (t[part][key] for t in (told, plain))
        if part == "baselines":
            clustered, by_task = clustered.returns, by_task.returns
        assert width(clustered) > 1.5 * width(by_task), part
    assert width(told["admission"]) > 1.5 * width(plain["admission"])


def test_a_cell_of_the_grid_draws_its_objects() -> None:
    tasks = make_family("strike").sample("held-out", 0, 12)
    scores = {"dr": np.array([[0.0, 1.0, 2.0, 3.0] * 3])}
    labels = ["a", "b", "c", "d"] * 3
    at = [{"complexity": 0.5, "difficulty": 0.5}] * 12
    cells = [
        by_object(tasks, at, scores, np.random.default_rng(0), given)
        for given in (labels, None)
    ]
    found = [cell.returns["dr"] for (cell,) in cells]
    reckon = partial(estimate, [scores["dr"]], mean)
    assert found == [
        reckon(np.random.default_rng(0), clusters=labels),
        reckon(np.random.default_rng(0)),
    ]
    assert width(found[0]) > 1.5 * width(found[1])


def test_the_rates_of_a_team_count_worlds() -> None:
    """Ten teams of two are ten draws, and no twenty."""
    family = make_family("shove")
    tasks = family.sample("held-out", 0, 20)
    scores = {"policy": {0: 1.0, 5: 2.0}, "random": {0: 0.5}, "dr": {0: 0.6}}
    found = {
        name: {k: measured(np.full((1, 20), x)) for k, x in by.items()}
        for name, by in scores.items()
    }
    made = estimates(found, (0, 5), family, tasks, 0)
    after = made["curve"][1]
    wilson = pytest.approx(0.278, abs=1e-3)  # of none in ten
    assert after.harm_rate.high == wilson
    assert 1 - after.success.low == wilson
    assert 1 - made["improvement"]["dr"].low == wilson


def test_a_difference_is_paired_by_the_task() -> None:
    """Differences between tasks, the same for both methods, do not widen it."""
    family, rng = make_family("reach-rotated"), np.random.default_rng(0)
    tasks = family.sample("held-out", 0, TASKS)
    worth = rng.normal(size=(1, TASKS))
    ours, theirs = (
        np.repeat(worth, 3, axis=0) + shift + 0.01 * rng.normal(size=(3, TASKS))
        for shift in (0.2, 0.0)
    )
    found = {
        "policy": {0: measured(theirs), 5: measured(ours)},
        "random": {0: measured(worth - 9)},
        "rma": {0: measured(theirs), 5: measured(theirs)},
    }
    made = estimates(found, (0, 5), family, tasks, 0)
    ahead, returns = made["ahead"]["rma"], made["curve"][1].returns
    assert ahead.low < 0.2 < ahead.high
    assert width(ahead) < 0.1 * width(returns)

"""Continual World's figures, by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from meta.continual.training.measures import (
    Course,
    area,
    average_performance,
    course_of,
    forgetting,
    forward_transfer,
    late_plasticity,
    read_course,
)
from meta.continual.training.memory import Schedule

COURSE = Course(
    after=np.array([[0.9, 0.1, 0.0], [0.5, 0.8, 0.2], [0.3, 1.0, 0.7]]),
    own=(([1, 3], [0.1, 0.9]), ([3, 4, 5], [0.0, 0.4, 0.8]), ([5, 7], [0.2, 0.7])),
)
ALONE = (([1, 3], [0.4, 0.6]), ([1, 3], [0.0, 0.8]), ([1, 3], [0.0, 0.9]))


def test_by_hand() -> None:
    assert average_performance(COURSE) == pytest.approx((0.3 + 1.0 + 0.7) / 3)
    # 0.9 to 0.3, 0.8 to 1.0, and the last one as it is
    assert forgetting(COURSE) == pytest.approx((0.6 - 0.2 + 0.0) / 3)
    # areas 0.5, 0.4 and 0.45 beside 0.5, 0.4 and 0.45: nothing is spared
    assert forward_transfer(COURSE, ALONE) == pytest.approx(0.0)
    faster = COURSE._replace(own=(*COURSE.own[:2], ([5, 7], [0.9, 0.7])))
    spared = (0.8 - 0.45) / (1 - 0.45) / 3
    assert forward_transfer(faster, ALONE) == pytest.approx(spared)
    # of three pieces the later two count: 0.8 and 0.7 beside 0.8 and 0.9
    assert late_plasticity(COURSE, ALONE) == pytest.approx((0.0 - 0.2) / 2)


def test_an_area_is_a_mean_over_iterations() -> None:
    assert area(([2, 4, 12], [0.0, 1.0, 1.0])) == pytest.approx((0.5 * 2 + 8) / 10)


def test_a_course_is_read_from_metrics(tmp_path: Path) -> None:
    # two pieces of two iterations: rows are counted by the iterations done
    seen = {
        1: {"piece0/success": 0.0, "piece1/success": 0.1},
        2: {"piece0/success": 0.5},
        3: {"piece0/success": 1.0, "piece1/success": 0.2},
        4: {},
        5: {"piece0/success": 0.6, "piece1/success": 0.9},
    }
    schedule = Schedule(5, 2)
    course = course_of(seen, schedule)
    assert course.after.tolist() == [[1.0, 0.2], [0.6, 0.9]]
    assert course.own == (([1, 2, 3], [0.0, 0.5, 1.0]), ([3, 5], [0.2, 0.9]))
    lines = [json.dumps({"iteration": k} | row) for k, row in seen.items()]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    read = read_course(tmp_path, schedule)
    assert read.own == course.own
    with pytest.raises(ValueError, match="no measurement 5 of 2 pieces"):
        course_of({k: seen[k] for k in (1, 2, 3, 4)}, schedule)

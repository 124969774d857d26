"""Continual World's figures of a run of pieces.

Wolczyk et al. 2021, "Continual World: A Robotic Benchmark For Continual Reinforcement
Learning", arXiv 2105.10919, section 4. Performance is the success of the mean action on
held-out tasks of a piece, in [0, 1].
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meta.continual.training.memory import Schedule
from meta.machine.files import read_bytes
from meta.training.run import METRICS

Array = NDArray[np.float64]
Curve = tuple[Sequence[int], Sequence[float]]
"""Iterations, and the performance after each."""


class Course(NamedTuple):
    """Performance in the pieces of a run, as they come."""

    after: Array
    """(piece, piece): performance after the first piece, the second and so on; in each
    piece."""
    own: tuple[Curve, ...]
    """The curve of each piece, from its beginning to its end."""

    @property
    def ends(self) -> Array:
        """Performance in each piece at its end."""
        return self.after.diagonal()


def average_performance(course: Course) -> float:
    """Return the mean over pieces of the performance at the end of the run."""
    return float(course.after[-1].mean())


def forgetting(course: Course) -> float:
    """Return what pieces ended with, less what is left at the end of the run.

    The mean over all pieces; that of the last one is 0.
    """
    return float((course.ends - course.after[-1]).mean())


def forward_transfer(course: Course, alone: Sequence[Curve]) -> float:
    """Return the share that pieces are spared of what learning from scratch lacks.

    (A - B) / (1 - B), of the mean performance while a piece is learned (A), and while
    it is learned alone, from scratch, in as many iterations (B).

    Args:
        course: the run.
        alone: of each piece, the course from scratch.
    """
    shares: list[float] = []
    for own, base in zip(course.own, alone, strict=True):
        a, b = area(own), area(base)
        shares.append((a - b) / (1 - b) if b < 1 else 0.0)
    return float(np.mean(shares))


def late_plasticity(course: Course, alone: Sequence[Curve]) -> float:
    """Return the performance at the ends of the run's later half of pieces.

    Less that at the end of learning each of them from scratch; below 0 where what was
    learned before stands in the way.
    """
    late = range(len(course.own) // 2, len(course.own))
    return float(np.mean([course.ends[i] - alone[i][1][-1] for i in late]))


def area(curve: Curve) -> float:
    """Return the mean of a curve over its iterations, by the trapezoidal rule."""
    x, y = (np.asarray(c, np.float64) for c in curve)
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def read_course(folder: Path, schedule: Schedule) -> Course:
    """Read what a run measured.

    Args:
        folder: of the run, which has ended.
        schedule: its iterations and pieces.

    Raises:
        ValueError: for a run that lacks a measurement.
        OSError: if it cannot be read.
    """
    path = folder / METRICS
    rows = [json.loads(line) for line in read_bytes(path).splitlines()]
    return course_of({row["iteration"]: row for row in rows}, schedule, str(path))


def course_of(
    rows: Mapping[int, Mapping[str, Any]], schedule: Schedule, source: str = "rows"
) -> Course:
    """Return the course of a run from its metrics, by the iterations done before.

    Raises:
        ValueError: for a measurement that is not there.
    """
    pieces = range(schedule.pieces)
    # a piece has ended when as many iterations are done as come before the next one
    ends = [schedule.start(p + 1) for p in pieces]
    try:
        after = [[rows[end][f"piece{i}/success"] for i in pieces] for end in ends]
        own: list[Curve] = []
        for p in pieces:
            key, begin = f"piece{p}/success", schedule.start(p)
            seen = [k for k in sorted(rows) if begin <= k <= ends[p] and key in rows[k]]
            if seen[:1] != [begin]:
                raise KeyError(begin)
            own.append((seen, [rows[k][key] for k in seen]))
    except KeyError as error:
        raise ValueError(
            f"{source} has no measurement {error} of {schedule.pieces} pieces"
        ) from None
    return Course(np.array(after), tuple(own))

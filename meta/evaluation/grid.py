"""An evaluation by object: how complex it is, and how hard to grasp."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from meta.evaluation.results import Cell
from meta.evaluation.statistics import Clusters, Scores, estimate, mean
from tasks.task import Task

CELLS = 7
"""Cells along a side of the grid, as many as EGAD has (Morrison et al. 2020)."""
AXES = ("complexity", "difficulty")
"""The coordinates of a task that the grid sorts by."""


def by_object(
    tasks: Sequence[Task],
    coordinates: Sequence[Mapping[str, float]],
    scores: Mapping[str, Scores],
    rng: np.random.Generator,
    labels: Clusters | None = None,
) -> tuple[Cell, ...]:
    """Mean returns over the tasks of each cell of the grid that has any.

    Args:
        tasks: what was measured.
        coordinates: of each task; tasks without all of `AXES` are left out.
        scores: of each method, on those tasks.
        rng: draws the resamples.
        labels: what each task is about; those of one label are resampled together.
    """
    labels = range(len(tasks)) if labels is None else labels
    members: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, at in enumerate(coordinates):
        if all(axis in at for axis in AXES):
            place = tuple(min(int(CELLS * at[axis]), CELLS - 1) for axis in AXES)
            members[place].append(i)
    cells: list[Cell] = []
    for place, mine in sorted(members.items()):
        complexity, difficulty = ((k / CELLS, (k + 1) / CELLS) for k in place)
        cells.append(
            Cell(
                complexity=complexity,
                difficulty=difficulty,
                objects=sorted({_object(tasks[i]) for i in mine}),
                tasks=len(mine),
                returns={
                    name: estimate(
                        [s[:, mine]], mean, rng, clusters=[labels[i] for i in mine]
                    )
                    for name, s in scores.items()
                },
            )
        )
    return tuple(cells)


def _object(task: Task) -> str:
    """Return what a task is about: those of its parameters that are names."""
    return ", ".join(v for v in task.parameters.values() if isinstance(v, str))

"""An evaluation by object: how complex it is, and how hard to grasp."""

from collections.abc import Mapping, Sequence

import numpy as np

from meta.evaluation.results import Cell
from meta.evaluation.statistics import Scores, estimate, mean
from tasks.objects.complexity import CELLS, grid
from tasks.objects.solids import Solid


def by_object(
    solids: Sequence[Solid | None],
    scores: Mapping[str, Scores],
    rng: np.random.Generator,
) -> tuple[Cell, ...]:
    """Mean returns over the tasks of each cell of the grid that has any.

    Args:
        solids: what each task handles; tasks that handle none are left out.
        scores: of each method, on those tasks.
        rng: draws the resamples.
    """
    names = np.array([solid.name if solid else "" for solid in solids])
    different = {solid.name: solid for solid in solids if solid}
    cells: list[Cell] = []
    for place, members in sorted(grid(list(different.values())).items()):
        mine = np.isin(names, [solid.name for solid in members])
        ranges = [(k / CELLS, (k + 1) / CELLS) for k in place]
        cells.append(
            Cell(
                complexity=ranges[0],
                difficulty=ranges[1],
                objects=sorted(solid.name for solid in members),
                tasks=int(mine.sum()),
                returns={
                    n: estimate([s[:, mine]], mean, rng) for n, s in scores.items()
                },
            )
        )
    return tuple(cells)

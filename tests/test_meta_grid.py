"""Results by object: every task counts once, in the cell of what it handles."""

import numpy as np
import pytest

from meta.evaluation import BY_OBJECT, cell_json
from meta.grid import by_object
from meta.report import grid_table
from tasks.complexity import complexity, difficulty
from tasks.registry import make_family
from tasks.solids import Solid


def _scores(solids: list[Solid | None]) -> dict[str, np.ndarray]:
    """Two seeds; what a task earns is decided by its object and the method."""
    worth = [complexity(s) + 2 * difficulty(s) if s else 99.0 for s in solids]
    return {
        name: np.array([worth, worth]) + level for level, name in enumerate(BY_OBJECT)
    }


@pytest.mark.parametrize("name", ["push", "grasp"])
def test_a_cell_has_the_tasks_of_its_objects(name: str) -> None:
    family = make_family(name)
    tasks = family.sample("unseen-shapes", 3, 60)
    solids = [family.solid(task) for task in tasks]
    shown = [task.parameters["shape"] for task in tasks]
    assert [s.name for s in solids if s] == shown
    cells = by_object(solids, _scores(solids), np.random.default_rng(0))
    assert sum(cell.tasks for cell in cells) == len(tasks)
    assert sorted(n for cell in cells for n in cell.objects) == sorted(set(shown))
    for cell in cells:
        mine = [s for s in solids if s and s.name in cell.objects]
        assert len(mine) == cell.tasks
        for solid in mine:
            assert cell.complexity[0] <= complexity(solid) <= cell.complexity[1]
            assert cell.difficulty[0] <= difficulty(solid) <= cell.difficulty[1]
        truth = np.mean([complexity(s) + 2 * difficulty(s) for s in mine])
        for level, method in enumerate(BY_OBJECT):
            assert cell.returns[method].value == pytest.approx(truth + level)


def test_tasks_without_an_object_are_in_no_cell() -> None:
    family = make_family("push")
    solid = family.solid(family.sample("train", 0, 1)[0])
    mixed = [None, solid, None]
    (cell,) = by_object(mixed, _scores(mixed), np.random.default_rng(0))
    assert (cell.tasks, cell.objects) == (1, [solid.name if solid else ""])
    assert cell.returns["dr"].value < 4
    assert by_object([None], _scores([None]), np.random.default_rng(0)) == ()


def test_the_table_says_what_an_object_is_worth() -> None:
    family = make_family("push")
    tasks = family.sample("unseen-shapes", 3, 8)
    solids = [family.solid(task) for task in tasks]
    cells = by_object(solids, _scores(solids), np.random.default_rng(0))
    header, _, *rows = grid_table(map(cell_json, cells), 10).splitlines()
    assert "| DR | not adapted | after 10 episodes | oracle |" in header
    assert len(rows) == len(cells)
    first = cells[0]
    assert f"| {', '.join(first.objects)} | {first.tasks} |" in rows[0]
    assert f"| {first.returns['oracle'].value:.2f} [" in rows[0]

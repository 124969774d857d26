"""Results by object: every task counts once, in the cell of what it handles."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from meta.evaluation.evaluate import evaluate
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.grid import by_object
from meta.evaluation.results import BY_OBJECT, cell_json
from meta.training.trained import load_trained
from pliant.views.cautions import cautions
from pliant.views.grid_table import grid_table
from pliant.views.report import REPORT, write_report
from pliant.views.tables import write_tables
from tasks.manipulation.handling import BankFamily
from tasks.objects.complexity import complexity, difficulty
from tasks.objects.generator import make_solid
from tasks.registry import FAMILIES, make_family
from tasks.task import Task

Coordinates = Sequence[Mapping[str, float]]


def _worth(at: Mapping[str, float]) -> float:
    return at["complexity"] + 2 * at["difficulty"] if at else 99.0


def _scores(coordinates: Coordinates) -> dict[str, np.ndarray]:
    """Two seeds; what a task earns is decided by its object and the method."""
    worth = [_worth(at) for at in coordinates]
    return {
        name: np.array([worth, worth]) + level for level, name in enumerate(BY_OBJECT)
    }


def _drawn(name: str, count: int) -> tuple[BankFamily, list[Task], Coordinates]:
    family = make_family(name)
    assert isinstance(family, BankFamily)
    tasks = family.sample("unseen", 3, count)
    return family, tasks, [family.coordinates(task) for task in tasks]


@pytest.mark.parametrize("name", ["push", "grasp"])
def test_a_cell_has_the_tasks_of_its_objects(name: str) -> None:
    family, tasks, coordinates = _drawn(name, 60)
    shown = [task.parameters["shape"] for task in tasks]
    scores = _scores(coordinates)
    cells = by_object(tasks, coordinates, scores, np.random.default_rng(0))
    assert sum(cell.tasks for cell in cells) == len(tasks)
    assert sorted(n for cell in cells for n in cell.objects) == sorted(set(shown))
    for cell in cells:
        mine = [s for s in map(family.solid, tasks) if s.name in cell.objects]
        assert len(mine) == cell.tasks
        for solid in mine:
            assert cell.complexity[0] <= complexity(solid) <= cell.complexity[1]
            assert cell.difficulty[0] <= difficulty(solid) <= cell.difficulty[1]
        truth = np.mean([complexity(s) + 2 * difficulty(s) for s in mine])
        for level, method in enumerate(BY_OBJECT):
            assert cell.returns[method].value == pytest.approx(truth + level)


def test_an_evaluation_has_its_grid_wherever_it_is_written(tmp_path: Path) -> None:
    names = ("push", "push-dr", "push-oracle")
    policy, dr, oracle = (load_trained(f"shipped:{name}") for name in names)
    cfg = EvaluationCfg(
        split="unseen-shapes",  # the former name of `unseen`
        tasks=8,
        episodes=(0, 1),
        measure_episodes=1,
        threads=1,
    )
    found = evaluate([policy], cfg, floor=[dr], oracle=[oracle])
    assert found.split == "unseen"
    shapes = {t.parameters["shape"] for t in make_family("push").sample("unseen", 0, 8)}
    assert json.loads(found.to_json())["objects"] == found.objects == len(shapes)
    assert f"intervals draw {len(shapes)} objects" in " ".join(cautions(found))
    assert sum(cell.tasks for cell in found.grid) == 8
    levels = (("dr", found.baselines["dr"]), ("oracle", found.baselines["oracle"]))
    levels += (("unadapted", found.curve[0]), ("policy", found.curve[1]))
    for name, level in levels:
        total = sum(cell.tasks * cell.returns[name].value for cell in found.grid)
        assert total / 8 == pytest.approx(level.returns.value)
    assert len({level.returns.value for _, level in levels}) == 4
    table = grid_table(map(cell_json, found.grid), 1, found.policies)
    write_report(found, tmp_path)
    assert table in (tmp_path / REPORT).read_text()
    result = tmp_path / "push-unseen.json"
    stored = found.to_json().replace('"split": "unseen"', '"split": "unseen-shapes"')
    result.write_text(stored)
    write_tables({"push-unseen": result}, tmp_path)
    assert table in (tmp_path / "details.md").read_text()


def test_tasks_without_coordinates_are_in_no_cell() -> None:
    _, [task], [at] = _drawn("push", 1)
    mixed = [{}, at, {"complexity": 0.5}]
    scores = _scores([{}, at, {}])
    (cell,) = by_object([task] * 3, mixed, scores, np.random.default_rng(0))
    assert (cell.tasks, cell.objects) == (1, [task.parameters["shape"]])
    assert cell.returns["dr"].value < 4
    assert by_object([task], [{}], _scores([{}]), np.random.default_rng(0)) == ()


def test_only_families_with_solids_have_coordinates() -> None:
    mug = make_solid("mug", 1, flat=True)
    for name in FAMILIES:
        family = make_family(name)
        [task] = family.sample("train", 0, 1)
        axes = {"complexity", "difficulty"} if name in ("push", "grasp") else set()
        assert set(family.coordinates(task)) == axes, name
    brought = make_family("strike", objects=mug)
    [task] = brought.sample("train", 0, 1)
    expected = {"complexity": complexity(mug), "difficulty": difficulty(mug)}
    assert brought.coordinates(task) == pytest.approx(expected)


def test_the_table_says_what_an_object_is_worth() -> None:
    _, tasks, coordinates = _drawn("push", 8)
    scores = _scores(coordinates)
    cells = by_object(tasks, coordinates, scores, np.random.default_rng(0))
    header, _, *rows = grid_table(map(cell_json, cells), 10, {}).splitlines()
    names = "DR with memory | DR | not adapted | after 10 episodes | oracle"
    assert f"| {names} |" in header
    assert len(rows) == len(cells)
    first = cells[0]
    assert f"| {', '.join(first.objects)} | {first.tasks} |" in rows[0]
    # under the header's names, in its order; cells of few tasks have no interval
    shown = rows[0].removesuffix(" |").split(" | ")[-len(BY_OBJECT) :]
    told = [cell.partition(" [")[0] for cell in shown]
    assert told == [f"{first.returns[n].value:.2f}" for n in BY_OBJECT]

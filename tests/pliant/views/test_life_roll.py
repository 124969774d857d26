"""The picture of a long life: what became of each visit."""

from pathlib import Path

import pytest
from PIL import Image

from meta.continual.habits import NOTHING, Noticed
from meta.continual.life import Lived
from meta.continual.stream import Stream, Visit
from pliant.views.life import draw_life
from pliant.views.life_roll import outcome
from tasks.registry import find_family

TASKS = tuple(find_family("strike", "cpu").sample("held-out", 0, 2))
STREAM = Stream(
    kind="x",
    seed=0,
    tasks=TASKS,
    visits=tuple(Visit(i % 2, 50) for i in range(9)),
)
HERE, THERE = (task.hash for task in TASKS)
ALARM = NOTHING._replace(alarm=True)


def visit(number: int, *noticed: Noticed) -> list[Lived]:
    """Live a visit in which this was noticed, episode by episode."""
    moments = [m for m in STREAM.moments() if m.visit == number]
    heard = [*noticed, *[NOTHING] * len(moments)]
    return [
        Lived(m, TASKS[m.task].hash, 0.01 * m.episode, False, False, n)
        for m, n in zip(moments, heard, strict=False)
    ]


@pytest.mark.parametrize(
    ("number", "noticed", "said"),
    [
        (0, [], "first visit"),
        (1, [ALARM], "first visit"),
        (1, [], "did not notice the change"),
        (2, [ALARM._replace(recalled=HERE)], "recalled this task"),
        (2, [ALARM, NOTHING._replace(recalled=THERE)], "recalled another"),
        # what it gave up for the right one does not count
        (
            2,
            [ALARM._replace(recalled=THERE), NOTHING._replace(recalled=HERE)],
            "recalled this task",
        ),
        (2, [NOTHING, ALARM], "not recognised"),
    ],
)
def test_a_visit_comes_to(number: int, noticed: list[Noticed], said: str) -> None:
    assert outcome(visit(number, *noticed), returning=number > 1) == said


def test_a_long_life_is_drawn_by_visits(tmp_path: Path) -> None:
    whole = [row for i in range(9) for row in visit(i)]
    for life, drawn in ((whole, "long"), (whole[:300], "short")):
        draw_life(life, STREAM, tmp_path / f"{drawn}.png")
    with (
        Image.open(tmp_path / "long.png") as a,
        Image.open(tmp_path / "short.png") as b,
    ):
        assert a.width == b.width
        assert a.height < b.height  # two rows of tasks, and three of episodes

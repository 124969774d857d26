"""The picture of a long life: what became of each visit."""

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from meta.continual.draw import make_stream
from meta.continual.habits import NOTHING, Noticed
from meta.continual.life import Lived, by_agent
from meta.continual.stream import Stream, Visit
from pliant.views.life import _own_changes, draw_life
from pliant.views.life_roll import outcome
from tasks.registry import find_family

SHOVE = find_family("shove", "cpu")
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


def test_each_agent_of_a_team_is_drawn(tmp_path: Path) -> None:
    """Lines stand where an agent's own part of the task became another."""
    stream = make_stream(SHOVE, visits=9, episodes=(50, 50), changes="agent")
    life = [
        Lived(m, own.tasks[m.task].hash, 0.5, False, False, NOTHING, agent)
        for m in stream.moments()
        for agent, own in zip(SHOVE.agents, stream.by_agent(SHOVE), strict=True)
    ]
    drawn: list[Axes] = []
    for own in by_agent(life).values():
        drawn.append(Figure().subplots())
        _own_changes(drawn[-1], own, stream)
    # of each the first line is the legend's
    starts = [[x.get_xdata()[0] for x in axes.lines[1:]] for axes in drawn]  # pyright: ignore
    assert starts == [[49.5 + 50 * i for i in range(8)], []]
    sizes: list[tuple[int, int]] = []
    for part in (life, life[:600], life[:600:2]):
        draw_life(part, stream, tmp_path / "life.png")
        with Image.open(tmp_path / "life.png") as picture:
            sizes.append(picture.size)
    (roll, team, one), heights = zip(*sizes, strict=True)
    assert roll == team == one
    assert heights[1] > 1.8 * heights[2]


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

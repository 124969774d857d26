"""Rows of a batch: one a world, or one an agent of each world."""

import pytest
import torch

from tasks.rows import AGENT, Rows, agent_parameter
from tasks.task import Task

AGENTS = ("left", "right")


def task(agent: str, friction: float) -> Task:
    parameters = {AGENT: agent, "friction": friction}
    return Task(family="shove", split="train", seed=0, parameters=parameters)


def team(*frictions: float, episodes: int = 1) -> list[Task]:
    """Tasks, their agents and their episodes, as learners lay them out."""
    return [task(a, f) for f in frictions for a in AGENTS for _ in range(episodes)]


def arranged(tasks: list[Task]) -> Rows:
    rows = Rows(AGENTS)
    rows.arrange(tasks)
    return rows


def test_one_robot_a_world_is_left_as_it_is() -> None:
    rows, x = Rows(()), torch.rand(3, 2)
    rows.arrange([task("left", 1.0)] * 3)
    assert rows.team == 1
    assert rows.worlds(3) == 3
    for same in (rows.first(x), rows.by_world(x), rows.of_each(x)):
        assert same is x
    chosen = torch.tensor([0, 2])
    assert rows.chosen(chosen) is chosen


def test_agents_of_a_task_meet_episode_by_episode() -> None:
    """Rows: left of A twice, right of A twice, left of B twice, right of B twice."""
    rows = arranged(team(0.1, 0.2, episodes=2))
    assert rows.worlds(8) == 4
    x = torch.arange(8)
    assert rows.by_world(x).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert rows.first(x).tolist() == [0, 1, 4, 5]
    assert torch.equal(rows.of_each(rows.by_world(x)), x)
    shared = rows.of_each(torch.tensor([10, 11, 12, 13]))
    assert shared.tolist() == [10, 11, 10, 11, 12, 13, 12, 13]


def test_rows_with_axes_of_their_own_come_back() -> None:
    rows, x = arranged(team(0.1, 0.2, episodes=3)), torch.rand(12, 4)
    assert rows.by_world(x).shape == (6, 2, 4)
    assert torch.equal(rows.of_each(rows.by_world(x)), x)


def test_worlds_begin_with_all_of_their_agents() -> None:
    rows = arranged(team(0.1, 0.2, episodes=2))
    assert rows.chosen(torch.tensor([1, 3, 4, 6])).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"begin together.*got rows 1, 2"):
        rows.chosen(torch.tensor([1, 2]))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (team(0.1)[:1] * 4, "equally many rows; got 4 of left, 0 of right"),
        ([task("left", 0.1), task("right", 0.2)], "rows 0, 1 share a world"),
        ([*team(0.1), task("left", 0.2), task("right", 0.3)], "rows 2, 3 share"),
    ],
)
def test_rows_that_are_no_teams_are_refused(tasks: list[Task], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arranged(tasks)


def test_an_odd_number_of_rows_is_refused_naming_the_agents() -> None:
    with pytest.raises(ValueError, match=r"\(left, right\).*multiples of 2, got 5"):
        Rows(AGENTS).worlds(5)


def test_some_rows_keep_their_agents() -> None:
    rows = arranged(team(0.1, 0.2))
    swapped = [task("right", 0.1), task("left", 0.1), *team(0.2)]
    with pytest.raises(ValueError, match="keep the agents that they had"):
        rows.arrange(swapped, again=True)


def test_an_agent_knows_which_one_it_is() -> None:
    parameter = agent_parameter(AGENTS)
    assert not parameter.hidden
    assert parameter.options == AGENTS

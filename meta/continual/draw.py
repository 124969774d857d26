"""Streams drawn at random: recurring, fresh and periodic ones, and ramps."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from meta.continual.stream import MOST_EPISODES, Stream, Visit
from meta.experience.changes import mattering
from meta.experience.schedule import between
from tasks.contract import TaskFamily
from tasks.family import Family
from tasks.parameters import Scalar, Value
from tasks.registry import find_family
from tasks.rows import of_agent
from tasks.task import Task

KINDS = ("recurring", "fresh", "periodic", "ramp")
"""Half of the visits are to earlier tasks (more, of a family of few tasks), or none is;
or the same few tasks come in turn; or each task moves towards another in steps of one
episode."""
CHANGES = ("task", "agent", "both")
"""Parts of a team's task that change: all of it; of one agent, which stays the same in
the whole stream, its own parameters alone; or all of it and one agent's by turns."""
_ROUNDS = 5
"""Times that a periodic stream goes round."""


def make_stream(
    family: TaskFamily | type[TaskFamily] | str,
    kind: str = "recurring",
    *,
    visits: int = 20,
    episodes: tuple[int, int] = (4, 8),
    split: str = "held-out",
    seed: int = 0,
    inside: bool = False,
    changes: str = "task",
) -> Stream:
    """Draw a stream.

    Args:
        family: where its tasks come from, its class, or its name. A team's tasks are
            its first agent's; the others live the same ones.
        kind: one of `KINDS`.
        visits: number of visits; of a ramp, number of ramps.
        episodes: least and greatest number in a visit, drawn uniformly; of a ramp, the
            number of steps that it takes.
        split: split of the tasks.
        seed: decides all of it.
        inside: the task changes half way through the first episode of each visit,
            except the first. What cannot change within an episode is then the same in
            all tasks.
        changes: one of `CHANGES`; what is not `task` is for teams.

    Raises:
        ValueError: for an unknown kind, fewer than two visits, numbers of episodes that
            are no range, a family of too few different tasks or without anything
            that matters and may change inside an episode, or changes of one agent
            where nothing that matters is an agent's own.
    """
    family = find_family(family) if isinstance(family, str | type) else family
    _check_asked(kind, visits, episodes, seed, changes)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "ramp":
        if inside:
            raise ValueError("the tasks of a ramp change between episodes")
        anchors = different(family, split, seed, visits + 1, changes=changes)
        _check_enough(anchors, visits + 1, f"{visits} ramps need {visits + 1}")
        return _ramp(family, anchors, episodes, seed)
    new = {"recurring": visits - visits // 2, "fresh": visits}
    wanted = max(2, new.get(kind, visits // _ROUNDS))
    tasks = different(family, split, seed, wanted, inside=inside, changes=changes)
    least = wanted if kind == "fresh" else 2
    _check_enough(tasks, least, f"a {kind} stream of {visits} visits needs {wanted}")
    order = _order(kind, visits, len(tasks), rng)
    lengths = rng.integers(episodes[0], episodes[1] + 1, size=visits).tolist()
    return Stream(
        kind=kind,
        seed=seed,
        tasks=tuple(tasks),
        visits=tuple(map(Visit, order, lengths)),
        step=family.horizon // 2 if inside else 0,
    )


def _check_asked(
    kind: str, visits: object, episodes: object, seed: object, changes: str
) -> None:
    """Raise ValueError for a stream that cannot be drawn, whatever its tasks."""
    if changes not in CHANGES:
        raise ValueError(f"changes is one of {', '.join(CHANGES)}; got {changes!r}")
    if kind not in KINDS:
        raise ValueError(f"a stream is one of {', '.join(KINDS)}; got {kind!r}")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is a whole number >= 0, got {seed!r}")
    match episodes:
        case (int() as low, int() as high) if 1 <= low <= high:
            most = MOST_EPISODES // high
        case _:
            raise ValueError(
                "episodes are the least and the greatest number in a visit, at least "
                f"1, such as (4, 8); got {episodes!r}"
            )
    if not isinstance(visits, int) or not 2 <= visits <= most:
        raise ValueError(
            f"need 2 to {most:,} visits of up to {high:,} episodes, got {visits!r}"
        )


def _check_enough(tasks: Sequence[Task], least: int, why: str) -> None:
    """Raise ValueError for fewer different tasks than a stream needs."""
    if len(tasks) < least:
        task = tasks[0]
        raise ValueError(
            f"{task.split} tasks of {task.family} are {len(tasks)} different ones, and "
            f"{why}"
        )


def _order(kind: str, visits: int, tasks: int, rng: np.random.Generator) -> list[int]:
    """Return the place of each visit's task, numbered by first visit."""
    if kind != "recurring":
        return [i % tasks for i in range(visits)]
    # the first two are new: only then is there one to come back to
    again = np.ones(visits, bool)
    again[:2] = False
    again[2 + rng.permutation(visits - 2)[: tasks - 2]] = False
    order: list[int] = []
    known = 0
    for back in again:
        if back:  # to any earlier one but the last
            place = int(rng.integers(known - 1))
            order.append(place + (place >= order[-1]))
        else:
            order.append(known)
            known += 1
    return order


def different(
    family: TaskFamily,
    split: str,
    seed: int,
    count: int,
    *,
    inside: bool = False,
    changes: str = "task",
) -> list[Task]:
    """Draw so many tasks, or all there are, no two of them equal in what matters.

    Arguments are those of `make_stream`.
    """
    team = family.team
    drawn = family.sample(split, seed, team * (4 * count + 64))[::team]
    scenery = {*family.scenery}
    if inside:
        if not (isinstance(family, Family) and mattering(family)):
            raise ValueError(
                f"nothing that matters on {family.name} can change inside an episode"
            )
        fixed = {k: drawn[0].parameters[k] for k in family.fixed_within_episode}
        drawn = [replace(t, parameters=dict(t.parameters) | fixed) for t in drawn]
    told = [p.name for p in family.hidden if p.name not in scenery]
    if changes != "task":
        drawn = _by_one_agent(family, drawn, told, seed, turns=changes == "both")
    found: dict[tuple[Value, ...], Task] = {}
    for task in drawn:
        found.setdefault(tuple(task.parameters[name] for name in told), task)
    return list(found.values())[:count]


def _by_one_agent(
    family: TaskFamily,
    drawn: Sequence[Task],
    matters: Sequence[str],
    seed: int,
    *,
    turns: bool,
) -> list[Task]:
    """Give tasks the parameters of the first one, but for one agent's own.

    Or, in turns, every second task those of the one before, but for one agent's.
    """
    if not family.agents:
        raise ValueError(
            "changes of one agent are a team's, and family "
            f"{family.name} is of one robot: leave changes at 'task'"
        )
    found = list[Task]()
    for i, task in enumerate(drawn):
        agent = family.agents[(seed + turns * i // 2) % family.team]
        free = of_agent(matters, agent)
        if not free:
            raise ValueError(
                f"nothing that matters on {family.name} is agent {agent}'s own: such a "
                f"parameter's name ends with _{agent}"
            )
        own = {name: task.parameters[name] for name in free}
        base = drawn[i - i % 2 if turns else 0].parameters
        found.append(replace(task, parameters={**base, **own}))
    return found


def _ramp(
    family: TaskFamily,
    anchors: Sequence[Task],
    steps: tuple[int, int],
    seed: int,
) -> Stream:
    """Move each task's numbers towards the next one's, and keep its other values."""
    rng = np.random.default_rng([seed, KINDS.index("ramp")])
    tasks: dict[str, Task] = {}
    places: dict[str, int] = {}
    order: list[int] = []
    kept = anchors[0].parameters
    for a, b in pairwise(anchors):
        count = int(rng.integers(steps[0], steps[1] + 1))
        for i in range(count):
            values = {
                p.name: between(
                    p, a.parameters[p.name], b.parameters[p.name], i / count
                )
                if isinstance(p, Scalar)
                else kept[p.name]
                for p in family.parameters
            }
            task = Task(
                family=family.name,
                split=a.split,
                seed=a.seed,
                parameters=values,
            )
            tasks.setdefault(task.hash, task)
            order.append(places.setdefault(task.hash, len(places)))
    return Stream(
        kind="ramp",
        seed=seed,
        tasks=tuple(tasks.values()),
        visits=tuple(Visit(place, 1) for place in order),
    )

"""Streams: schedules of tasks that one robot meets, or a team, episode by episode.

A stream is a list of visits. In a visit the task stays the same; an agent is told of no
change unless it has been given a notice. A stream of one seed is the same wherever it
is made, and its JSON holds every task of it.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from meta.machine.files import read_json, write_json
from tasks.contract import TaskFamily
from tasks.registry import find_family
from tasks.strict_json import BROKEN
from tasks.task import Task

FORMAT = "pliant-stream-1"
MOST_EPISODES = 1_000_000


class Visit(NamedTuple):
    """Some episodes with one task."""

    task: int
    """Its place among the stream's tasks."""
    episodes: int


class Moment(NamedTuple):
    """One episode of a stream."""

    episode: int
    task: int
    """Place of the task in which the episode ends."""
    before: int
    """Place of the task in which it begins: another one if it changes on the way."""
    visit: int
    age: int
    """Episodes of the visit before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A schedule of tasks of one family."""

    kind: str
    """One of `meta.continual.draw.KINDS`, or any name of a schedule of one's own."""
    seed: int
    tasks: tuple[Task, ...]
    """All different; of a team, as its first agent has them."""
    visits: tuple[Visit, ...]
    step: int = 0
    """Step at which a visit's task takes the place of the one before, in the visit's
    first episode; 0: between episodes."""

    def __post_init__(self) -> None:
        """Refuse schedules that no agent could live."""
        places = {v.task for v in self.visits}
        if not self.visits or places != set(range(len(self.tasks))):
            raise ValueError(
                f"a stream visits each of its tasks: it has {len(self.tasks)}, and "
                f"visits {sorted(places)}"
            )
        if len({t.hash for t in self.tasks}) < len(self.tasks):
            raise ValueError("the tasks of a stream are all different")
        if len({t.family for t in self.tasks}) > 1:
            raise ValueError("the tasks of a stream are of one family")
        if any(a.task == b.task for a, b in pairwise(self.visits)):
            raise ValueError("two visits in turn are to one task: make them one")
        if not all(v.episodes >= 1 for v in self.visits) or self.step < 0:
            raise ValueError("a visit has at least 1 episode, and step is at least 0")
        if len(self) > MOST_EPISODES:
            raise ValueError(f"{len(self):,} episodes; at most {MOST_EPISODES:,}")

    def __len__(self) -> int:
        """Return the number of episodes."""
        return sum(v.episodes for v in self.visits)

    @property
    def family(self) -> str:
        """Name of the family of all tasks."""
        return self.tasks[0].family

    def by_agent(self, family: TaskFamily) -> tuple["Stream", ...]:
        """Return what each agent of a team lives; one robot lives the stream itself.

        Raises:
            ValueError: for a stream that visits one team's task as two agents'.
        """
        teams = zip(*map(family.of_team, self.tasks), strict=True)
        return tuple(replace(self, tasks=tasks) for tasks in teams)

    def moments(self) -> list[Moment]:
        """Return every episode, in order."""
        return list(_moments(self.visits, self.step))

    def returning(self) -> list[bool]:
        """Tell of each visit whether its task had been visited before."""
        first: dict[int, int] = {}
        return [first.setdefault(v.task, i) < i for i, v in enumerate(self.visits)]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON's values."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "seed": self.seed,
            "step": self.step,
            "tasks": [json.loads(task.to_json()) for task in self.tasks],
            "visits": [list(visit) for visit in self.visits],
        }

    def save(self, path: str | Path) -> None:
        """Write the file that `load_stream` reads.

        Raises:
            OSError: if it cannot be written; an existing one is then untouched.
        """
        write_json(Path(path), self.to_json())


@lru_cache(maxsize=1024)
def _moments(visits: tuple[Visit, ...], step: int) -> tuple[Moment, ...]:
    found: list[Moment] = []
    last = visits[0].task
    for i, visit in enumerate(visits):
        for age in range(visit.episodes):
            changes = age == 0 and step > 0
            before = last if changes else visit.task
            found.append(Moment(len(found), visit.task, before, i, age))
        last = visit.task
    return tuple(found)


def load_stream(path: str | Path, family: TaskFamily | None = None) -> Stream:
    """Read a stream from its JSON.

    Args:
        path: the file.
        family: the tasks' family; by default the one that they name.

    Raises:
        ValueError: for anything else than a stream, naming the file.
        OSError: if it cannot be opened.
    """
    raw = read_json(Path(path))
    try:
        return parse_stream(raw, family)
    except BROKEN as error:
        raise ValueError(f"{path} is no stream: {error}") from error


def parse_stream(raw: Any, family: TaskFamily | None = None) -> Stream:  # noqa: ANN401
    """Return the stream that `to_json` made; raises as `load_stream` otherwise."""
    said = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
    if said != FORMAT:
        raise ValueError(f"format {said!r}, expected {FORMAT}")
    if not isinstance(raw.get("tasks"), list) or not all(
        isinstance(visit, list) and len(visit) == 2 for visit in raw["visits"]
    ):
        raise ValueError("tasks is a list, and visits one of [task, episodes]")
    numbers = [raw["seed"], raw["step"], *(n for v in raw["visits"] for n in v)]
    if not all(type(n) is int for n in numbers):
        raise ValueError("seed, step and visits are whole numbers")
    names = {str(task["family"]) for task in raw["tasks"]}
    if len(names) != 1:
        raise ValueError(f"tasks of {len(names)} families, expected 1")
    family = family or find_family(names.pop(), "cpu")
    return Stream(
        kind=str(raw["kind"]),
        seed=raw["seed"],
        tasks=tuple(family.parse(json.dumps(task)) for task in raw["tasks"]),
        visits=tuple(Visit(*visit) for visit in raw["visits"]),
        step=raw["step"],
    )

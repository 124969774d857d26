"""Streams: schedules of tasks that one agent meets, episode after episode.

A stream is a list of visits. In a visit the task stays the same; an agent is told of no
change unless it has been given a notice. A stream of one seed is the same wherever it
is made, and its JSON holds every task of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from meta.evaluation.changes import mattering
from meta.machine.files import read_json, write_json
from tasks.contract import TaskFamily
from tasks.family import Family
from tasks.parameters import Scalar, Value, current_split
from tasks.registry import find_family
from tasks.strict_json import BROKEN
from tasks.task import Task

FORMAT = "pliant-stream-1"
KINDS = ("recurring", "fresh", "periodic", "ramp")
"""Half of the visits are to earlier tasks (more, of a family of few tasks), or none is;
or the same few tasks come in turn; or each task moves towards another in steps of one
episode."""
_ROUNDS = 5
"""Times that a periodic stream goes round."""
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
    """One of `KINDS`, or any name for a schedule of one's own."""
    seed: int
    tasks: tuple[Task, ...]
    """All different."""
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

    def moments(self) -> list[Moment]:
        """Return every episode, in order."""
        found: list[Moment] = []
        last = self.visits[0].task
        for i, visit in enumerate(self.visits):
            for age in range(visit.episodes):
                changes = age == 0 and self.step > 0
                before = last if changes else visit.task
                found.append(Moment(len(found), visit.task, before, i, age))
            last = visit.task
        return found

    def returning(self) -> list[bool]:
        """Tell of each visit whether its task had been visited before."""
        tasks = [v.task for v in self.visits]
        return [task in tasks[:i] for i, task in enumerate(tasks)]

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

    def save(self, path: Path) -> None:
        """Write the file that `load_stream` reads.

        Raises:
            OSError: if it cannot be written; an existing one is then untouched.
        """
        write_json(path, self.to_json())


def make_stream(
    family: TaskFamily,
    kind: str = "recurring",
    *,
    visits: int = 20,
    episodes: tuple[int, int] = (4, 8),
    split: str = "held-out",
    seed: int = 0,
    inside: bool = False,
) -> Stream:
    """Draw a stream.

    Args:
        family: where its tasks come from.
        kind: one of `KINDS`.
        visits: number of visits; of a ramp, number of ramps.
        episodes: least and greatest number in a visit, drawn uniformly; of a ramp, the
            number of steps that it takes.
        split: split of the tasks.
        seed: decides all of it.
        inside: the task changes half way through the first episode of each visit,
            except the first. What cannot change within an episode is then the same in
            all tasks.

    Raises:
        ValueError: for an unknown kind, fewer than two visits, numbers of episodes that
            are no range, or a family of too few different tasks or without anything
            that matters and may change inside an episode.
    """
    low, high = episodes
    if kind not in KINDS or visits < 2 or not 1 <= low <= high:
        raise ValueError(
            f"a stream is one of {', '.join(KINDS)}, of at least 2 visits of 1 or more "
            f"episodes; got {kind!r}, {visits} and {low} to {high}"
        )
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "ramp":
        if inside:
            raise ValueError("the tasks of a ramp change between episodes")
        return _ramp(family, visits, episodes, split, seed)
    new = {"recurring": visits - visits // 2, "fresh": visits}
    wanted = max(2, new.get(kind, visits // _ROUNDS))
    tasks = _different(family, split, seed, wanted, inside=inside)
    if len(tasks) < (wanted if kind == "fresh" else 2):
        raise ValueError(
            f"{split} tasks of {family.name} are {len(tasks)} different ones, and a "
            f"{kind} stream of {visits} visits needs {wanted}"
        )
    order = _order(kind, visits, len(tasks), rng)
    lengths = rng.integers(low, high + 1, size=visits).tolist()
    return Stream(
        kind=kind,
        seed=seed,
        tasks=tuple(tasks),
        visits=tuple(map(Visit, order, lengths)),
        step=family.horizon // 2 if inside else 0,
    )


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


def _order(kind: str, visits: int, tasks: int, rng: np.random.Generator) -> list[int]:
    """Return the place of each visit's task, numbered by first visit."""
    if kind != "recurring":
        return [i % tasks for i in range(visits)]
    # the first two are new: only then is there one to come back to
    again = np.ones(visits, bool)
    again[:2] = False
    again[2 + rng.permutation(visits - 2)[: tasks - 2]] = False
    order: list[int] = []
    for back in again:
        known = max(order, default=-1) + 1
        earlier = [i for i in range(known) if i != order[-1]] if back else [known]
        order.append(int(rng.choice(earlier)))
    return order


def _different(
    family: TaskFamily, split: str, seed: int, count: int, *, inside: bool
) -> list[Task]:
    """Draw so many tasks, or all there are, no two of them equal in what matters."""
    drawn = family.sample(split, seed, 4 * count + 64)
    scenery = {*family.scenery}
    if inside:
        if not (isinstance(family, Family) and mattering(family)):
            raise ValueError(
                f"nothing that matters on {family.name} can change inside an episode"
            )
        fixed = {k: drawn[0].parameters[k] for k in family.fixed_within_episode}
        drawn = [replace(t, parameters=dict(t.parameters) | fixed) for t in drawn]
    told = [p.name for p in family.hidden if p.name not in scenery]
    found: dict[tuple[Value, ...], Task] = {}
    for task in drawn:
        found.setdefault(tuple(task.parameters[name] for name in told), task)
    return list(found.values())[:count]


def _ramp(
    family: TaskFamily, ramps: int, steps: tuple[int, int], split: str, seed: int
) -> Stream:
    """Move each task's numbers towards the next one's, and keep its other values."""
    rng = np.random.default_rng([seed, KINDS.index("ramp")])
    anchors = _different(family, split, seed, ramps + 1, inside=False)
    if len(anchors) <= ramps:
        raise ValueError(
            f"{split} tasks of {family.name} are {len(anchors)} different ones, and "
            f"{ramps} ramps need {ramps + 1}"
        )
    tasks: dict[str, Task] = {}
    order: list[int] = []
    kept = anchors[0].parameters
    for a, b in pairwise(anchors):
        count = int(rng.integers(steps[0], steps[1] + 1))
        for i in range(count):
            values = {
                p.name: _between(p, a.parameters, b.parameters, i / count)
                if isinstance(p, Scalar)
                else kept[p.name]
                for p in family.parameters
            }
            task = Task(
                family=family.name,
                split=current_split(split),
                seed=a.seed,
                parameters=values,
            )
            tasks.setdefault(task.hash, task)
            order.append(list(tasks).index(task.hash))
    return Stream(
        kind="ramp",
        seed=seed,
        tasks=tuple(tasks.values()),
        visits=tuple(Visit(place, 1) for place in order),
    )


def _between(
    p: Scalar, a: Mapping[str, Value], b: Mapping[str, Value], share: float
) -> float:
    """Return a number between two, on a logarithmic scale if it is drawn on one."""
    x, y = float(a[p.name]), float(b[p.name])
    if p.log:
        return float(np.exp((1 - share) * np.log(x) + share * np.log(y)))
    return (1 - share) * x + share * y

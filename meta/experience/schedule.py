"""Schedules of a task that changes in the course of an episode.

At a step t the task is A with a share s(t) of B in it. Numbers move between the two, on
a logarithmic scale where they are drawn on one; anything else is B's from one half on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.family import Family
from tasks.parameters import Parameter, Scalar, Value
from tasks.task import Task

KINDS = ("step", "ramp", "periodic", "recurring")
"""B takes A's place at once, or by and by; or the task goes to B and back along a wave,
or in turns."""

Changes = Mapping[int, Sequence[Task]]
"""Steps of an episode at which worlds get other tasks, and these: one a world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The share of B at each step of an episode."""

    kind: str
    """One of `KINDS`."""
    start: int
    """Step before which the task is A."""
    length: int = 1
    """Steps that a ramp takes; a wave's period; how long a turn is."""

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        if self.kind not in KINDS or self.start < 0 or self.length < 1:
            raise ValueError(
                f"a schedule is one of {', '.join(KINDS)}, with start >= 0 and length "
                f">= 1; got {self}"
            )

    @property
    def lasting(self) -> bool:
        """True if the task is B in the end, and stays it."""
        return self.kind in ("step", "ramp")

    def share(self, step: int) -> float:
        """Return the share of B from this step to the next, 0 to 1."""
        since = step - self.start
        if since < 0:
            return 0.0
        match self.kind:
            case "step":
                return 1.0
            case "ramp":
                return min((since + 1) / self.length, 1.0)
            case "periodic":
                return (1 - math.cos(2 * math.pi * since / self.length)) / 2
            case _:
                return 1.0 - since // self.length % 2

    def changes(
        self, family: Family, before: Sequence[Task], after: Sequence[Task]
    ) -> Changes:
        """Return the changes of an episode that begins in `before`, the tasks A.

        Args:
            family: of the tasks, none of which may differ from its other one in what
                cannot change within an episode.
            before: one a world.
            after: the tasks B, one a world.
        """
        shares = [self.share(step) for step in range(family.horizon)]
        last = [0.0, *shares]
        pairs = {(id(a), id(b)): (a, b) for a, b in zip(before, after, strict=True)}
        found: dict[int, Sequence[Task]] = {}
        for step, share in enumerate(shares):
            if share != last[step]:
                now = {k: blended(family, a, b, share) for k, (a, b) in pairs.items()}
                both = zip(before, after, strict=True)
                found[step] = [now[id(a), id(b)] for a, b in both]
        return found


def schedule_over(horizon: int, kind: str) -> Schedule:
    """Return the schedule of a kind that fits an episode.

    A step comes half way; a ramp takes the two middle quarters; a wave of half an
    episode begins after a quarter and goes on; three turns, of which the first is B,
    share what is left after a quarter.

    Raises:
        ValueError: for an unknown kind.
    """
    quarter = max(horizon // 4, 1)
    start = horizon // 2 if kind == "step" else quarter
    turn = math.ceil((horizon - start) / 3)
    length = turn if kind == "recurring" else 2 * quarter
    return Schedule(kind=kind, start=start, length=length)


def blended(family: Family, a: Task, b: Task, share: float) -> Task:
    """Return the task that is A with a share of B in it."""
    if share in (0.0, 1.0):
        return b if share else a
    values = {
        p.name: between(p, a.parameters[p.name], b.parameters[p.name], share)
        for p in family.parameters
    }
    return replace(a, parameters=values)


def between(p: Parameter, a: Value, b: Value, share: float) -> Value:
    """Return a value between two of a parameter; of what is no number, one of them."""
    if a == b or not isinstance(p, Scalar):
        return a if share < 0.5 else b
    x, y = float(a), float(b)
    if p.log:
        x, y = np.log(x), np.log(y)
    mixed = (1 - share) * x + share * y
    return float(np.exp(mixed) if p.log else mixed)

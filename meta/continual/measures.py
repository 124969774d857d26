"""Measures of lives: regret, forgetting, recall and the noticing of changes.

Regret is to the oracle in the same stream. Forgetting is Continual World's (Wolczyk et
al. 2021, arXiv 2105.10919) for an agent that comes back: what its first visit to a task
ended with, less what its last visit ended with. Relearn saving is the share of the
regret of first visits that return visits are spared.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meta.continual.life import Lived
from meta.continual.stream import Stream
from meta.evaluation.transfer import auroc

Array = NDArray[np.float64]
Life = Sequence[Lived]

MEASURES = {
    "return": "mean return of an episode",
    "regret": "of an episode: the oracle's return less its own",
    "early": "regret of an episode in the first fifth of the visits",
    "late": "regret of an episode in the last fifth",
    "first": "regret in visits to new tasks, without the episode of the change",
    "again": "regret in return visits, likewise",
    "saving": "share of `first` that `again` lacks",
    "forgetting": "mean return in the second half of a first visit, less the last",
    "false alarms": "share of acted episodes without a change in which it noticed one",
    "missed": "share of changes that it had not noticed when the next one came",
    "unnoticed": "regret in visits whose change it missed, likewise",
    "delay": "episodes before the one in which it noticed, of changes that it did",
    "looked": "share of return visits in which it looked into its library",
    "recall@1": "share of those in which the entry nearest at first was the task's",
    "recall@3": "share in which one of the nearest three was",
    "recalled": "share of return visits in which it recalled something",
    "right": "share of all that it recalled that was of the task",
    "abstention": "area under the ROC curve of telling new tasks by the distance",
    "entries": "tasks in the library at the end",
}
"""Names of the measures of a life, and their definitions."""


class _Visit(NamedTuple):
    """One visit of one life."""

    place: int
    returning: bool
    rows: list[Lived]
    oracle: list[Lived]

    @property
    def whole(self) -> Array:
        """Regret of each episode."""
        pairs = zip(self.rows, self.oracle, strict=True)
        return np.array([o.returns - r.returns for r, o in pairs])

    @property
    def regret(self) -> Array:
        """Regret of each episode after that of the change."""
        return self.whole[[r.moment.age > 0 for r in self.rows]]

    @property
    def end(self) -> float:
        """Mean return in its second half."""
        return float(np.mean([r.returns for r in self.rows[len(self.rows) // 2 :]]))


def measures(life: Life, stream: Stream, oracle: Life) -> dict[str, float]:
    """Return every measure of one life, NaN where it is not defined.

    Args:
        life: all its episodes.
        stream: the stream that was lived.
        oracle: the oracle's life in the same stream.
    """
    visits = _visits(life, stream, oracle)
    fifth = max(1, len(visits) // 5)
    own = np.array([r.returns for r in life])
    best = np.array([r.returns for r in oracle])
    first = _mean([v.regret for v in visits[1:] if not v.returning])
    again = _mean([v.regret for v in visits[1:] if v.returning])
    named = {
        "return": float(own.mean()),
        "regret": float((best - own).mean()),
        "early": _mean([v.whole for v in visits[:fifth]]),
        "late": _mean([v.whole for v in visits[-fifth:]]),
        "first": first,
        "again": again,
        "saving": 1 - again / first if first > 0 else float("nan"),
        "forgetting": _forgetting(visits),
    }
    return named | _noticing(visits) | _recalling(visits)


def by_visit(life: Life, stream: Stream, oracle: Life) -> list[float]:
    """Return the regret of an episode in each visit; arguments as of `measures`."""
    return [float(v.whole.mean()) for v in _visits(life, stream, oracle)]


def by_age(
    lives: Sequence[Life],
    streams: Sequence[Stream],
    ages: int,
    earned: Callable[[Lived], float] = attrgetter("returns"),
) -> Mapping[bool, Array]:
    """Return mean returns by the age of a visit, of new tasks and of return visits.

    Or of whatever else `earned` says of an episode.
    """
    found: dict[bool, list[list[float]]] = {
        back: [[] for _ in range(ages)] for back in (False, True)
    }
    for life, stream in zip(lives, streams, strict=True):
        returning = stream.returning()
        for r in life:
            if r.moment.visit and r.moment.age < ages:
                found[returning[r.moment.visit]][r.moment.age].append(earned(r))
    means = {k: [float(np.mean(x or [np.nan])) for x in v] for k, v in found.items()}
    return {k: np.array(v, np.float64) for k, v in means.items()}


def _visits(life: Life, stream: Stream, oracle: Life) -> list[_Visit]:
    returning = stream.returning()
    visits = [
        _Visit(visit.task, back, [], [])
        for visit, back in zip(stream.visits, returning, strict=True)
    ]
    for row, best in zip(life, oracle, strict=True):
        visits[row.moment.visit].rows.append(row)
        visits[row.moment.visit].oracle.append(best)
    return visits


def _forgetting(visits: Sequence[_Visit]) -> float:
    places = dict.fromkeys(v.place for v in visits)
    own = [[v.end for v in visits if v.place == place] for place in places]
    lost = [ends[0] - ends[-1] for ends in own if len(ends) > 1]
    return float(np.mean(lost)) if lost else float("nan")


def _noticing(visits: Sequence[_Visit]) -> dict[str, float]:
    """Judge alarms: the first one in a visit is the change's, all others are false."""
    calm, false, delays = 0, 0, list[int]()
    missed: list[Array] = []
    for i, visit in enumerate(visits):
        noticed = i == 0
        for r in visit.rows:
            alarm = r.noticed is not None and r.noticed.alarm
            if not noticed:
                noticed = alarm
                if alarm:
                    delays.append(r.moment.age)
            elif not r.explored:
                calm, false = calm + 1, false + alarm
        missed += [] if noticed else [visit.regret]
    return {
        "false alarms": false / calm if calm else float("nan"),
        "missed": len(missed) / (len(visits) - 1),
        "unnoticed": _mean(missed),
        "delay": float(np.mean(delays)) if delays else float("nan"),
    }


def _recalling(visits: Sequence[_Visit]) -> dict[str, float]:
    looks: list[tuple[bool, str, tuple[str, ...]]] = []
    away: dict[bool, list[float]] = {True: [], False: []}
    recalled, right, back = 0, 0, 0
    for visit in visits:
        rows = [(r.task, r.noticed) for r in visit.rows if r.noticed]
        first = [(task, n) for task, n in rows if n.nearest]
        named = [(task, n) for task, n in rows if n.recalled]
        back += visit.returning
        recalled += visit.returning and bool(named)
        right += sum(n.recalled == task for task, n in named)
        if first:
            task, n = first[0]
            looks.append((visit.returning, task, n.nearest))
            away[visit.returning].append(n.distance)
    mine = [(task, near) for returning, task, near in looks if returning]
    total = sum(bool(r.noticed and r.noticed.recalled) for v in visits for r in v.rows)
    return {
        "looked": len(mine) / back if back else float("nan"),
        "recall@1": _share([near[0] == task for task, near in mine]),
        "recall@3": _share([task in near for task, near in mine]),
        "recalled": recalled / back if back else float("nan"),
        "right": right / total if total else float("nan"),
        "abstention": auroc(np.array(away[True]), np.array(away[False]))
        if all(away.values())
        else float("nan"),
        "entries": float(visits[-1].rows[-1].noticed.entries)
        if visits[-1].rows[-1].noticed
        else float("nan"),
    }


def _mean(parts: Sequence[Array]) -> float:
    joined = np.concatenate(parts) if parts else np.empty(0)
    return float(joined.mean()) if len(joined) else float("nan")


def _share(x: Sequence[bool]) -> float:
    return float(np.mean(x)) if x else float("nan")

"""One line of the benchmark table."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """A ratio, its bar, and the figures it comes from."""

    what: str
    ratio: float
    least: float | None = None
    most: float | None = None
    figures: str

    @property
    def bar(self) -> str:
        """The bar in words."""
        return f">= {self.least}" if self.least is not None else f"<= {self.most}"

    @property
    def holds(self) -> bool:
        """True if the ratio meets its bar."""
        if self.least is not None:
            return self.ratio >= self.least
        return self.most is None or self.ratio <= self.most

    def to_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self) | {"holds": self.holds}


def rates(calls: dict[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Units per second of each call, which returns the units it did.

    The calls take turns, so that a change of the machine's speed meets all of them; the
    median of the turns is kept.
    """
    turns: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or len(next(iter(turns.values()))) < 3:
        for name, call in calls.items():
            start = time.perf_counter()
            units = call()
            turns[name].append(units / (time.perf_counter() - start))
    return {name: sorted(v)[len(v) // 2] for name, v in turns.items()}


def cpu_seconds(*calls: Callable[[], object], turns: int = 7) -> list[float]:
    """Median seconds of this process's CPU time that each call takes, in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(turns + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            if turn:  # the first one warms up
                spent.append(time.process_time() - start)
    return [sorted(t)[len(t) // 2] for t in times]

"""Tables of studies of lives, as Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = ("look", "explore", "sure", "mistaken", "acted")
"""Habits that are printed."""
NOTICED = (
    ("false alarms", "false alarms"),
    ("missed", "missed changes"),
    ("unnoticed", "regret of an episode after one"),
    ("delay", "delay [episodes]"),
    ("looked", "return visits with a look"),
    ("recall@1", "recall @1, first look"),
    ("recall@3", "recall @3, first look"),
    ("recalled", "return visits with a recall"),
    ("right", "right ones of all recalls"),
    ("abstention", "AUROC, new or not"),
    ("entries", "tasks kept at the end"),
    ("forgetting", "forgetting"),
    ("alone", "exploring episodes in which not all of a team explored"),
)
"""Measures of the agent with a library, and their names."""
LIBRARY, ALONE = "library", "no library"
WHOSE = ("false alarms", "missed", "delay")
"""Measures that are shown of the robot whose own parameters change, and of others."""
SPARED = (ALONE, LIBRARY, "true parameters", "library, told the task")
"""Agents whose return visits are compared."""
HELD = (LIBRARY, "library of 20")
"""Agents whose libraries are weighed."""

Study = dict[str, Any]


def print_tables(studies: Sequence[Study]) -> None:
    """Print regret, what was noticed and recalled, and returns by a visit's age."""
    agents = list(dict.fromkeys(name for s in studies for name in s["agents"]))
    _table("regret of an episode", studies, agents, _regret)
    rivals = [name for name in agents if name != ALONE]
    _table("saved beside no library", studies, rivals, _saved)
    _table("late less early regret", studies, agents, _worn)
    for base, title in (("first", "beside first visits"), ("alone", "beside none")):
        _table(f"relearn saving, {title}", studies, SPARED, partial(_saving, base=base))
    names = dict(NOTICED)
    _table("agent with a library", studies, names, _noticed, names)
    _table("library, after each fifth of a life [kB]", studies, HELD, _bytes)
    _table("return by episode of a return visit", studies, SPARED, _ages)
    _table(
        "return by episode of a first visit",
        studies,
        SPARED,
        partial(_ages, visits="new"),
    )
    _table(
        "success by episode of a return visit",
        studies,
        SPARED,
        partial(_ages, what="success"),
    )
    _table(
        "success by episode of a first visit",
        studies,
        SPARED,
        partial(_ages, what="success", visits="new"),
    )
    for name in (LIBRARY, ALONE):
        table = partial(_whose, name=name)
        _table(f"{name}: its own end changes, or the other's", studies, WHOSE, table)
    _print_details(studies)


def pooled(studies: Sequence[Study]) -> list[Study]:
    """Return one study for each policy, kind and changes of streams, and their length.

    Raises:
        ValueError: for the same stream twice.
    """
    found: dict[tuple[Any, ...], Study] = {}
    for s in studies:
        key = s["policy"], s["kind"], s.get("changes", "task"), s["visits"]
        own = s | {"seeds": [s["first"] + i for i in range(len(s["episodes"]))]}
        found[key] = _both(found[key], own) if key in found else own
    return list(found.values())


def _both(a: Study, b: Study) -> Study:
    """Return two studies of the same agents in different streams as one."""
    n, m = len(a["episodes"]), len(b["episodes"])
    seeds = [*a["seeds"], *b["seeds"]]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ValueError(f"streams {twice} are in two files: take each but once")

    def mean(x: float, y: float) -> float:
        return (n * x + m * y) / (n + m)

    agents: dict[str, Any] = {}
    for name in [name for name in a["agents"] if name in b["agents"]]:
        x, y = a["agents"][name], b["agents"][name]
        if x["habits"] != y["habits"]:
            raise ValueError(f"{name} has other habits in one file than in another")
        each = {k: x[k] + y[k] for k in ("bytes", "visits")}
        for what in ("measures", "agents"):
            each[what] = {k: x[what][k] + y[what][k] for k in x[what]}
        for what in ("ages", "success"):
            each[what] = {
                k: [mean(*p) for p in zip(x[what][k], y[what][k], strict=True)]
                for k in x[what]
            }
        agents[name] = x | each
    both = {k: mean(a[k], b[k]) for k in ("oracle", "milliseconds")}
    joined = {"episodes": a["episodes"] + b["episodes"], "seeds": seeds}
    return a | both | joined | {"agents": agents}


def _table(
    title: str,
    studies: Sequence[Study],
    rows: Iterable[str],
    found: Callable[[Study, str], str],
    names: Mapping[str, str] | None = None,
) -> None:
    """Print a table with a column for each study, without rows of nothing."""
    heads = [f"`{s['policy'].removeprefix('shipped:')}`{_kind(s)}" for s in studies]
    told = {row: [found(s, row) for s in studies] for row in rows}
    if not any(map(any, told.values())):
        return
    print(f"\n| {title} | " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * len(studies))
    for row, cells in told.items():
        if any(cells):
            print(f"| {(names or {}).get(row, row)} | " + " | ".join(cells) + " |")


def _kind(s: Study) -> str:
    """Return what changes in the streams of a study, if not all of the task does."""
    changes = s.get("changes", "task")
    return "" if changes == "task" else f", changes of {changes}"


def interval(
    statistic: Callable[..., NDArray[np.float64]], *measures: Sequence[float]
) -> tuple[float, float, float]:
    """Return a statistic of means over streams, and its 95 % interval.

    Streams are drawn with all that was measured in them; few of them widen the interval
    as Student's t does.
    """
    found = np.array(measures, np.float64)
    found = found[:, np.isfinite(found).all(axis=0)]
    count = found.shape[1]
    if count < 2:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(0)
    chosen = rng.integers(count, size=(10_000, count))
    # the spread of resampled means is a share (n - 1) / n of what it should be
    stretch = np.sqrt(count / rng.chisquare(count - 1, size=len(chosen)))
    level = found.mean(axis=1, keepdims=True)
    drawn = level + stretch * (found[:, chosen].mean(axis=2) - level)
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    return float(statistic(*level[:, 0])), float(low), float(high)


def cell(numbers: Sequence[float], digits: int = 2, *, rate: bool = False) -> str:
    """Return a mean over streams with its interval; a rate's ends within [0, 1]."""
    value, low, high = interval(np.asarray, numbers)
    if rate:
        low, high = max(0.0, low), min(1.0, high)
    if np.isnan(value):
        return ""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _regret(s: Study, name: str) -> str:
    row = s["agents"].get(name)
    return cell(row["measures"]["regret"]) if row else ""


def _worn(s: Study, name: str) -> str:
    """Return how much more regret the last fifth of the visits has than the first."""
    row = s["agents"].get(name)
    return cell(_less(row, "late", row, "early")) if row else ""


def _saved(s: Study, name: str) -> str:
    """Return regret without a library less an agent's, paired by stream."""
    if not {name, ALONE} <= set(s["agents"]):
        return ""
    rows = s["agents"]
    return cell(_less(rows[ALONE], "regret", rows[name], "regret"), 3)


def _less(a: Study, one: str, b: Study, other: str) -> list[float]:
    """Return one measure of an agent less another one's, by stream."""
    return list(np.subtract(a["measures"][one], b["measures"][other]))


def _noticed(s: Study, measure: str) -> str:
    row = s["agents"].get(LIBRARY)
    rate = measure not in ("delay", "forgetting", "unnoticed", "entries")
    found = row["measures"].get(measure) if row else None
    return cell(found, rate=rate) if found else ""


def _whose(s: Study, measure: str, name: str) -> str:
    """Return a measure of the robot whose own parameters change, and of the others."""
    row = s["agents"].get(name)
    if not (row and row.get("agents")) or s["changes"] != "agent":
        return ""
    each = np.array(row["agents"][measure], np.float64)
    own = (np.arange(len(each)) + s["first"])[:, None] % each.shape[1]
    mine = np.arange(each.shape[1]) == own
    changed = each[mine]
    rest = np.where(mine, 0, each).sum(1) / (each.shape[1] - 1)
    return f"{cell(changed.tolist())}, {cell(rest.tolist())}"


def _bytes(s: Study, name: str) -> str:
    row = s["agents"].get(name)
    mean = np.mean(row["bytes"], axis=0) if row else []
    return ", ".join(f"{x / 1000:.0f}" for x in mean)


def _saving(s: Study, name: str, base: str) -> str:
    """Return the share of regret that an agent is spared in return visits.

    Beside its own first visits to tasks, or beside the agent without a library in the
    same return visits.
    """
    if name not in s["agents"]:
        return ""
    own = s["agents"][name]["measures"]
    if not np.isfinite(own["again"]).any():
        return ""
    whole = own["first"] if base == "first" else s["agents"][ALONE]["measures"]["again"]
    value, low, high = interval(_spared, own["again"], whole)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _spared(
    again: NDArray[np.float64], whole: NDArray[np.float64]
) -> NDArray[np.float64]:
    return 1 - again / whole


def _ages(s: Study, name: str, what: str = "ages", visits: str = "again") -> str:
    found = s["agents"].get(name, {}).get(what)
    means = found[visits] if found else []
    return ", ".join(f"{x:.2f}" for x in means if np.isfinite(x))


def _print_details(studies: Sequence[Study]) -> None:
    """Print the habits that tuning chose, the oracle's returns, and the cost."""
    print()
    for s in studies:
        lengths = s["episodes"]
        print(
            f"{s['policy']}: {len(lengths)} streams of {s['visits']} visits, "
            f"{sum(lengths):,} episodes, oracle {s['oracle']:.2f}, "
            f"{s['milliseconds']:.0f} ms an episode of one agent"
        )
        for name in (n for n in (LIBRARY, ALONE) if n in s["agents"]):
            habits = s["agents"][name]["habits"]
            print(f"  {name}:", ", ".join(f"{k} {habits[k]}" for k in SHOWN))

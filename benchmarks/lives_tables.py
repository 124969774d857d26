"""Tables of studies of lives, as Markdown."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = ("look", "explore", "sure", "acted")
"""Habits that are printed."""
NOTICED = (
    ("false alarms", "false alarms"),
    ("missed", "missed changes"),
    ("delay", "delay [episodes]"),
    ("looked", "return visits with a look"),
    ("recall@1", "recall @1, first look"),
    ("recall@3", "recall @3, first look"),
    ("recalled", "return visits with a recall"),
    ("right", "right ones of all recalls"),
    ("abstention", "AUROC, new or not"),
    ("forgetting", "forgetting"),
)
"""Measures of the agent with a library, and their names."""
LIBRARY, ALONE = "library", "no library"

Study = dict[str, Any]


def print_tables(studies: Sequence[Study]) -> None:
    """Print regret, what was noticed and recalled, and returns by a visit's age."""
    heads = [f"`{s['policy'].removeprefix('shipped:')}`" for s in studies]
    rule = "|---|" + "---:|" * len(studies)
    agents = list(dict.fromkeys(name for s in studies for name in s["agents"]))
    print("\n| regret of an episode | " + " | ".join(heads) + " |\n" + rule)
    for name in ("never adapts", *agents):
        print(f"| {name} | " + " | ".join(_regret(s, name) for s in studies) + " |")
    print("\n| saved by the library | " + " | ".join(heads) + " |\n" + rule)
    for name in (LIBRARY, "true parameters", "library, told the task"):
        cells = [_saved(s, name) for s in studies]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for base, title in (("first", "beside first visits"), ("alone", "beside none")):
        print(f"\n| relearn saving, {title} | " + " | ".join(heads) + " |\n" + rule)
        for name in (ALONE, LIBRARY, "true parameters", "library, told the task"):
            cells = [_saving(s, name, base) for s in studies]
            print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| agent with a library | " + " | ".join(heads) + " |\n" + rule)
    for key, title in NOTICED:
        rate = key not in ("delay", "forgetting")
        cells = [
            cell(s["agents"][LIBRARY]["measures"][key], rate=rate) for s in studies
        ]
        print(f"| {title} | " + " | ".join(cells) + " |")
    print(
        "\n| return by episode of a return visit | " + " | ".join(heads) + " |\n" + rule
    )
    for name in (ALONE, LIBRARY, "true parameters", "library, told the task"):
        cells = [_ages(s, name) for s in studies]
        print(f"| {name} | " + " | ".join(cells) + " |")
    _print_details(studies)


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
    row = s["never adapts"] if name == "never adapts" else s["agents"].get(name)
    return cell(row["measures"]["regret"]) if row else ""


def _saved(s: Study, name: str) -> str:
    """Return regret without a library less an agent's, paired by stream."""
    if not {name, ALONE} <= set(s["agents"]):
        return ""
    own, base = (s["agents"][n]["measures"]["regret"] for n in (name, ALONE))
    return cell(list(np.subtract(base, own)), 3)


def _saving(s: Study, name: str, base: str) -> str:
    """Return the share of regret that an agent is spared in return visits.

    Beside its own first visits to tasks, or beside the agent without a library in the
    same return visits.
    """
    if name not in s["agents"]:
        return ""
    own = s["agents"][name]["measures"]
    whole = own["first"] if base == "first" else s["agents"][ALONE]["measures"]["again"]
    value, low, high = interval(_spared, own["again"], whole)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _spared(
    again: NDArray[np.float64], whole: NDArray[np.float64]
) -> NDArray[np.float64]:
    return 1 - again / whole


def _ages(s: Study, name: str) -> str:
    row = s["agents"].get(name)
    return ", ".join(f"{x:.2f}" for x in row["ages"]["again"]) if row else ""


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
        for name in (LIBRARY, ALONE):
            habits = s["agents"][name]["habits"]
            print(f"  {name}:", ", ".join(f"{k} {habits[k]}" for k in SHOWN))

"""Tables of studies of lives, as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.evaluation.statistics import estimate, mean

SHOWN = ("look", "explore", "sure", "acted")
"""Habits that are printed."""
NOTICED = (
    ("false alarms", "false alarms"),
    ("missed", "missed changes"),
    ("delay", "delay [episodes]"),
    ("recall@1", "recall @1"),
    ("recall@3", "recall @3"),
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
    print("\n| relearn saving | " + " | ".join(heads) + " |\n" + rule)
    for name in (ALONE, LIBRARY, "true parameters", "library, told the task"):
        print(f"| {name} | " + " | ".join(_saving(s, name) for s in studies) + " |")
    print("\n| agent with a library | " + " | ".join(heads) + " |\n" + rule)
    for key, title in NOTICED:
        cells = [cell(s["agents"][LIBRARY]["measures"][key]) for s in studies]
        print(f"| {title} | " + " | ".join(cells) + " |")
    print(
        "\n| return by episode of a return visit | " + " | ".join(heads) + " |\n" + rule
    )
    for name in (ALONE, LIBRARY, "true parameters", "library, told the task"):
        cells = [_ages(s, name) for s in studies]
        print(f"| {name} | " + " | ".join(cells) + " |")
    _print_details(studies)


def cell(numbers: Sequence[float]) -> str:
    """Return a mean over streams and its 95 % interval."""
    found = np.array(numbers, float)
    found = found[np.isfinite(found)]
    if not len(found):
        return ""
    e = estimate([found[None]], mean, np.random.default_rng(0))
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def _regret(s: Study, name: str) -> str:
    row = s["never adapts"] if name == "never adapts" else s["agents"].get(name)
    return cell(row["measures"]["regret"]) if row else ""


def _saved(s: Study, name: str) -> str:
    """Return regret without a library less an agent's, paired by stream."""
    if not {name, ALONE} <= set(s["agents"]):
        return ""
    own, base = (s["agents"][n]["measures"]["regret"] for n in (name, ALONE))
    e = estimate([np.subtract(base, own)[None]], mean, np.random.default_rng(0))
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"


def _saving(s: Study, name: str) -> str:
    """Return the share of first visits' regret that return visits lack, of all streams.

    A ratio of means, whose interval resamples streams.
    """
    if name not in s["agents"]:
        return ""
    measures = s["agents"][name]["measures"]
    first, again = (np.array(measures[k])[None] for k in ("first", "again"))
    rng = np.random.default_rng(0)
    e = estimate([again, first], _share_spared, rng)
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def _share_spared(
    again: NDArray[np.float64], first: NDArray[np.float64]
) -> NDArray[np.float64]:
    return 1 - mean(again) / mean(first)


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

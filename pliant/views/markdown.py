"""Tables and numbers as text."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meta.evaluation.results import UNADAPTED
from meta.evaluation.statistics import Estimate
from meta.registry import FLOORS

SOURCES = {f"{n}-finetune": n for n in FLOORS} | {UNADAPTED: "policy"}
"""Policies that a row or column is made from, where they have another name."""
ONE_SEED = "(tasks ...) marks one training seed: its interval covers the tasks alone"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column holds names, and the others numbers."""
    rule = ("---", *["---:"] * (len(columns) - 1))
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))


def text(e: Estimate, *, one_seed: bool = False) -> str:
    """Return a number and its interval.

    Args:
        e: the estimate.
        one_seed: whether it rests on one training seed of a method: its interval then
            covers the tasks alone, and is marked so that it is not read as the others.
    """
    return _text(e, number, one_seed=one_seed)


def exact(e: Estimate, *, one_seed: bool = False) -> str:
    """Return a number and its interval with three decimals; see `text`."""
    return _text(e, "{:.3f}".format, one_seed=one_seed)


def _text(e: Estimate, number: Callable[[float], str], *, one_seed: bool) -> str:
    if not math.isfinite(e.value):
        return "undefined"
    if not math.isfinite(e.low + e.high):
        return f"{number(e.value)} [unbounded]"
    ends = f"{number(e.low)}, {number(e.high)}"
    return f"{number(e.value)} " + (f"(tasks {ends})" if one_seed else f"[{ends}]")


def number(x: float) -> str:
    """Return a number as tables have it."""
    return f"{x:.0f}" if abs(x) >= 10 else f"{x:.2f}"


def interval(row: Mapping[str, Any], name: str, *, one_seed: bool = False) -> str:
    """Return a number and its interval, from an evaluation's JSON; see `text`."""
    prefix = f"{name}_" if name else ""
    keys = (name or "value", f"{prefix}low", f"{prefix}high")
    value, low, high = (math.inf if (x := row[k]) is None else x for k in keys)
    return text(Estimate(value=value, low=low, high=high), one_seed=one_seed)


def count(number: int, what: str) -> str:
    """Return a number of things: 1 episode, 2 episodes."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def one_seed(policies: Mapping[str, Sequence[object]], *methods: str) -> bool:
    """Return whether one of some methods was trained with one seed only.

    Args:
        policies: the policies by method, as in `Evaluation.policies`.
        methods: names of methods; those that are not trained are passed over.
    """
    return any(len(policies.get(SOURCES.get(n, n), ())) == 1 for n in methods)

"""Adaptation curves in the JSON of an evaluation, as the tables read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pliant.views.markdown import SOURCES

SHOWN = 5
"""Number of episodes of adaptation in the tables of all families."""


def curves(r: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each method; one for a method that does not adapt."""
    own = str(r["policies"]["policy"][0]["method"])
    flat = {name: [level | {"episodes": 0}] for name, level in r["baselines"].items()}
    return flat | r["rivals"] | {own: r["curve"]}


def at(points: Sequence[dict[str, Any]], episodes: int) -> dict[str, Any]:
    """Return the point after so many episodes, or a method's only one."""
    return next((p for p in points if p["episodes"] == episodes), points[0])


def seeds(r: Mapping[str, Any], name: str) -> str:
    """Return the number of a method's training seeds; nothing for random actions."""
    own = str(r["policies"]["policy"][0]["method"])
    source = (SOURCES | {own: "policy"}).get(name, name)
    return str(len(r["policies"].get(source, []))) if source != "random" else ""


def single(r: Mapping[str, Any], *names: str) -> bool:
    """Return whether one of some methods was trained with one seed, from the JSON."""
    return "1" in {seeds(r, name) for name in names}


def adapts(points: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the number of episodes makes any difference to a method."""
    return len({p["return"] for p in points}) > 1

"""Shares of the gap in markdown: how far each method brings the robust baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

from meta.evaluation.results import MIN_GAP, levels
from pliant.views.curves import SHOWN, adapts, curves, single
from pliant.views.markdown import count, interval, markdown, number
from pliant.views.names import in_order, name_of


def share_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return families, and below each the methods that adapt, on held-out tasks.

    On others the oracle, which did not train there either, may be no ceiling.

    Args:
        results: evaluations, from their JSON.
    """
    mine = [r for r in results if r["split"] == "held-out"]
    ks = [p["episodes"] for p in mine[0]["curve"]] if mine else []
    ks = [k for k in ks if 0 < k <= SHOWN]
    rows: list[tuple[str, ...]] = []
    for r in mine:
        ends = levels(r["baselines"])[1:]
        gap = " to ".join(number(r["baselines"][n]["return"]) for n in ends)
        rows.append((f"**{r['family']}**, {gap}", *[""] * len(ks)))
        found = curves(r)
        rows += [
            (name_of(n), *(share(r, n, k) for k in ks))
            for n in in_order(found)
            if adapts(found[n])
        ]
    columns = (count(k, "episode") for k in ks)
    return markdown(("share of the gap, held-out", *columns), rows)


def share(r: Mapping[str, Any], name: str, episodes: int) -> str:
    """Return the share of the gap that a method closes after so many episodes.

    Nothing if it was not measured after as many, and "no gap" where there is none.
    """
    admission = r["admission"]["value"]
    if admission is None or admission < MIN_GAP:
        return "no gap"
    one = single(r, name, *levels(r["baselines"]))
    points = [p for p in curves(r)[name] if p["episodes"] == episodes]
    return interval(points[0], "normalised", one_seed=one) if points else ""

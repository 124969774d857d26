"""Shares of the gap in markdown: how far each method brings the robust baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

from meta.evaluation.results import MIN_GAP, levels
from pliant.views.curves import SHOWN, adapts, at, curves, single
from pliant.views.markdown import count, interval, markdown
from pliant.views.names import in_order, name_of


def share_tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a table per split: families, and the methods that adapt below each.

    Args:
        results: evaluations, from their JSON.
    """
    splits = dict.fromkeys(r["split"] for r in results)
    mine = {split: [r for r in results if r["split"] == split] for split in splits}
    return "\n\n".join(_table(split, group) for split, group in mine.items())


def share(r: Mapping[str, Any], name: str, episodes: int) -> str:
    """Return the share of the gap that a method closes, if there is a gap."""
    admission = r["admission"]["value"]
    if admission is None or admission < MIN_GAP:
        return "no gap"
    one = single(r, name, *levels(r["baselines"]))
    return interval(at(curves(r)[name], episodes), "normalised", one_seed=one)


def _table(split: str, results: Sequence[Mapping[str, Any]]) -> str:
    ks = [p["episodes"] for p in results[0]["curve"] if 0 < p["episodes"] <= SHOWN]
    rows: list[tuple[str, ...]] = []
    for r in results:
        ends = levels(r["baselines"])[1:]
        gap = " to ".join(f"{r['baselines'][n]['return']:.2f}" for n in ends)
        rows.append((f"**{r['family']}**, {gap}", *[""] * len(ks)))
        found = curves(r)
        rows += [
            (name_of(n), *(share(r, n, k) for k in ks))
            for n in in_order(found)
            if adapts(found[n])
        ]
    columns = (count(k, "episode") for k in ks)
    return markdown((f"share of the gap, {split}", *columns), rows)

"""The price of adapting in markdown: what the episodes cost, and whom it harmed."""

from collections.abc import Mapping, Sequence
from typing import Any

from meta.evaluation.results import levels
from pliant.views.curves import SHOWN, adapts, at, curves, single
from pliant.views.markdown import interval, markdown
from pliant.views.names import in_order, name_of

COLUMNS = (
    "return of an adapting episode",
    f"return after {SHOWN} episodes",
    f"return of all {SHOWN + 1} together",
    "harm rate",
    "worst decile",
)


def price_tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a table per split: the methods that adapt, below the robust baseline.

    Args:
        results: evaluations, from their JSON.
    """
    splits = dict.fromkeys(r["split"] for r in results)
    mine = {split: [r for r in results if r["split"] == split] for split in splits}
    return "\n\n".join(_table(split, group) for split, group in mine.items())


def _table(split: str, results: Sequence[Mapping[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = []
    for r in results:
        rows.append((f"**{r['family']}**", *[""] * len(COLUMNS)))
        _, floor, _ = levels(r["baselines"])
        if floor in r["baselines"]:
            rows.append((name_of(floor), *_flat(r, floor)))
        found = curves(r)
        rows += [
            (name_of(n), *_cells(at(found[n], SHOWN), one_seed=single(r, n)))
            for n in in_order(found)
            if adapts(found[n])
        ]
    return markdown((f"the price of adapting, {split}", *COLUMNS), rows)


def _cells(point: Mapping[str, Any], *, one_seed: bool) -> tuple[str, ...]:
    names = ("return_during", "return", "return_cumulative", "harm_rate")
    cells = [interval(point, name, one_seed=one_seed) for name in names]
    return *cells, f"{point['worst_decile']:.2f}"


def _flat(r: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the cells of a method that does not adapt: its episodes are all alike."""
    keys = ("return", "return_low", "return_high")
    level = {key: r["baselines"][name][key] for key in keys}
    whole = {k: None if x is None else (SHOWN + 1) * x for k, x in level.items()}
    each, together = (
        interval(x, "return", one_seed=single(r, name)) for x in (level, whole)
    )
    return each, each, together, "", ""

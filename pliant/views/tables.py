"""Tables of the suite's results in markdown, and their places in documents."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from meta.evaluation.mid_episode import NEAR, WINDOW, Changed
from meta.evaluation.results import MIN_GAP, levels
from meta.machine.files import (
    check_replaceable,
    read_bytes,
    read_json,
    write_atomically,
)
from pliant.views.grid_table import grid_table
from pliant.views.markdown import SOURCES, interval, markdown, one_seed
from pliant.views.names import in_order, name_of
from tasks.parameters import current_split
from tasks.strict_json import BROKEN

SHOWN = 5
"""Number of episodes of adaptation in the table of all families."""
TABLE, ADMISSION, DETAILS = "table", "admission", "details"
_END = "<!-- suite:end -->"


def write_tables(
    results: Mapping[str, Path], folder: Path, into: Sequence[Path] = ()
) -> None:
    """Write `table.md`, `admission.md`, `details.md`; fill their places in documents.

    Args:
        results: the suite's files, by family and split.
        folder: the folder to write the tables to.
        into: documents with a line `<!-- suite:table -->`, `<!-- suite:admission -->`
            or `<!-- suite:details -->`; the lines between it and `<!-- suite:end -->`
            are replaced.

    Raises:
        ValueError: for a document without such a place, or without its end; it is
            then untouched, as are the documents after it.
    """
    check_places(into)
    read = [_result(path) for path in results.values()]
    adapted = [r for r in read if "curve" in r]
    try:
        texts = {
            TABLE: _table(adapted),
            ADMISSION: _admission(adapted),
            DETAILS: "\n\n".join(
                [*map(_details, adapted), *map(_changed, _other(read))]
            ),
        }
    except BROKEN as error:
        files = ", ".join(map(str, results.values()))
        raise ValueError(f"not all of {files} are results: {error!r}") from error
    for name, text in texts.items():
        write_atomically(folder / f"{name}.md", f"{text}\n".encode())
    for path in into:
        write_atomically(path, filled(path, texts).encode())


def check_places(
    into: Sequence[Path], names: Sequence[str] = (TABLE, ADMISSION, DETAILS)
) -> None:
    """Refuse documents that have no place for any of some tables, and touch none.

    Raises:
        ValueError: as `write_tables`, or for a document that is no regular file.
        OSError: for one that cannot be read.
    """
    for path in into:
        check_replaceable(path)
        filled(path, dict.fromkeys(names, ""))


def _result(path: Path) -> dict[str, Any]:
    result = read_json(path)
    if not isinstance(result, dict) or not isinstance(result.get("split"), str):
        raise ValueError(f"{path} holds no results")
    return result | {"split": current_split(result["split"])}


def _other(read: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in read if "curve" not in r]


def _curves(r: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each method; one for a method that does not adapt."""
    own = str(r["policies"]["policy"][0]["method"])
    flat = {name: [level | {"episodes": 0}] for name, level in r["baselines"].items()}
    return flat | r["rivals"] | {own: r["curve"]}


def _at(points: Sequence[dict[str, Any]], episodes: int) -> dict[str, Any]:
    """Return the point after so many episodes, or a method's only one."""
    return next((p for p in points if p["episodes"] == episodes), points[0])


def _table(results: Sequence[dict[str, Any]]) -> str:
    splits = list(dict.fromkeys(r["split"] for r in results))
    rows: list[tuple[str, ...]] = []
    for family in dict.fromkeys(r["family"] for r in results):
        mine = {r["split"]: r for r in results if r["family"] == family}
        rows.append((f"**{family}**", *[""] * (len(splits) + 1)))
        curves = {split: _curves(r) for split, r in mine.items()}
        some = next(iter(mine.values()))
        for name in in_order(curves[some["split"]]):
            cells = [
                interval(
                    _at(curves[s][name], SHOWN), "return", one_seed=_single(some, name)
                )
                if s in curves
                else ""
                for s in splits
            ]
            rows.append((name_of(name), *cells, _seeds(some, name)))
    return markdown((f"return after {SHOWN} episodes", *splits, "training seeds"), rows)


def _admission(results: Sequence[dict[str, Any]]) -> str:
    """Return the table that shows what knowing the task is worth, on held-out tasks."""
    names = ("family", "random", "robust baseline", "oracle")
    header = (*names, "share", "training seeds")
    rows: list[tuple[str, ...]] = []
    for r in (r for r in results if r["split"] == "held-out"):
        ends = levels(r["baselines"])
        cells = [
            interval(r["baselines"][name], "return", one_seed=_single(r, name))
            for name in ends
        ]
        seeds = " and ".join(dict.fromkeys(_seeds(r, name) for name in ends[1:]))
        share = interval(r["admission"], "", one_seed=_single(r, *ends))
        rows.append((r["family"], *cells, share, seeds))
    return markdown(header, rows)


def _seeds(r: Mapping[str, Any], name: str) -> str:
    own = str(r["policies"]["policy"][0]["method"])
    source = (SOURCES | {own: "policy"}).get(name, name)
    return str(len(r["policies"].get(source, []))) if source != "random" else ""


def _single(r: Mapping[str, Any], *names: str) -> bool:
    """Return whether one of some methods was trained with one seed, from the JSON."""
    return "1" in {_seeds(r, name) for name in names}


def _share(r: Mapping[str, Any], points: Sequence[dict[str, Any]], *, one: bool) -> str:
    """Return the share of the gap that a method closes, if there is a gap."""
    admission = r["admission"]["value"]
    if admission is None or admission < MIN_GAP:
        return "no gap"
    return interval(_at(points, SHOWN), "normalised", one_seed=one)


def _details(r: Mapping[str, Any]) -> str:
    """Return one evaluation in full: each method after 0, 1 ... episodes."""
    curves, own = _curves(r), str(r["policies"]["policy"][0]["method"])
    ends = levels(r["baselines"])
    ks = [p["episodes"] for p in r["curve"]]
    header = (
        "return",
        *(f"{k} episodes" for k in ks),
        f"share of the gap after {SHOWN}",
    )
    rows: list[tuple[str, ...]] = []
    for name in in_order(curves):
        points = curves[name]
        adapts, one = _adapts(points), _single(r, name)
        cells = [interval(p, "return", one_seed=one) for p in points]
        cells = cells if adapts else [cells[0], *[""] * (len(ks) - 1)]
        share = _share(r, points, one=_single(r, name, *ends)) if adapts else ""
        rows.append((name_of(name), *cells, share))
    harm = ", ".join(
        f"{name_of(n)} {interval(points[-1], 'harm_rate', one_seed=_single(r, n))}"
        for n in in_order(curves)
        if _adapts(points := curves[n])
    )
    better = ", ".join(
        f"{name_of(n)} {interval(e, '', one_seed=_single(r, own, n))}"
        for n, e in r["improvement"].items()
    )
    admitted = interval(r["admission"], "", one_seed=_single(r, *ends))
    told = [leak["parameter"] for leak in r["leaks"] if leak["told"]]
    facts = [
        f"Worse off after {ks[-1]} episodes than without (share of tasks): {harm}.",
        f"{name_of(own)} is then better on the same task with probability: {better}.",
        f"(oracle - {name_of(ends[1])}) / (oracle - random) = {admitted}; the first "
        f"observation gives away {', '.join(told) or 'nothing'}; faults {r['faults']}.",
    ]
    title = f"### {r['family']}, {r['split']}: {r['tasks']} tasks"
    texts = [title, markdown(header, rows), *facts]
    if r["grid"] and r["split"] == "unseen":
        texts.append(grid_table(r["grid"], ks[-1], r["policies"]))
    return "\n\n".join(texts)


def _adapts(points: Sequence[Mapping[str, Any]]) -> bool:
    return len({p["return"] for p in points}) > 1


def _changed(r: Mapping[str, Any]) -> str:
    methods = r["methods"]
    rows = [
        (name_of(n), *cells(methods[n], alone=one_seed(r["policies"], n)))
        for n in in_order(methods)
    ]
    title = f"### {r['family']}, a change in mid-episode: {r['tasks']} changes"
    return "\n\n".join([title, markdown(COLUMNS, rows)])


def print_changed(c: Changed, console: Console | None = None) -> None:
    """Print how each method recovered from the change, a row each."""
    title = (
        f"{c.family} on {c.split}: the task changes in mid-episode; {c.tasks} changes, "
        f"seed {c.seed}, 95 % intervals"
    )
    table = Table(title=title)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if index else "left")
    for name, recovery in c.to_dict()["methods"].items():
        one = one_seed(c.policies, name)
        table.add_row(name_of(name), *cells(recovery, alone=one))
    (console or Console()).print(table)


COLUMNS = (
    "policy",
    "before",
    "rest of that episode",
    "then, adapted as before",
    f"after {WINDOW} more episodes",
    f"env steps to {NEAR:.0%} of the gain",
)


def cells(r: Mapping[str, Any], *, alone: bool = False) -> tuple[str, ...]:
    """Return a recovery's figures, from its JSON, for all `COLUMNS` but the first."""
    shown = (r["before"], r["rest"], r["stale"], r["after"][-1])
    levels = [interval(x, "", one_seed=alone) for x in shown]
    if r["steps"] is None:
        return *levels, "no gain"
    found = (r["steps"][k] for k in ("value", "low", "high"))
    value, low, high = ("never" if x is None else f"{x:.0f}" for x in found)
    ends = f"(tasks {low}, {high})" if alone else f"[{low}, {high}]"
    return *levels, f"{value} {ends}"


def filled(path: Path, texts: Mapping[str, str]) -> str:
    """Return a document with the texts in their places.

    Raises:
        ValueError: for one that has no place for any of them, or lacks its end.
    """
    try:
        document = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: {error}") from error
    starts = {name: f"<!-- suite:{name} -->" for name in texts}
    if not any(start in document for start in starts.values()):
        raise ValueError(
            f"{path} has no place for a table: a line <!-- suite:NAME -->, NAME being "
            f"{', '.join(texts)}, and {_END} after it"
        )
    for name, start in starts.items():
        head, found, rest = document.partition(start)
        old, end, tail = rest.partition(_END)
        if not found:
            continue
        if not end or "<!-- suite:" in old:
            raise ValueError(f"{path}: {start} has no {_END} of its own after it")
        document = f"{head}{start}\n{texts[name]}\n{_END}{tail}"
    return document

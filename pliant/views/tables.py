"""Tables of the suite's results in markdown, and their places in documents."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from meta.evaluation.results import MIN_ADMISSION, levels
from meta.machine.files import (
    check_replaceable,
    read_bytes,
    read_json,
    write_atomically,
)
from pliant.views.curves import SHOWN, adapts, at, curves, seeds, single
from pliant.views.grid_table import grid_table
from pliant.views.markdown import interval, markdown, one_seed
from pliant.views.names import in_order, name_of
from pliant.views.price_table import price_tables
from pliant.views.recovery import COLUMNS, cells
from pliant.views.share_table import share, share_table
from tasks.parameters import current_split
from tasks.strict_json import BROKEN

NAMES = ("table", "shares", "price", "admission", "details")
"""Names of the tables, of their files and of their places."""
_END = "<!-- suite:end -->"


def write_tables(
    results: Mapping[str, Path], folder: Path, into: Sequence[Path] = ()
) -> None:
    """Write `table.md` and the others, and fill their places in documents.

    The others are `shares.md`, `price.md`, `admission.md` and `details.md`.

    Args:
        results: the suite's files, by family and split.
        folder: the folder to write the tables to.
        into: documents with a line `<!-- suite:table -->`, or one with the name of
            another of the tables; the lines between it and `<!-- suite:end -->` are
            replaced.

    Raises:
        ValueError: for a document without such a place, or without its end; it is
            then untouched, as are the documents after it.
    """
    check_places(into)
    read = [_result(path) for path in results.values()]
    adapted = [r for r in read if "curve" in r]
    try:
        made = (
            _table(adapted),
            share_table(adapted),
            price_tables(adapted),
            _admission(adapted),
            "\n\n".join([*map(_details, adapted), *map(_changed, _other(read))]),
        )
    except BROKEN as error:
        files = ", ".join(map(str, results.values()))
        raise ValueError(f"not all of {files} are results: {error!r}") from error
    texts = dict[str, str](zip(NAMES, made, strict=True))
    for name, text in texts.items():
        write_atomically(folder / f"{name}.md", f"{text}\n".encode())
    for path in into:
        write_atomically(path, filled(path, texts).encode())


def check_places(into: Sequence[Path], names: Sequence[str] = NAMES) -> None:
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


def _table(results: Sequence[dict[str, Any]]) -> str:
    splits = list(dict.fromkeys(r["split"] for r in results))
    rows: list[tuple[str, ...]] = []
    for family in dict.fromkeys(r["family"] for r in results):
        mine = {r["split"]: r for r in results if r["family"] == family}
        rows.append((f"**{family}**", *[""] * (len(splits) + 1)))
        points = {split: curves(r) for split, r in mine.items()}
        some = next(iter(mine.values()))
        for name in in_order(points[some["split"]]):
            cells = [
                interval(
                    at(points[s][name], SHOWN), "return", one_seed=single(some, name)
                )
                if s in points
                else ""
                for s in splits
            ]
            rows.append((name_of(name), *cells, seeds(some, name)))
    return markdown((f"return after {SHOWN} episodes", *splits, "training seeds"), rows)


def _admission(results: Sequence[dict[str, Any]]) -> str:
    """Return the table that shows what knowing the task is worth, on held-out tasks."""
    names = ("family", "robust baseline", "random", "its return", "oracle", "share")
    header = (*names, "needs", "training seeds")
    rows: list[tuple[str, ...]] = []
    for r in (r for r in results if r["split"] == "held-out"):
        ends = levels(r["baselines"])
        cells = [
            interval(r["baselines"][name], "return", one_seed=single(r, name))
            for name in ends
        ]
        trained = " and ".join(dict.fromkeys(seeds(r, name) for name in ends[1:]))
        share = interval(r["admission"], "", one_seed=single(r, *ends))
        enough = (r["admission"]["value"] or 0.0) >= MIN_ADMISSION
        needs = "several episodes" if enough else "one episode"
        rows.append((r["family"], name_of(ends[1]), *cells, share, needs, trained))
    return markdown(header, rows)


def _details(r: Mapping[str, Any]) -> str:
    """Return one evaluation in full: each method after 0, 1 ... episodes."""
    found = curves(r)
    ks = [p["episodes"] for p in r["curve"]]
    header = (
        "return",
        *(f"{k} episodes" for k in ks),
        f"share of the gap after {SHOWN}",
    )
    rows: list[tuple[str, ...]] = []
    for name in in_order(found):
        points, one = found[name], single(r, name)
        cells = [interval(p, "return", one_seed=one) for p in points]
        if adapts(points):
            rows.append((name_of(name), *cells, share(r, name, SHOWN)))
        else:
            rows.append((name_of(name), cells[0], *[""] * len(ks)))
    title = f"### {r['family']}, {r['split']}: {r['tasks']} tasks"
    texts = [title, markdown(header, rows), *_facts(r, found)]
    if r["grid"] and r["split"] == "unseen":
        texts.append(grid_table(r["grid"], ks[-1], r["policies"]))
    return "\n\n".join(texts)


def _facts(
    r: Mapping[str, Any], found: Mapping[str, Sequence[dict[str, Any]]]
) -> list[str]:
    """Return what an evaluation's table does not say, from its curves by method."""
    own, ends = str(r["policies"]["policy"][0]["method"]), levels(r["baselines"])
    most = r["curve"][-1]["episodes"]
    done = ", ".join(
        f"{name_of(n)} {interval(point, 'success', one_seed=single(r, n))}"
        for n in in_order(found)
        for point in [at(found[n], SHOWN)]
    )
    harm = ", ".join(
        f"{name_of(n)} {interval(points[-1], 'harm_rate', one_seed=single(r, n))}"
        for n in in_order(found)
        if adapts(points := found[n])
    )
    ahead, better = (
        ", ".join(
            f"{name_of(n)} {interval(e, '', one_seed=single(r, own, n))}"
            for n, e in r.get(name, {}).items()  # results of before have no first one
        )
        for name in ("ahead", "improvement")
    )
    admitted = interval(r["admission"], "", one_seed=single(r, *ends))
    told = [leak["parameter"] for leak in r["leaks"] if leak["told"]]
    return [
        f"Success after {SHOWN} episodes ({r['success']}): {done}.",
        f"Worse off after {most} episodes than without (share of tasks): {harm}.",
        f"{name_of(own)} then earns more on the same tasks by: {ahead or 'unknown'}.",
        f"It is better on one with probability: {better}.",
        f"(oracle - {name_of(ends[1])}) / (oracle - random) = {admitted}; the first "
        f"observation gives away {', '.join(told) or 'nothing'}; faults {r['faults']}.",
    ]


def _changed(r: Mapping[str, Any]) -> str:
    methods = r["methods"]
    rows = [
        (name_of(n), *cells(methods[n], alone=one_seed(r["policies"], n)))
        for n in in_order(methods)
    ]
    title = f"### {r['family']}, a change in mid-episode: {r['tasks']} changes"
    return "\n\n".join([title, markdown(COLUMNS, rows)])


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

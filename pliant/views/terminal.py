"""Tables in a terminal, which may be no wider than 80 columns."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from pliant.views.markdown import ONE_SEED

_GAP, _NAME = 3, 20
"""Columns of a terminal between two of a table, and those that words need."""
_MARK = "(tasks "
"""Begins the interval of one training seed."""


def show(
    title: str,
    columns: Sequence[str],
    sections: Iterable[Iterable[Sequence[str]]],
    facts: Iterable[str] = (),
    *,
    left: Sequence[int] = (0,),
    console: Console | None = None,
) -> None:
    """Print a table, and facts below it; where it is too wide, row by row.

    An interval that is (tasks 0.1, 0.3) elsewhere is (0.1, 0.3) here.

    Args:
        title: the line above it.
        columns: names of the columns.
        sections: groups of rows, between which a line is left free.
        facts: lines below it.
        left: columns that hold words, which break; the others hold numbers.
        console: where to print.
    """
    console = console or Console()
    filled = [rows for section in sections if (rows := list(section))]
    facts = list(facts)
    cells = [cell for rows in filled for row in rows for cell in row]
    marked = any(_MARK in text for text in (*cells, *facts))
    filled = [[[*map(_terse, row)] for row in rows] for rows in filled]
    # once, though a caution may say it, too
    said = dict.fromkeys(map(_terse, [ONE_SEED, *facts] if marked else facts))
    texts = [[row[i] for rows in filled for row in rows] for i in range(len(columns))]
    widths = [
        _NAME if i in left else max(map(len, [*cells, *columns[i].split()]))
        for i, cells in enumerate(texts)
    ]
    fits = sum(widths) + _GAP * len(widths) <= console.width
    shown = _table(columns, filled, widths, left) if fits else _list(columns, filled)
    for part in (title, shown, *said):
        console.print(part, markup=False, highlight=False)


def _table(
    columns: Sequence[str],
    sections: Sequence[Sequence[Sequence[str]]],
    widths: Sequence[int],
    left: Sequence[int],
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
        if index in left:
            table.add_column(column)
        else:
            table.add_column(column, justify="right", width=width)
    for number, rows in enumerate(sections):
        if number:
            table.add_row()
        for row in rows:
            table.add_row(*row)
    return table


def _list(columns: Sequence[str], sections: Sequence[Sequence[Sequence[str]]]) -> Group:
    lines: list[RenderableType] = []
    for name, *cells in (row for rows in sections for row in rows):
        lines.append(name)
        for column, cell in zip(columns[1:], cells, strict=True):
            if cell:
                lines.append(Padding(f"{column}: {cell}", (0, 0, 0, 2), expand=False))
    return Group("", *lines, "")


def _terse(text: str) -> str:
    return text.replace(_MARK, "(")

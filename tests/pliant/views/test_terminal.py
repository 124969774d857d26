"""Tables in a terminal: figures are whole, however narrow it is."""

import io

from rich.console import Console

from pliant.views.terminal import show

COLUMNS = ("policy", "return", "share of the gap")
ROWS = [("RMA with an explorer, after 5 episodes", "0.97 (tasks 0.90, 1.04)", "0.9")]


def drawn(width: int, *rows: tuple[str, ...]) -> str:
    console = Console(file=io.StringIO(), width=width)
    show("a title", COLUMNS, [ROWS, rows], ["a fact (tasks 0.1, 0.2)"], console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_names_break_and_figures_do_not() -> None:
    text = drawn(55, ("oracle", "-1.00 [unbounded]", ""))
    assert max(map(len, text.splitlines())) <= 55
    # a name in two lines beside figures in one, with brackets as they are
    assert "0.97 (0.90, 1.04)" in text
    assert "-1.00 [unbounded]" in text
    assert "explorer, after 5 episodes" not in text
    first, *others = text.splitlines()
    assert first == "a title"
    assert others[-1] == "a fact (0.1, 0.2)"


def test_a_table_that_is_too_wide_is_printed_row_by_row() -> None:
    text = drawn(40, ("oracle", "1.00 [0.9, 1.1]", ""))
    assert "policy" not in text
    assert "\noracle\n  return: 1.00 [0.9, 1.1]\n" in text


def test_round_brackets_are_explained_where_there_are_any() -> None:
    assert "(...) marks one training seed" in drawn(80)
    console = Console(file=io.StringIO(), width=80)
    show("a title", COLUMNS[:2], [[("oracle", "1.00 [0.9, 1.1]")]], console=console)
    assert isinstance(console.file, io.StringIO)
    assert "marks" not in console.file.getvalue()
    show("a title", COLUMNS[:2], [], ["a fact (tasks 0.1, 0.2)"], console=console)
    assert "marks" in console.file.getvalue()

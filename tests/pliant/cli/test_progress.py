"""The bar of a long command: on a terminal only, and with every step."""

import io
from typing import Any

from rich.console import Console

from pliant.cli.progress import progress_bar


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80)


def drawn(console: Console) -> str:
    file: Any = console.file
    return file.getvalue()


def test_a_terminal_sees_how_much_is_done_and_the_time_left() -> None:
    there = console(terminal=True)
    with progress_bar("evaluating", there) as progress:
        progress(3, 8)
    text = drawn(there)
    assert "evaluating" in text
    assert "3/8" in text
    assert "left" in text


def test_a_file_gets_nothing() -> None:
    there = console(terminal=False)
    with progress_bar("evaluating", there) as progress:
        progress(3, 8)
    assert drawn(there) == ""

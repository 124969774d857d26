"""Progress of a long command: a bar with the time left, on a terminal only."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


@contextmanager
def progress_bar(what: str, console: Console | None = None) -> Generator[Report]:
    """Draw a bar that goes away when the command is done.

    Args:
        what: words before the bar.
        console: where to draw; standard error by default.

    Yields:
        A function to call with the parts that are done and the number of all.
    """
    console = console or Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        # the parts of an evaluation may take minutes each
        speed_estimate_period=3600,
        # output that goes to a file or a pipe is not the terminal's to draw
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report

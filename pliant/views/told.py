"""The worth of words, for people: a table, and a paragraph."""

from rich.console import Console

from meta.evaluation.results import levels
from meta.evaluation.worth import TOLD, UNTOLD, Worth
from meta.language.report import report, spoken
from pliant.views.markdown import count, text
from pliant.views.names import name_of
from pliant.views.terminal import show

COLUMNS = ("tasks", "episodes", "untold", "told", "gain")


def print_told(worth: Worth, console: Console | None = None) -> None:
    """Print returns told and untold, by whether the words hold."""
    facts = [_caption(worth)]
    show(_title(worth), COLUMNS, [rows(worth)], facts, console=console)


def rows(worth: Worth) -> list[tuple[str, ...]]:
    """Return the table's rows: for tasks that the words hold for, then the others."""
    found: list[tuple[str, ...]] = []
    for holding in (True, False):
        number = int((worth.holds == holding).sum())
        if not number:
            continue
        name = f"{'words hold' if holding else 'words are wrong'} ({number})"
        for k in sorted(worth.scores[TOLD]):
            means = [
                f"{worth.level(which, k, holding=holding):.2f}"
                for which in (UNTOLD, TOLD)
            ]
            gain = worth.gain(k, holding=holding)
            shown = text(gain, one_seed=len(worth.sources) == 1)
            found.append((name, str(k), *means, shown))
            name = ""
    return found


def paragraph(worth: Worth) -> str:
    """Return the report in words, about one of the tasks; empty if it says nothing."""
    about = [n for n in worth.actual if n in worth.inferred[max(worth.inferred)].about]
    actual = ", ".join(
        f"{n.replace('_', ' ')} {_plain(worth.actual[n])}" for n in about
    )
    said = report(worth.belief if worth.belief.about else None, worth.inferred)
    return f"{said} In truth, of this task: {actual}." if actual else said


def _title(worth: Worth) -> str:
    tasks = count(len(worth.holds), "task")
    return (
        f"{worth.family} on {worth.split}, told {spoken(worth.belief)}; {tasks}, seed "
        f"{worth.seed}, 95 % intervals"
    )


def _caption(worth: Worth) -> str:
    """Return the levels of the methods beside, on all tasks."""
    fixed = [n for n in levels(worth.scores) if n in worth.scores]
    others = [n for n in worth.scores if n not in (*fixed, TOLD, UNTOLD)]
    named = {n: name_of(n) for n in fixed} | {
        n: f"{name_of(n)} before it adapts" for n in others
    }
    means = [f"{t} {worth.scores[n][0].returns.mean():.2f}" for n, t in named.items()]
    return f"All tasks: {', '.join(means)}"


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"

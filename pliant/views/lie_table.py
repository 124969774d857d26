"""The table of a lie test: what knowing each hidden parameter is worth."""

from collections.abc import Iterable, Iterator

from rich.console import Console

from meta.evaluation.lie import MATTERS, Lie, Lies
from pliant.views.markdown import count, exact, markdown, text
from pliant.views.names import clusters
from pliant.views.terminal import show

COLUMNS = ("parameter", "oracle, lied to", "share lost", "verdict")


def print_lies(lies: Lies, console: Console | None = None) -> None:
    """Print what the oracle loses by a lie about each parameter, a row each."""
    seeds = count(len(lies.policies["oracle"]), "training seed")
    title = (
        f"{lies.family}, split {lies.split}: {count(lies.tasks, 'task')}, seed "
        f"{lies.seed}, {seeds}, 95 % intervals"
    )
    rows, facts = _rows(lies), _facts(lies)
    show(title, COLUMNS, [rows], facts, left=(0, 3), console=console)


def lies_table(found: Iterable[Lies]) -> str:
    """Return the tables of several families as one, in markdown."""
    rows = [(lies.family, *row) for lies in found for row in _rows(lies)]
    return markdown(("family", *COLUMNS), rows)


def _rows(lies: Lies) -> Iterator[tuple[str, ...]]:
    one = _one_seed(lies)
    for lie in lies.lies:
        shown = text(lie.returns, one_seed=one), exact(lie.loss, one_seed=one)
        yield lie.parameter, *shown, _verdict(lie)


def _one_seed(lies: Lies) -> bool:
    return len(lies.policies["oracle"]) == 1


def _verdict(lie: Lie) -> str:
    if not lie.varies:
        return "does not vary"
    if lie.loss.low < MATTERS <= lie.loss.high:
        return "undecided"
    return "matters" if lie.matters else "scenery"


def _facts(lies: Lies) -> Iterator[str]:
    one = _one_seed(lies)
    yield (
        f"told the truth, the oracle earns {text(lies.oracle, one_seed=one)}; random "
        f"actions earn {text(lies.random)}"
    )
    yield (
        "share lost: by a lie about this parameter alone, of the range from random to "
        f"the oracle; what loses less than {MATTERS} is scenery, and undecided is what "
        "may lose more or less"
    )
    if lies.objects:
        yield clusters(lies.family, lies.objects)
    for lie in lies.contradicted:
        what, less = ("", "at least") if lie.scenery else ("not ", "less than")
        yield (
            f"CAUTION: {lie.parameter} is {what}marked as scenery in the family "
            f"{lies.family}, and a lie about it costs {less} {MATTERS}"
        )

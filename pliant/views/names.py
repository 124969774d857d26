"""Names and colours of methods, and their order, in tables and plots."""

from collections.abc import Iterable

from meta.evaluation.results import UNADAPTED
from meta.registry import known_method
from tasks.registry import FAMILIES

Look = tuple[str, str, int]
"""Title, colour as matplotlib names it, and place among the rows of a table."""
_MADE: dict[str, Look] = {
    "random": ("random", "0.6", 0),
    "scratch": ("PPO from scratch", "0.75", 20),
    "finetune": ("not adapted, fine-tuned", "0.4", 30),
    "dr-finetune": ("DR, fine-tuned", "0.4", 30),
    "dr-memory-finetune": ("DR with memory, fine-tuned", "0.4", 30),
    UNADAPTED: ("not adapted", "tab:blue", 59),
}
"""Methods that are not trained but made in an evaluation."""


def name_of(method: str) -> str:
    """Return a method's name for people."""
    return _look(method)[0]


def clusters(family: str, number: int) -> str:
    """Return what intervals draw, where several tasks share one."""
    kind = FAMILIES.get(family)
    shared = "teams" if kind and kind.agents else "objects"
    return f"intervals draw {number} {shared}, each with all its tasks"


def colour_of(method: str) -> str:
    """Return a method's colour in plots, as matplotlib names it."""
    return _look(method)[1]


def in_order(methods: Iterable[str]) -> list[str]:
    """Return methods in the order in which a table shows them."""
    return sorted(methods, key=lambda method: _look(method)[2])


def _look(method: str) -> Look:
    if method in _MADE:
        return _MADE[method]
    known = known_method(method)
    if known is None:  # results outlive the file of a user's learner
        return method, "tab:pink", 50
    return known.title, known.colour, known.row

"""Names and colours of methods, and their order, in tables and plots."""

from collections.abc import Iterable

from meta.evaluation.results import UNADAPTED
from meta.registry import METHODS, Method

_MADE = {
    "random": ("random", "0.6", 0),
    "scratch": ("PPO from scratch", "0.75", 20),
    "dr-finetune": ("DR, fine-tuned", "0.4", 30),
    UNADAPTED: ("not adapted", "tab:blue", 59),
}
"""Title, colour and place of those that are not trained but made in an evaluation."""
_SHOWN = _MADE | {n: (m.title, m.colour, m.row) for n, m in METHODS.items()}


def name_of(method: str) -> str:
    """Return a method's name for people; `module:Class` keeps its own."""
    return _shown(method)[0]


def colour_of(method: str) -> str:
    """Return a method's colour in plots, as matplotlib names it."""
    return _shown(method)[1]


def in_order(methods: Iterable[str]) -> list[str]:
    """Return methods in the order in which a table shows them."""
    return sorted(methods, key=lambda method: _shown(method)[2])


def _shown(method: str) -> tuple[str, str, int]:
    if method in _SHOWN:
        return _SHOWN[method]
    other = Method(name=method, title=method, learner=method, settings=method)
    return other.title, other.colour, other.row

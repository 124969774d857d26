"""JSON out of files that anyone may have written."""

import json
import math
from typing import Any

BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
"""Errors of reading a file whose JSON has another shape than was expected."""
_LARGEST = 2**64


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401  (whatever it holds)
    """Read JSON whose numbers are finite, and in which no name comes twice.

    Raises:
        ValueError: if it is none, has a number that is not finite or an integer of more
            than 64 bits, names something twice, or is nested too deeply.
    """
    try:
        return json.loads(
            text,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_distinct,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:40]!r} is named twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _whole(text: str) -> int:
    number = int(text) if len(text) < 30 else _LARGEST
    if abs(number) >= _LARGEST:
        raise ValueError(f"the number {text[:20]}... is too large")
    return number

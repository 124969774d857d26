"""Bounds of settings, each written as the sentence that refuses what is beyond."""

import operator
from collections.abc import Callable, Mapping
from itertools import pairwise
from numbers import Real

_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def check_bounds(settings: object, *bounds: str) -> None:
    """Refuse settings that are out of bounds.

    Args:
        settings: has each setting that a bound names as an attribute.
        bounds: each one such as "rate > 0" or "1 <= width <= 4,096".

    Raises:
        ValueError: for the first that is not kept: it names that setting alone.
    """
    for bound in bounds:
        terms, signs = bound.split()[::2], bound.split()[1::2]
        [name] = (term for term in terms if term.isidentifier())
        value = getattr(settings, name)
        numbers = [
            value if term == name else float(term.replace(",", "")) for term in terms
        ]
        kept = zip(signs, pairwise(numbers), strict=True)
        if not isinstance(value, Real) or not all(
            _HOLDS[sign](*pair) for sign, pair in kept
        ):
            raise ValueError(f"need {bound}, got {value!r}")

"""Splits of a family: those it states, and those that leave one parameter's range."""

from collections.abc import Sequence

from tasks.parameters import Parameter, Scalar, Scaled

_JOINT = "extrapolation"


def all_splits(
    splits: Sequence[str], parameters: Sequence[Parameter]
) -> tuple[str, ...]:
    """Return a family's splits, with those that leave the range of one parameter.

    Args:
        splits: that the family states.
        parameters: of the family.
    """
    if _JOINT not in splits:
        return tuple(splits)
    leaving = [p.name for p in parameters if _extrapolates(p)]
    return (*splits, *(f"{_JOINT}:{name}" for name in leaving))


def _extrapolates(parameter: Parameter) -> bool:
    match parameter:
        case Scalar(beyond=beyond) | Scaled(of=Scalar(beyond=beyond)):
            return bool(beyond)
        case _:
            return False

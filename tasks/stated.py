"""Checks of what a family's class states, each refused in a line that names it."""

from typing import Any

from tasks.words import check_words


def check_stated(family: Any, *names: str) -> None:  # noqa: ANN401  (whatever a user wrote)
    """Raise ValueError unless a family has these attributes."""
    if lacking := [name for name in names if not hasattr(family, name)]:
        raise ValueError(f"family {family.name} does not state {', '.join(lacking)}")


def check_counts(family: Any, *names: str) -> None:  # noqa: ANN401
    """Raise ValueError unless these are whole numbers of at least 1."""
    for name in names:
        count = getattr(family, name)
        if not isinstance(count, int) or count < 1:
            raise ValueError(
                f"family {family.name}: {name} is a whole number of at least 1, got "
                f"{count!r:.60}"
            )


def check_tuple(family: Any, name: str, has: str, of: str) -> None:  # noqa: ANN401
    """Raise ValueError unless that is a tuple, all of which have an attribute."""
    given = getattr(family, name)
    if not (isinstance(given, tuple) and all(hasattr(x, has) for x in given)):
        raise ValueError(
            f"family {family.name}: {name} is a tuple, of {of}; got {given!r:.60}"
        )


def check_parameters(family: Any) -> None:  # noqa: ANN401
    """Raise ValueError for parameters, their words or scenery that cannot be."""
    check_tuple(family, "parameters", "hidden", "such as Scalar and Choice")
    check_tuple(family, "scenery", "isidentifier", "names")
    known = [p.name for p in family.parameters if p.hidden]
    if strange := [name for name in family.scenery if name not in known]:
        raise ValueError(
            f"family {family.name}: scenery is hidden, and {', '.join(strange)} is "
            f"not among its hidden parameters: {', '.join(known) or 'none'}"
        )
    for parameter in family.parameters:
        try:
            check_words(parameter)
        except ValueError as error:
            raise ValueError(f"family {family.name}: {error}") from error

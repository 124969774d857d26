"""Every task family by name. A new family is one file and one line here."""

from collections.abc import Callable

from tasks.cheetah_direction import CheetahDirection
from tasks.family import Family
from tasks.reach_rotated import ReachRotated
from tasks.strike import Strike

FAMILIES: dict[str, Callable[[], Family]] = {
    Strike.name: Strike,
    ReachRotated.name: ReachRotated,
    CheetahDirection.name: CheetahDirection,
}


def make_family(name: str) -> Family:
    """Build a family.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"unknown family {name!r}; families: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[name]()

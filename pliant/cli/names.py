"""Names that a user types: the unknown ones are refused, with the nearest known one."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

LISTED = "`pliant list` shows all"


def check_known(
    kind: str, name: str, known: Collection[str], where: str, *, prefix: str = ""
) -> None:
    """Refuse an unknown name.

    Args:
        kind: the kind of thing that is named, for the message.
        name: as the user typed it, without the prefix.
        known: the names that there are.
        where: the end of the message: where the user can see them.
        prefix: characters before the name, for the message.

    Raises:
        ValueError: if the name is not among them.
    """
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {prefix}{near[0]}? " if near else ""
        raise ValueError(f"unknown {kind} {f'{prefix}{name}'!r}; {hint}{where}")


def check_family(name: str) -> None:
    """Refuse the name of a family that there is not; external ones are not looked up.

    Raises:
        ValueError: naming the nearest family.
    """
    from tasks.registry import FAMILIES

    if ":" not in name:
        own = "and one of yours is module:Class"
        check_known("family", name, FAMILIES, f"{LISTED}, {own}")


def check_method(name: str) -> None:
    """Refuse the name of a method that there is not; others' are not looked up.

    Raises:
        ValueError: naming the nearest method, and all.
    """
    from meta.registry import METHODS

    if ":" not in name:
        check_known("method", name, METHODS, f"methods: {', '.join(METHODS)}")


def check_split(family: str, split: str) -> None:
    """Refuse a split that a family of Pliant's own does not have.

    Raises:
        ValueError: naming the nearest split, and all.
    """
    from tasks.parameters import current_split
    from tasks.registry import FAMILIES
    from tasks.splits import all_splits

    if family in FAMILIES:
        kind = FAMILIES[family]
        splits = all_splits(kind.splits, kind.parameters)
        known = f"splits: {', '.join(splits)}"
        check_known("split", current_split(split), splits, known)


def check_change(kind: str | None) -> None:
    """Refuse a kind of change within an episode that there is not.

    Raises:
        ValueError: naming the nearest kind, and all.
    """
    from meta.experience.schedule import KINDS

    if kind is not None:
        check_known("change", kind, KINDS, f"changes: {', '.join(KINDS)}")


def check_policy(spec: str) -> None:
    """Refuse a policy that does not ship, or is at no path.

    Raises:
        ValueError: naming the nearest policy that ships.
    """
    from meta.training.trained import SHIPPED, shipped_policies

    name, known = spec.removeprefix(SHIPPED), shipped_policies()
    if spec.startswith(SHIPPED):
        # the names alone, for the prefix makes any two of them alike
        check_known("policy", name, known, LISTED, prefix=SHIPPED)
    elif name in known and not Path(spec).exists():
        raise ValueError(f"no policy at {spec!r}; did you mean {SHIPPED}{spec}?")

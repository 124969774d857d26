"""Names of what there is to use; see `pliant`."""

from meta.recipes.registry import make_config
from meta.registry import DEFAULT, METHODS
from meta.training.trained import LARGE, SHIPPED, shipped_policies
from robots.registry import ROBOTS
from tasks.registry import FAMILIES


def families() -> list[str]:
    """Return the names of the task families."""
    return list(FAMILIES)


def robots() -> list[str]:
    """Return the names of the robots."""
    return list(ROBOTS)


def methods() -> list[str]:
    """Return the names of the methods that can be trained."""
    return list(METHODS)


def policies(family: str = "", method: str = "") -> list[str]:
    """Return the policies that ship, as `load` takes them.

    Args:
        family: only those of this family.
        method: only those of this method; needs the family.
    """
    if method and not family:
        raise ValueError(f"name the family whose {method} policies are wanted")
    if family:
        make_config(family, method or DEFAULT)  # refuses names that there are not
    chosen = [family] if family else families()
    kinds = [method] if method else [*methods(), LARGE]
    return [
        f"{SHIPPED}{name}"
        for one in chosen
        for kind in kinds
        for name in shipped_policies(one, kind)
    ]

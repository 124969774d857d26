"""Every task family by name. A new family is one file and one line here."""

import inspect
from functools import partial

import torch

from robots.sim.simulator import check_device
from tasks.contract import TaskFamily, Worlds
from tasks.driving.drive_avoid import DriveAvoid
from tasks.driving.drive_fork import DriveFork
from tasks.driving.drive_park import DrivePark
from tasks.driving.drive_slide import DriveSlide
from tasks.env import Env
from tasks.external import ExternalEnv, ExternalFamily
from tasks.family import Family
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.locomotion.cheetah_velocity import CheetahVelocity
from tasks.manipulation.grasp import Grasp
from tasks.manipulation.handling import HandlingFamily
from tasks.manipulation.insert import Insert
from tasks.manipulation.intercept import Intercept
from tasks.manipulation.open import Open
from tasks.manipulation.push import Push
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.manipulation.strike import Strike
from tasks.named import imported, place_of
from tasks.objects.mesh_file import Fits
from tasks.objects.object_set import Objects, as_set
from tasks.people.handover import Handover
from tasks.teams.carry import Carry
from tasks.teams.shove import Shove

FAMILIES: dict[str, type[Family]] = {
    Strike.name: Strike,
    Push.name: Push,
    Grasp.name: Grasp,
    Open.name: Open,
    Insert.name: Insert,
    Intercept.name: Intercept,
    ReachRotated.name: ReachRotated,
    CheetahDirection.name: CheetahDirection,
    CheetahVelocity.name: CheetahVelocity,
    DriveSlide.name: DriveSlide,
    DriveAvoid.name: DriveAvoid,
    DrivePark.name: DrivePark,
    DriveFork.name: DriveFork,
    Shove.name: Shove,
    Carry.name: Carry,
    Handover.name: Handover,
}
PLIANTS_OWN = frozenset(FAMILIES)
"""Names of Pliant's families; those of others join `FAMILIES` as they are met."""


def entered(family: str | type[TaskFamily]) -> str:
    """Return a family's name, under which a class of one's own is found from now on.

    A class that `module:Class` names has that name, whatever it calls itself: by it the
    class is found again, by commands too. Others have the name that they state.

    Raises:
        ValueError: for neither a name nor a class that is whole, or a class whose name
            is another's; and as `imported`.
    """
    if isinstance(family, str):
        if ":" in family and family not in FAMILIES:
            _enter(family, _imported(family))
        return family
    if not (inspect.isclass(family) and issubclass(family, Family | ExternalFamily)):
        raise ValueError(f"a family is a name or a class of its own, got {family!r}")
    _check_whole(family, family.__name__)
    own = issubclass(family, Family) and family not in FAMILIES.values()
    if own and (place := place_of(family)):
        _enter(place, family)
        return place
    name = getattr(family, "name", None)
    if not isinstance(name, str):
        raise ValueError(f"family {family.__name__} has no name: name = 'my-family'")
    if issubclass(family, Family):
        known = FAMILIES.get(name, family)
        if repr(known) != repr(family):  # a notebook may define the same class anew
            raise ValueError(
                f"family {name!r} is {known.__name__} already: give yours another name"
            )
        FAMILIES[name] = family
    return name


def findable(family: str) -> bool:
    """Return whether a family's name finds it in other processes, such as commands."""
    if ":" in family:
        return not family.startswith("__main__:")
    kind = FAMILIES.get(family)
    return kind is None or bool(place_of(kind))


def elsewhere(family: str) -> bool:
    """Return whether a family is simulated elsewhere; see `ExternalFamily`."""
    return entered(family) not in FAMILIES


def make_family(
    name: str | type[TaskFamily],
    device: torch.device | str = "cpu",
    objects: Objects | None = None,
) -> Family:
    """Build a family whose worlds live on a device: the CPU, or CUDA with Warp.

    Objects take the place of those that the family's tasks handle; see `ObjectSet`.

    Raises:
        ValueError: for an unknown name, listing the known ones, or one of an external
            family, a CUDA device where there is none, or objects for a family that
            handles none; and as `entered`.
    """
    name = entered(name)
    if name not in FAMILIES and ":" in name:
        raise ValueError(
            f"family {name} is simulated elsewhere, and this needs one of Pliant's "
            f"own: {', '.join(sorted(FAMILIES))}"
        )
    family = find_family(name, device, objects)
    assert isinstance(family, Family)
    return family


def find_family(
    name: str | type[TaskFamily],
    device: torch.device | str = "cpu",
    objects: Objects | None = None,
) -> TaskFamily:
    """Build a family of any kind; the name of one of the user's is `module:Class`.

    The module is imported, from the working directory too if nowhere else.

    Raises:
        ValueError: as `make_family`, or if there is no family of that name.
    """
    name = entered(name)
    if name in FAMILIES:
        return _own(FAMILIES[name], check_device(device), objects)
    if ":" in name:
        if objects is not None:
            raise ValueError(f"family {name} is simulated elsewhere: no object for it")
        kind = _imported(name)
        assert issubclass(kind, ExternalFamily)
        return kind(device)
    raise ValueError(
        f"unknown family {name!r}; families: {', '.join(sorted(FAMILIES))}, or "
        "module:Class of one of yours"
    )


def fitting(name: str) -> Fits:
    """Return the check that refuses what a family cannot handle, for `load_objects`.

    Raises:
        ValueError: for a family that takes no object of a user's.
    """
    kind = FAMILIES.get(name)
    if kind is None or not issubclass(kind, HandlingFamily):
        able = [n for n, k in FAMILIES.items() if issubclass(k, HandlingFamily)]
        raise ValueError(
            f"family {name!r} takes no object of your own; {', '.join(able)} do"
        )
    return partial(kind.handles.check_sizes, name)


def make_env(
    family: TaskFamily, *, worlds: int, oracle: bool = False, threads: int = 0
) -> Worlds:
    """Make W worlds of a family of any kind, a team's agents counting each; see `Env`.

    An external family chooses its own threads.
    """
    if isinstance(family, ExternalFamily):
        return ExternalEnv(family, worlds=worlds, oracle=oracle)
    if isinstance(family, Family):
        return Env(family, worlds=worlds, oracle=oracle, threads=threads)
    raise TypeError(f"no simulator for families of type {type(family).__name__}")


def _own(kind: type[Family], device: torch.device, objects: Objects | None) -> Family:
    given = as_set(objects)
    if given is None:
        return kind(device)
    if not issubclass(kind, HandlingFamily):
        raise ValueError(
            f"family {kind.name!r} handles no object that {given.name} could replace"
        )
    return kind(device, given)


def _enter(name: str, kind: type[TaskFamily]) -> None:
    """Let a name find a class, which has it from now on; external ones need none."""
    known = FAMILIES.get(name, Family)
    if issubclass(kind, Family) and not issubclass(known, kind):
        own = {"name": name, "__module__": kind.__module__}
        own |= {"__doc__": kind.__doc__, "summary": kind.summary}
        FAMILIES[name] = type(kind.__name__, (kind,), own)


def _imported(name: str) -> type[Family | ExternalFamily]:
    found = imported(name)
    if not (inspect.isclass(found) and issubclass(found, Family | ExternalFamily)):
        raise ValueError(
            f"{name!r} is no subclass of tasks.family.Family, nor of "
            "tasks.external.ExternalFamily"
        )
    _check_whole(found, name)
    if issubclass(found, ExternalFamily) and found.name != name:
        raise ValueError(f"family {name!r} is found under its own name: {found.name}")
    return found


def _check_whole(kind: type[TaskFamily], name: str) -> None:
    """Raise ValueError for a class that lacks what its base leaves to it."""
    if inspect.isabstract(kind):
        lacking = ", ".join(sorted(kind.__abstractmethods__))
        raise ValueError(f"family {name!r} lacks {lacking}")

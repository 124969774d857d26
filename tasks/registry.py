"""Every task family by name. A new family is one file and one line here."""

import inspect

import torch

from robots.sim.simulator import check_device
from tasks.contract import TaskFamily, Worlds
from tasks.env import Env
from tasks.external import ExternalEnv, ExternalFamily
from tasks.family import Family
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.manipulation.grasp import Grasp
from tasks.manipulation.handling import HandlingFamily
from tasks.manipulation.insert import Insert
from tasks.manipulation.open import Open
from tasks.manipulation.push import Push
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.manipulation.strike import Strike
from tasks.named import imported
from tasks.objects.solids import Solid

FAMILIES: dict[str, type[Family]] = {
    Strike.name: Strike,
    Push.name: Push,
    Grasp.name: Grasp,
    Open.name: Open,
    Insert.name: Insert,
    ReachRotated.name: ReachRotated,
    CheetahDirection.name: CheetahDirection,
}


def make_family(
    name: str, device: torch.device | str = "cpu", object: Solid | None = None
) -> Family:
    """Build a family whose worlds live on a device: the CPU, or CUDA with Warp.

    An object takes the place of what the family's tasks handle.

    Raises:
        ValueError: for an unknown name, listing the known ones, or one of an external
            family, a CUDA device where there is none, or an object for a family that
            handles none.
    """
    family = find_family(name, device, object)
    if not isinstance(family, Family):
        raise ValueError(
            f"family {name} is simulated elsewhere, and this needs one of Pliant's "
            f"own: {', '.join(sorted(FAMILIES))}"
        )
    return family


def find_family(
    name: str, device: torch.device | str = "cpu", object: Solid | None = None
) -> TaskFamily:
    """Build a family of any kind; an external one's name is `module:Class`.

    The module is imported, from the working directory too if nowhere else.

    Raises:
        ValueError: as `make_family`, or if there is no external family of that name.
    """
    if name in FAMILIES:
        return _own(FAMILIES[name], check_device(device), object)
    if ":" in name:
        if object is not None:
            raise ValueError(f"family {name} is simulated elsewhere: no object for it")
        return _imported(name)(device)
    raise ValueError(
        f"unknown family {name!r}; families: {', '.join(sorted(FAMILIES))}, or "
        "module:Class of an external one"
    )


def make_env(
    family: TaskFamily, *, worlds: int, oracle: bool = False, threads: int = 0
) -> Worlds:
    """Make W worlds of a family of any kind; see `Env`.

    An external family chooses its own threads.
    """
    if isinstance(family, ExternalFamily):
        return ExternalEnv(family, worlds=worlds, oracle=oracle)
    if isinstance(family, Family):
        return Env(family, worlds=worlds, oracle=oracle, threads=threads)
    raise TypeError(f"no simulator for families of type {type(family).__name__}")


def _own(kind: type[Family], device: torch.device, object: Solid | None) -> Family:
    if object is None:
        return kind(device)
    if not issubclass(kind, HandlingFamily):
        raise ValueError(
            f"family {kind.name!r} handles no object that {object.name} could replace"
        )
    return kind(device, object)


def _imported(name: str) -> type[ExternalFamily]:
    found = imported(name)
    if not (inspect.isclass(found) and issubclass(found, ExternalFamily)):
        raise ValueError(f"{name!r} is no subclass of tasks.external.ExternalFamily")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise ValueError(f"family {name!r} lacks {lacking}")
    if found.name != name:
        raise ValueError(f"family {name!r} is found under its own name: {found.name}")
    return found

"""Every task family by name. A new family is one file and one line here."""

import torch

from robots.sim.simulator import check_device
from tasks.cheetah_direction import CheetahDirection
from tasks.family import Family
from tasks.grasp import Grasp
from tasks.push import Push
from tasks.reach_rotated import ReachRotated
from tasks.solids import Solid
from tasks.strike import Strike

FAMILIES: dict[str, type[Family]] = {
    Strike.name: Strike,
    Push.name: Push,
    Grasp.name: Grasp,
    ReachRotated.name: ReachRotated,
    CheetahDirection.name: CheetahDirection,
}


def make_family(
    name: str, device: torch.device | str = "cpu", object: Solid | None = None
) -> Family:
    """Build a family whose worlds live on a device: MuJoCo's CPU, or CUDA with Warp.

    An object takes the place of what the family's tasks handle.

    Raises:
        ValueError: for an unknown name, listing the known ones, a CUDA device where
            there is none, or an object for a family that handles none.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"unknown family {name!r}; families: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[name](check_device(device), object)

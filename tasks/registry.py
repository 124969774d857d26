"""Every task family by name. A new family is one file and one line here."""

import torch

from robots.sim.simulator import check_device
from tasks.cheetah_direction import CheetahDirection
from tasks.family import Family
from tasks.insert import Insert
from tasks.reach_rotated import ReachRotated
from tasks.strike import Strike

FAMILIES: dict[str, type[Family]] = {
    Strike.name: Strike,
    ReachRotated.name: ReachRotated,
    CheetahDirection.name: CheetahDirection,
    Insert.name: Insert,
}


def make_family(name: str, device: torch.device | str = "cpu") -> Family:
    """Build a family whose worlds live on a device: MuJoCo's CPU, or CUDA with Warp.

    Raises:
        ValueError: for an unknown name, listing the known ones, or a CUDA device where
            there is none.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"unknown family {name!r}; families: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[name](check_device(device))

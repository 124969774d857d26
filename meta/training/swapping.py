"""Swapping: new robots in the places of some agents of a team that has adapted."""

import torch

from meta.training.trained import Adapted, check_adapted
from tasks.registry import find_family


def swapped(adapted: Adapted, *agents: str) -> Adapted:
    """Return a team in which new robots have the places of some agents.

    They have the same policy, met none of their tasks, and were told nothing. The
    others keep what they have worked out.

    Args:
        adapted: the team.
        agents: names of the places.

    Raises:
        ValueError: for a name that no agent of the family has.
    """
    check_adapted(adapted)
    policy = adapted.policy
    family = find_family(policy.cfg.family)
    if strange := [name for name in agents if name not in family.agents]:
        raise ValueError(
            f"no agent {strange[0]!r} on {family.name}; agents: "
            f"{', '.join(family.agents) or 'none, for it is no team'}"
        )
    new = [family.agents[row % family.team] in agents for row in range(adapted.tasks)]
    begun = policy.begin(adapted.tasks).adaptation
    if "prior" in begun:
        begun = begun | {"prior": torch.zeros_like(begun["prior"])}
    who = torch.tensor(new, device=policy.device)
    mixed = {
        name: torch.where(who.reshape(-1, *[1] * (old.ndim - 1)), begun[name], old)
        for name, old in adapted.adaptation.items()
    }
    return adapted._replace(adaptation=mixed)

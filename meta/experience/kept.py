"""Experience that is kept, as tensors by name, which lead with tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from meta.experience.rollout import Experience
from meta.theta import Theta, group, prefixed
from policies.distribution import distribution, parts

_PLAIN = ("obs", "next_obs", "action", "reward", "valid")


def tensors_of(experiences: Sequence[Experience]) -> Theta:
    """Return the experiences of an iteration as tensors."""
    named: Theta = {}
    for phase, e in enumerate(experiences):
        location, log_std = parts(e.old.whole())
        own: dict[str, Tensor] = {k: getattr(e, k) for k in _PLAIN}
        own["location"] = location
        own |= {} if log_std is None else {"log_std": log_std}
        own["lived"] = e.whole.valid.clone()
        named |= prefixed(str(phase), {k: v.contiguous() for k, v in own.items()})
    return named


def experiences_of(named: Theta) -> list[Experience]:
    """Return what `tensors_of` made tensors of."""
    found: list[Experience] = []
    for phase in sorted({k.split("/")[0] for k in named}, key=int):
        own = group(named, phase)
        old = distribution(own["location"], own.get("log_std"))
        plain = {k: own[k] for k in _PLAIN}
        found.append(Experience(**plain, old=old, lived=own["lived"]))
    return found


def with_latest(kept: Theta, new: Theta, steps: int) -> Theta:
    """Return what is kept of experience with that of an iteration.

    Args:
        kept: what was kept until now, or nothing.
        new: the tensors of the iteration.
        steps: env steps that are kept, of the latest tasks; at least the iteration's.
    """
    each = sum(v[0].numel() for k, v in new.items() if k.endswith("/reward"))
    tasks = max(steps // each, len(next(iter(new.values()))))
    return {
        k: torch.cat([kept[k], v] if k in kept else [v])[-tasks:]
        for k, v in new.items()
    }

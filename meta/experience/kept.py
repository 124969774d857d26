"""Experience that is kept, as tensors by name, which lead with tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from meta.experience.rollout import Experience
from meta.theta import Theta, group, prefixed
from policies.distribution import distribution, parts

_PLAIN = ("obs", "next_obs", "action", "reward", "valid")
_DRAWN = ("location", "log_std")


def tensors_of(experiences: Sequence[Experience], *, drawn: bool = True) -> Theta:
    """Return the experiences of an iteration as tensors.

    Args:
        experiences: of one iteration, by phase.
        drawn: with the distributions that the actions were drawn from, which need as
            much memory as the actions twice.
    """
    named: Theta = {}
    for phase, e in enumerate(experiences):
        own: dict[str, Tensor] = {k: getattr(e, k) for k in _PLAIN}
        named_parts = zip(_DRAWN, parts(e.old.whole()), strict=True)
        own |= {k: v for k, v in named_parts if drawn and v is not None}
        own["lived"] = e.whole.valid.clone()
        named |= prefixed(str(phase), {k: v.contiguous() for k, v in own.items()})
    return named


def experiences_of(named: Theta) -> list[Experience]:
    """Return what `tensors_of` made tensors of.

    Actions stand in the place of distributions that it left out.
    """
    found: list[Experience] = []
    for phase in sorted({k.split("/")[0] for k in named}, key=int):
        own = group(named, phase)
        old = distribution(own.get("location", own["action"]), own.get("log_std"))
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

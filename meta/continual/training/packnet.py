"""PackNet: each piece gets weights of its own, and those of earlier ones are frozen.

Mallya and Lazebnik 2018, "PackNet: Adding Multiple Tasks to a Single Network by
Iterative Pruning", arXiv 1711.05769. A piece trains all weights that are free, beside
the frozen ones, which it uses. Then its share of each matrix, the greatest in absolute
value, is kept and trained on for the rest of the piece with all others at 0.

To act, it must be told the piece. Vectors (biases, the spread of actions), and what is
trained beside the policy, are copied for each piece, as Continual World (Wolczyk et
al. 2021, arXiv 2105.10919) gives each task a head of its own. Free weights begin a
piece at the values that the run drew for them, for training moves weights out of 0
badly.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from meta.continual.training.memory import Memory, Moment, trained
from meta.experience.rollout import Experience
from meta.theta import Theta, group, prefixed

FREE = -1
"""Owner of a weight that no piece has yet."""


class PackNet(Memory):
    """Keeps who owns each weight; `hold` is the share of a piece that trains on."""

    title = "PackNet"
    default = 0.3
    most = 0.9
    reproduces = True

    def begin(self, kept: Theta, theta: Theta, moment: Moment) -> Theta:
        """Give the free weights their initial values."""
        if not kept:
            shared = {k: v for k, v in trained(theta).items() if _is_shared(k, v)}
            drawn = {k: v.detach().clone() for k, v in shared.items()}
            owners = {k: torch.full_like(v, FREE) for k, v in drawn.items()}
            flags = {"pruned": torch.zeros(()), "frozen": torch.zeros(())}
            named = {"owner": owners, "drawn": drawn, "held": drawn}
            return flags | {
                k: v for n, t in named.items() for k, v in prefixed(n, t).items()
            }
        drawn, held = group(kept, "drawn"), dict(group(kept, "held"))
        for name, owner in group(kept, "owner").items():
            held[name] = torch.where(owner == FREE, drawn[name], held[name])
            _copy(theta[name], held[name])
        return kept | prefixed("held", held) | {"pruned": torch.zeros(())}

    def settle(self, kept: Theta, theta: Theta) -> None:
        """Put frozen weights back, and pruned ones to 0."""
        owners, held = group(kept, "owner"), group(kept, "held")
        for name, owner in owners.items():
            fixed = (owner != FREE) & (owner < kept["frozen"])
            if kept["pruned"]:
                fixed = fixed | (owner == FREE)
            _copy(theta[name], torch.where(fixed, held[name], theta[name].detach()))

    def learned(
        self,
        kept: Theta,
        theta: Theta,
        moment: Moment,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Prune where the rest of the piece begins, and freeze where it ends."""
        left = 1 - moment.progress
        if not kept["pruned"] and (moment.last or left <= self.hold):
            kept = _pruned(kept, theta, moment)
        return _frozen(kept, theta, moment.piece) if moment.last else kept

    def recalled(self, kept: Theta, theta: Theta, piece: int) -> Theta:
        """Return the weights of a piece that has ended; of others, theta."""
        own = group(kept, f"own{piece}")
        if not own:
            return theta
        held = group(kept, "held")
        shared = {
            k: torch.where((owner != FREE) & (owner <= piece), held[k], 0.0)
            for k, owner in group(kept, "owner").items()
        }
        return theta | shared | own


def _is_shared(name: str, value: Tensor) -> bool:
    return name.startswith("policy/") and value.ndim > 1


def _pruned(kept: Theta, theta: Theta, moment: Moment) -> Theta:
    """Give a piece its share of the free weights, and put the others to 0."""
    owners, held = dict(group(kept, "owner")), dict(group(kept, "held"))
    for name, owner in owners.items():
        value = theta[name].detach()
        free = owner == FREE
        count = round(int(free.sum()) / (moment.pieces - moment.piece))
        size = torch.where(free, value.abs(), -1.0).flatten()
        chosen = torch.zeros_like(size, dtype=torch.bool)
        chosen[size.topk(count).indices] = True
        chosen = chosen.view_as(owner)
        owners[name] = torch.where(chosen, float(moment.piece), owner)
        held[name] = torch.where(owners[name] == FREE, 0.0, value)
        _copy(theta[name], held[name])
    new = prefixed("owner", owners) | prefixed("held", held)
    return kept | new | {"pruned": torch.ones(())}


def _frozen(kept: Theta, theta: Theta, piece: int) -> Theta:
    """Freeze what a piece has, and copy what it has alone."""
    values = {k: v.detach().clone() for k, v in trained(theta).items()}
    own = {k: v for k, v in values.items() if not _is_shared(k, v)}
    shared = {k: v for k, v in values.items() if _is_shared(k, v)}
    done = {"frozen": torch.tensor(piece + 1.0)}
    return kept | prefixed("held", shared) | prefixed(f"own{piece}", own) | done


def _copy(into: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        into.copy_(value)

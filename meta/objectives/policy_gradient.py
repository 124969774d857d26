"""Policy-gradient losses as pure functions of arrays."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

InnerLoss = Literal["ratio", "log-likelihood", "dice"]


def mean_valid(
    x: Float[Tensor, "*batch"], valid: Float[Tensor, "*batch"]
) -> Float[Tensor, ""]:
    """Mean over the valid steps."""
    return (x * valid).sum() / valid.sum().clamp(min=1)


def inner_loss(
    kind: InnerLoss,
    log_prob: Float[Tensor, "episode time"],
    old_log_prob: Float[Tensor, "episode time"],
    advantage: Float[Tensor, "episode time"],
    valid: Float[Tensor, "episode time"],
) -> Float[Tensor, ""]:
    """The loss whose gradient adapts.

    All three have the same gradient where `log_prob` equals `old_log_prob`; they differ
    in the second derivatives that the meta-gradient sees. `ratio` is the low-variance
    curvature form (Rothfuss et al. 2019, arXiv 1810.06784, eq. 8), `log-likelihood` the
    original one, which drops most of the curvature, `dice` the unbiased one of Foerster
    et al. 2018, arXiv 1802.05098, in the form that takes advantages (Farquhar et al.
    2019, arXiv 1909.10549).
    """
    match kind:
        case "ratio":
            weight = (log_prob - old_log_prob).exp()
        case "log-likelihood":
            weight = log_prob
        case "dice":
            until = torch.cumsum(log_prob * valid, dim=-1)
            before = until - log_prob * valid
            # an advantage credits its own action; the past only weighs it
            weight = (until - until.detach()).exp() - (before - before.detach()).exp()
    return -mean_valid(weight * advantage, valid)


def clipped_surrogate(
    log_prob: Float[Tensor, "*batch"],
    old_log_prob: Float[Tensor, "*batch"],
    advantage: Float[Tensor, "*batch"],
    valid: Float[Tensor, "*batch"],
    clip: float,
) -> Float[Tensor, ""]:
    """PPO's loss (Schulman et al. 2017, arXiv 1707.06347, eq. 7)."""
    ratio = (log_prob - old_log_prob).exp()
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return -mean_valid(torch.minimum(ratio * advantage, bounded * advantage), valid)

"""Reward terms in [0, 1]."""

import torch
from jaxtyping import Float
from torch import Tensor


def closeness(
    distance: Float[Tensor, "*batch"], scale: float
) -> Float[Tensor, "*batch"]:
    """Return exp(-distance / scale): 1 at distance 0; scale in the same unit."""
    return torch.exp(-distance / scale)

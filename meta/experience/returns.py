"""Discounted returns, advantages, and a linear baseline fitted in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor

from meta.machine.distributed import summed

_RIDGE = 1e-5
_CLIP = 10.0


def discounted(
    reward: Float[Tensor, "*batch time"],
    valid: Float[Tensor, "*batch time"],
    discount: float,
) -> Float[Tensor, "*batch time"]:
    """Return from each step to the episode's end, 0 where a step is not valid."""
    total = torch.zeros_like(reward[..., 0])
    totals = []
    for t in reversed(range(reward.shape[-1])):
        total = (reward[..., t] + discount * total) * valid[..., t]
        totals.append(total)
    return torch.stack(totals[::-1], dim=-1)


def features(
    obs: Float[Tensor, "*batch time obs"],
) -> Float[Tensor, "*batch time features"]:
    """Observation, its square, powers of time, 1: Duan et al. 2016, arXiv 1604.06778.

    Observations are clipped to +-10.
    """
    obs = obs.clamp(-_CLIP, _CLIP)
    steps = torch.arange(obs.shape[-2], device=obs.device, dtype=obs.dtype) / 100.0
    t = steps[:, None].expand(*obs.shape[:-1], 1)
    return torch.cat([obs, obs**2, t, t**2, t**3, torch.ones_like(t)], dim=-1)


def fit_ridge(
    x: Float[Tensor, "*batch sample features"],
    y: Float[Tensor, "*batch sample"],
    valid: Float[Tensor, "*batch sample"],
    *,
    everywhere: bool = False,
) -> Float[Tensor, "*batch features"]:
    """Least squares over the valid samples, in float64.

    The ridge is relative to the features' mean square, so that it keeps the normal
    matrix regular (constant or unused features) whatever the features' scale. The fit
    is to every process's samples if `everywhere`.
    """
    x = x.double() * valid[..., None]
    gram, moment = x.mT @ x, x.mT @ (y.double() * valid)[..., None]
    if everywhere:
        gram, moment = summed(gram), summed(moment)
    scale = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp(min=1e-12)
    ridge = _RIDGE * scale * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return torch.linalg.solve(gram + ridge, moment)[..., 0]


def gae(
    reward: Float[Tensor, "*batch time"],
    value: Float[Tensor, "*batch time"],
    valid: Float[Tensor, "*batch time"],
    discount: float,
    trace: float,
) -> Float[Tensor, "*batch time"]:
    """Generalised advantage estimates (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    An episode's end has value 0: the horizon is part of the task, and the baseline
    knows the time.
    """
    value = value * valid
    after = torch.cat([value[..., 1:], torch.zeros_like(value[..., :1])], dim=-1)
    delta = reward + discount * after - value
    return discounted(delta, valid, discount * trace)


def standardise(
    x: Float[Tensor, "*batch episode time"], valid: Float[Tensor, "*batch episode time"]
) -> Float[Tensor, "*batch episode time"]:
    """(x - mean) / std over the valid steps of each task; 0 elsewhere."""
    count = valid.sum((-2, -1), keepdim=True).clamp(min=1)
    centred = (x - (x * valid).sum((-2, -1), keepdim=True) / count) * valid
    std = (centred.square().sum((-2, -1), keepdim=True) / count).sqrt()
    return centred / (std + 1e-8)

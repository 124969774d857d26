"""Running mean and variance of features, as explicit tensors."""

import torch
from jaxtyping import Float
from torch import Tensor

from meta.machine.distributed import summed
from meta.theta import Theta, prefixed

_FLOOR = 1e-2
"""Features that vary less than this are not blown up, in their own units."""
_RARE, _FEW = 1e-3, 4
"""Share of the samples, and number of them, that may be outliers."""
_MANY = 100
"""Samples for each that may be an outlier: of fewer, a share of them is not rare."""
_FAR, _LEAST = 1e3, 1e4
"""Factor by which an outlier is farther out than all others, and least distance, in the
feature's own units: a force that is rarely felt is no outlier among zeros."""


def fresh_moments(features: int, name: str = "moments") -> Theta:
    """Moments before any data, as a group of that name: they scale nothing."""
    return prefixed(
        name,
        {
            "count": torch.zeros((), dtype=torch.float64),
            "mean": torch.zeros(features, dtype=torch.float64),
            "square": torch.zeros(features, dtype=torch.float64),
        },
    )


def standardised(
    theta: Theta,
    x: Float[Tensor, "*batch k"],
    *,
    clip: float = 10.0,
    name: str = "moments",
    floor: float = _FLOOR,
) -> Float[Tensor, "*batch k"]:
    """The first k features, shifted and scaled by the moments, clipped to +-clip.

    Args:
        theta: holds the moments.
        x: the features.
        clip: the bound, in standard deviations.
        name: the moments' group in theta.
        floor: least standard deviation to divide by, in the features' own units.
    """
    n = x.shape[-1]
    count = theta[f"{name}/count"]
    mean = theta[f"{name}/mean"][:n].to(x.dtype)
    variance = theta[f"{name}/square"][:n] / count.clamp(min=1)
    # a choice on the device: asking the host would stop every step of a rollout
    std = torch.where(count > 0, variance.sqrt().clamp(min=floor), 1.0).to(x.dtype)
    return ((x - mean) / std).clamp(-clip, clip)


def update_moments(
    theta: Theta, x: Float[Tensor, "sample features"], name: str = "moments"
) -> None:
    """Add every process's samples, in place (Chan et al. 1983, the pairwise update).

    Rare values absurdly far from the others do not count: see `_without_outliers`.
    """
    x = _without_outliers(x.double())
    count, mean, square = (theta[f"{name}/{k}"] for k in ("count", "mean", "square"))
    more = summed(torch.full_like(count, len(x)))
    centre = summed(x.sum(0)) / more.clamp(min=1)
    delta, total = centre - mean, (count + more).clamp(min=1)
    square += summed((x - centre).square().sum(0)) + delta**2 * count * more / total
    mean += delta * more / total
    count += more


def _without_outliers(
    x: Float[Tensor, "sample features"],
) -> Float[Tensor, "sample features"]:
    """Return samples whose rare and absurd values are replaced by the median.

    A single value of 1e8 would otherwise decide a feature's variance for the rest of
    training, and hide all that it says. Values that are not rare, or not that far from
    the median, stay as they are, bit for bit.
    """
    few = max(_FEW, int(_RARE * len(x)))
    if len(x) < _MANY * few:
        return x
    centre = x.median(dim=0).values
    spread = (x - centre).abs().kthvalue(len(x) - few, dim=0).values
    reach = (_FAR * spread).clamp(min=_LEAST)
    return torch.where((x - centre).abs() <= reach, x, centre)

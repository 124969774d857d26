"""Odds of two kinds, fitted by logistic regression."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_RIDGE = 1e-3
_NEAREST = 1e-3
"""Distance below which all are equally near."""


def by_distance(distances: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 2"]:
    """Return what odds are a line of: the logarithm of the distance, and 1."""
    x = distances.clamp(min=_NEAREST).log()
    return torch.stack([x, torch.ones_like(x)], dim=-1)


def log_odds(
    x: Float[Tensor, "n input"], these: Bool[Tensor, "n"]
) -> Float[Tensor, "input"]:
    """Fit the logarithm of the odds that an input is of one kind.

    Args:
        x: inputs of both kinds, as often as they are met; the last is 1.
        these: true of the one kind.
    """
    count = these.sum()
    shares = ((count + 1) / (len(x) - count + 1)).log()
    start = torch.nn.functional.pad(shares[None], (x.shape[1] - 1, 0))
    if not 0 < count < len(x):
        return start
    return log_ratio(x[these], x[~these]) + start


def log_ratio(
    these: Float[Tensor, "n input"], others: Float[Tensor, "m input"]
) -> Float[Tensor, "input"]:
    """Fit the logarithm of the likelihood ratio of two kinds, by logistic regression.

    Both kinds weigh the same, so that the logit is the ratio.

    Args:
        these: inputs of one kind; the last is 1.
        others: inputs of the other.
    """
    x = torch.cat([these, others]).double()
    y = torch.cat([torch.ones(len(these)), torch.zeros(len(others))]).double()
    each = torch.where(y > 0, 0.5 / len(these), 0.5 / len(others))
    scale = torch.cat([x[:, :-1].std(0).clamp(min=1e-6), torch.ones(1).double()])
    x = x / scale
    weights = torch.zeros(x.shape[1], dtype=torch.float64)
    ridge = _RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    for _ in range(50):  # Newton's steps
        p = torch.sigmoid(x @ weights)
        gradient = x.T @ (each * (p - y)) + ridge @ weights
        curvature = (x * (each * p * (1 - p))[:, None]).T @ x + ridge
        weights = weights - torch.linalg.solve(curvature, gradient)
    return (weights / scale).float()

"""Classification by examples, as pure functions of arrays."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot


def accuracy(
    logits: Float[Tensor, "*batch way"], labels: Int[Tensor, "*batch"]
) -> Float[Tensor, ""]:
    """Return the share of examples whose greatest logit is that of their class."""
    return (logits.argmax(-1) == labels).double().mean()


def prototypes(
    features: Float[Tensor, "task example feature"],
    labels: Int[Tensor, "task example"],
) -> Float[Tensor, "task way feature"]:
    """Return the mean features of each class (Snell et al. 2017, 1703.05175, eq. 1).

    Raises:
        ValueError: if a task lacks a class that another has.
    """
    members = one_hot(labels).to(features.dtype)
    count = members.sum(1)
    if not count.all():
        raise ValueError(
            f"every task needs an example of each of the {count.shape[1]} classes"
        )
    return torch.einsum("tew,tef->twf", members, features) / count[..., None]


def nearness(
    features: Float[Tensor, "task example feature"],
    centres: Float[Tensor, "task way feature"],
) -> Float[Tensor, "task example way"]:
    """Return minus the squared distances, as logits (Snell et al. 2017, eq. 2)."""
    return -(features[:, :, None] - centres[:, None]).square().sum(-1)

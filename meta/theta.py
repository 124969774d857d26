"""All that a learner has learned: tensors by name, `group/name`."""

from collections.abc import Mapping

import torch
from torch import Tensor

Theta = dict[str, Tensor]
"""Flat names; the groups are the learner's own."""
Params = dict[str, Tensor]
"""The tensors of one module, by the module's names."""


def group(theta: Mapping[str, Tensor], name: str) -> Params:
    """The tensors of one group, without its prefix."""
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in theta.items() if k.startswith(prefix)}


def prefixed(name: str, tensors: Mapping[str, Tensor]) -> Theta:
    """Tensors as a group."""
    return {f"{name}/{k}": v for k, v in tensors.items()}


def on_device(theta: Theta, device: torch.device | str) -> Theta:
    """The same tensors on a device."""
    return {k: v.to(device) for k, v in theta.items()}


def module_params(module: torch.nn.Module) -> Params:
    """A module's initial parameters, detached copies."""
    return {k: v.detach().clone() for k, v in module.named_parameters()}

"""LoRA: low-rank changes to the linear layers of a network that is otherwise frozen.

Hu et al. 2021, arXiv 2106.09685. The changes are all that is left of the network's
parameters, so that a learner that adapts a module's parameters adapts them.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear


class LoraLinear(nn.Module):
    """A linear layer with a low-rank change: y = (W + scale * up @ down) x + b.

    W and b are buffers, shared by all tasks; `up` begins at 0, so that the layer begins
    as the one that it stands for.

    Args:
        layer: the one to change; its tensors are kept, not copied.
        rank: of the change.
        scale: multiplies the change.
    """

    frozen: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear, *, rank: int, scale: float) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.scale = scale
        weight, bias = layer.weight.detach(), layer.bias
        self.register_buffer("frozen", weight, persistent=False)
        kept = None if bias is None else bias.detach()  # pyright: ignore
        self.register_buffer("bias", kept, persistent=False)
        down = torch.randn(rank, self.in_features) / self.in_features**0.5
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(self.out_features, rank))

    @property
    def weight(self) -> Float[Tensor, "out in"]:
        """Return the changed weights, for code that reads them."""
        return self.frozen + self.scale * self.up @ self.down

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return the layer's outputs."""
        change = linear(linear(x, self.down), self.up)
        return linear(x, self.frozen, self.bias) + self.scale * change

    def merged(self) -> nn.Linear:
        """Return a plain layer that does the same."""
        plain = nn.Linear(
            self.in_features, self.out_features, bias=self.bias is not None
        )
        plain.weight = nn.Parameter(self.weight.detach().clone())
        if self.bias is not None:
            plain.bias = nn.Parameter(self.bias.detach().clone())
        return plain


def add_lora(
    module: nn.Module,
    targets: Sequence[str] = (),
    *,
    rank: int = 8,
    scale: float = 2.0,
) -> list[str]:
    """Give a module's linear layers low-rank changes, and freeze all else in it.

    Its parameters are then those of the changes alone; what they were before are
    buffers that `state_dict` leaves out. So `Maml(module, ...)` adapts the changes.

    Args:
        module: changed in place.
        targets: names of linear layers, or of what they lie in: `q_proj`, `layers.1`;
            empty: all linear layers.
        rank: of the changes.
        scale: multiplies the changes (alpha / rank in the paper).

    Returns:
        Names of the layers that have changes now.

    Raises:
        ValueError: if a target names no linear layer, there is none, the module has
            such changes already, or the rank is below 1.
    """
    if rank < 1:
        raise ValueError(f"need rank >= 1, got {rank}")
    if any(isinstance(m, LoraLinear) for m in module.modules()):
        raise ValueError(f"{type(module).__name__} has low-rank changes already")
    known = [name for name, m in module.named_modules() if isinstance(m, nn.Linear)]
    known = [name for name in known if name]
    found = {t: [n for n in known if f".{t}." in f".{n}."] for t in targets}
    for target, named in found.items():
        if not named:
            there = ", ".join(known) or "none"
            raise ValueError(f"no linear layer in {target!r}; there are: {there}")
    if not known:
        raise ValueError(f"{type(module).__name__} holds no linear layer to adapt")
    chosen = [n for n in known if not targets or any(n in f for f in found.values())]
    fresh = {n: LoraLinear(_linear(module, n), rank=rank, scale=scale) for n in chosen}
    for name, layer in fresh.items():
        module.set_submodule(name, layer)
    freeze(module, keep=fresh.values())
    return chosen


def merge_lora(module: nn.Module) -> None:
    """Put plain linear layers, which do the same, in the place of changed ones."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, LoraLinear):
            module.set_submodule(name, layer.merged())


def freeze(module: nn.Module, keep: Collection[nn.Module] = ()) -> None:
    """Turn a module's parameters into buffers that `state_dict` leaves out.

    Args:
        module: changed in place.
        keep: submodules whose parameters stay.
    """
    kept = {id(m) for whole in keep for m in whole.modules()}
    for part in module.modules():
        if id(part) not in kept:
            for name, value in list(part.named_parameters(recurse=False)):
                delattr(part, name)
                part.register_buffer(name, value.detach(), persistent=False)


def _linear(module: nn.Module, name: str) -> nn.Linear:
    found = module.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return found

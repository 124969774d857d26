"""A causal transformer that reads whole sequences at once, or a step at a time."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

_BASE = 10_000.0
"""Rotation of the slowest pair of features turns once in so many steps, times tau."""


class CausalTransformer(nn.Module):
    """Self-attention over the last steps (Vaswani et al. 2017, arXiv 1706.03762).

    Blocks normalise what they read, and positions rotate queries and keys (Su et al.
    2021, arXiv 2104.09864), so that any number of steps may have gone before. Its state
    holds each block's keys and values, each in the slot of its position modulo
    `context`, and after them the number of steps read.

    Args:
        features: width of what is read at each step.
        width: width of the blocks, and of what it returns.
        layers: number of blocks.
        heads: number of attention heads; each has an even share of the width.
        context: steps that one step attends to, itself the last.
        rng: where the weights are drawn from.
    """

    def __init__(
        self,
        features: int,
        width: int,
        *,
        layers: int,
        heads: int,
        context: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.width, self.context = width, context
        self.cache = (layers, 2, context, width)
        self.state_dim = layers * 2 * context * width + 1
        self.embed = _linear(features, width, 1.0, rng)
        blocks = [_Block(width, heads, rng) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "row time features"],
        valid: Float[Tensor, "row time"],
        state: Float[Tensor, "row state"] | None = None,
    ) -> tuple[Float[Tensor, "row time width"], Float[Tensor, "row state"]]:
        """Read sequences; see `Gru.forward`."""
        if state is None:
            before, kept = valid.new_zeros(len(x)).long(), None
        else:
            before, kept = state[:, -1].long(), state[:, :-1].unflatten(1, self.cache)
        at = before[:, None] + torch.arange(x.shape[1], device=x.device)
        seen = self._seen(at, before if kept is not None else None)
        total = before + valid.sum(1).long()
        keep = self._slots(total)
        y, grown = self.embed(x), list[Tensor]()
        for i, block in enumerate(self.blocks):
            old = None if kept is None else kept[:, i]
            y, pairs = block(y, at, seen, old)
            grown.append(_replaced(old, pairs, keep - before[:, None]))
        caches = torch.stack(grown, dim=1).flatten(1)
        return self.norm(y), torch.cat([caches, total[:, None].to(x.dtype)], dim=-1)

    def _slots(self, total: Int[Tensor, "row"]) -> Int[Tensor, "row slot"]:
        """Return the position that each slot holds after so many steps, or below 0."""
        slot = torch.arange(self.context, device=total.device)
        return total[:, None] - 1 - (total[:, None] - 1 - slot) % self.context

    def _seen(
        self, at: Int[Tensor, "row time"], before: Int[Tensor, "row"] | None
    ) -> Bool[Tensor, "row 1 time key"]:
        """Tell which keys a step attends to: the slots first, then the new steps."""
        keys = at
        if before is not None:
            keys = torch.cat([self._slots(before), at], dim=1)
        ago = at[:, :, None] - keys[:, None]
        return ((ago >= 0) & (ago < self.context) & (keys >= 0)[:, None])[:, None]


class _Block(nn.Module):
    """Attention and a layer of hidden units, each added to what it read."""

    def __init__(self, width: int, heads: int, rng: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.attend, self.think = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = _linear(width, 3 * width, 1.0, rng)
        self.answer = _linear(width, width, 0.5, rng)
        self.widen = _linear(width, 2 * width, 2**0.5, rng)
        self.narrow = _linear(2 * width, width, 0.5, rng)

    def forward(
        self,
        x: Float[Tensor, "row time width"],
        at: Int[Tensor, "row time"],
        seen: Bool[Tensor, "row 1 time key"],
        old: Float[Tensor, "row 2 slot width"] | None,
    ) -> tuple[Float[Tensor, "row time width"], Float[Tensor, "row 2 time width"]]:
        """Return what the block makes of its input, and its new keys and values."""
        query, key, value = self.ask(self.attend(x)).chunk(3, dim=-1)
        query, key = (_rotated(self._split(y), at) for y in (query, key))
        pairs = torch.stack([self._merge(key), value], dim=1)
        keys, values = (pairs if old is None else torch.cat([old, pairs], 2)).unbind(1)
        found = scaled_dot_product_attention(
            query, self._split(keys), self._split(values), attn_mask=seen
        )
        x = x + self.answer(self._merge(found))
        return x + self.narrow(gelu(self.widen(self.think(x)))), pairs

    def _split(
        self, x: Float[Tensor, "row time width"]
    ) -> Float[Tensor, "row head time share"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _merge(
        self, x: Float[Tensor, "row head time share"]
    ) -> Float[Tensor, "row time width"]:
        return x.transpose(1, 2).flatten(-2)


def _rotated(
    x: Float[Tensor, "row head time share"], at: Int[Tensor, "row time"]
) -> Float[Tensor, "row head time share"]:
    """Turn each pair of features by the position, each pair at its own speed."""
    half = x.shape[-1] // 2
    power = torch.arange(half, device=x.device, dtype=x.dtype) / half
    angle = (at[..., None] * _BASE**-power)[:, None]
    first, second = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _replaced(
    old: Float[Tensor, "row 2 slot width"] | None,
    new: Float[Tensor, "row 2 time width"],
    index: Int[Tensor, "row slot"],
) -> Float[Tensor, "row 2 slot width"]:
    """Put into each slot the new step of an index; below 0 it stays as it was."""
    slot = index.clamp(min=0)[:, None, :, None].expand(-1, 2, -1, new.shape[-1])
    found = new.gather(2, slot)
    fresh = (index >= 0)[:, None, :, None]
    return torch.where(fresh, found, 0.0 if old is None else old)


def _linear(features: int, width: int, gain: float, rng: torch.Generator) -> nn.Linear:
    layer = nn.Linear(features, width)
    nn.init.orthogonal_(layer.weight, gain, generator=rng)
    nn.init.zeros_(layer.bias)
    return layer

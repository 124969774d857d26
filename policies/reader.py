"""Features of texts, by the upper layers of a language model that read them before."""

from collections.abc import Iterable
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize


class Layer(Protocol):
    """A layer of a transformer, a module."""

    def __call__(
        self,
        hidden: Float[Tensor, "text token feature"],
        real: Bool[Tensor, "text token"],
    ) -> Float[Tensor, "text token feature"]:
        """Return the hidden states above the layer.

        Args:
            hidden: those below it.
            real: False for what merely fills a text up.
        """
        ...


class Reader(nn.Module):
    """Maps numbers of texts to features, from hidden states that are known already.

    The lower layers of a frozen model say the same of a text whatever the task is, so
    they are asked once. What is left is few layers that adapt: it is called with
    numbers, and may be the first part of any module that learners adapt.

    Features are the mean over a text's tokens of what the last layer gives, each token
    centred and of length 1, scaled to length `length`.

    Args:
        hidden: hidden states below the first of the layers, zero past a text's end.
        count: tokens of each text.
        layers: from the lowest.
        length: length of the features.
    """

    hidden: Tensor
    count: Tensor

    def __init__(
        self,
        hidden: Float[Tensor, "text token feature"],
        count: Int[Tensor, "text"],
        layers: Iterable[nn.Module],
        *,
        length: float = 8.0,
    ) -> None:
        super().__init__()
        self.register_buffer("hidden", hidden, persistent=False)
        self.register_buffer("count", count, persistent=False)
        self.layers = nn.ModuleList(layers)
        self.width = hidden.shape[-1]
        self.length = length

    def forward(self, text: Int[Tensor, "example"]) -> Float[Tensor, "example feature"]:
        """Return the features of some texts, by their numbers."""
        hidden, count = self.hidden[text], self.count[text]
        real = torch.arange(hidden.shape[-2], device=text.device) < count[:, None]
        for layer in self.layers:
            hidden = layer(hidden, real)
        centred = hidden - hidden.mean(-1, keepdim=True)
        tokens = normalize(centred, dim=-1) * real[..., None]
        return self.length * normalize(tokens.sum(-2), dim=-1)

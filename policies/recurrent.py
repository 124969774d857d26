"""A recurrent memory that reads whole sequences at once, or a step at a time."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Gru(nn.Module):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078), one layer.

    Args:
        features: width of what is read at each step.
        width: units, which are also what it returns.
        rng: where the weights are drawn from.
    """

    def __init__(self, features: int, width: int, rng: torch.Generator) -> None:
        super().__init__()
        self.width = self.state_dim = width
        self.gru = nn.GRU(features, width, batch_first=True)
        for name, value in self.gru.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(value)
                continue
            for gate in value.detach().split(width):
                nn.init.orthogonal_(gate, generator=rng)

    def forward(
        self,
        x: Float[Tensor, "row time features"],
        valid: Float[Tensor, "row time"],
        state: Float[Tensor, "row state"] | None = None,
    ) -> tuple[Float[Tensor, "row time width"], Float[Tensor, "row state"]]:
        """Read sequences.

        Args:
            x: the sequences.
            valid: 1 for each sequence's steps, then 0 for the rest of the row.
            state: what was read before; nothing by default.

        Returns:
            The memory at each step, which has read that step, and the state after all
            valid ones.
        """
        if state is None:
            state = x.new_zeros(len(x), self.width)
        out, _ = self.gru(x, state[None].contiguous())
        states = torch.cat([state[:, None], out], dim=1)
        last = valid.sum(1).long()[:, None, None].expand(-1, 1, self.width)
        return out, states.gather(1, last)[:, 0]

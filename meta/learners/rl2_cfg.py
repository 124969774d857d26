"""Settings of RL²."""

from dataclasses import dataclass
from typing import Literal, get_args

from meta.bounds import check_bounds
from meta.learners.maml_cfg import MAX_EPOCHS, MAX_INNER_STEPS

Memory = Literal["gru", "transformer"]
MAX_UNITS, MAX_LAYERS, MAX_CONTEXT = 4096, 32, 16_384
"""More are a slip of the keyboard, and would not fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rl2Cfg:
    """Settings of a policy that remembers its trial, and of its training."""

    memory: Memory = "gru"
    """Network that remembers: recurrent units, or attention over the last steps."""
    inner_steps: int = 5
    """Episodes that a trial of training has before its last."""
    width: int = 128
    """Width of the memory: recurrent units, or features of each step attended to."""
    layers: int = 2
    """Blocks of a transformer."""
    heads: int = 4
    """Attention heads of a transformer, among which the width is shared out."""
    context: int = 512
    """Steps that a transformer attends to, however long the trial."""
    rate: float = 3e-3
    """Step size of Adam at the first iteration; it falls linearly to 0 at the last."""
    epochs: int = 12
    """Times that the experience of an iteration is gone through, at most."""
    minibatches: int = 1
    """Steps of Adam each time, on as many shares of the trials. A share of few trials
    tells of these trials more than of the next."""
    clip: float = 0.2
    """PPO's: how far the ratio of the loss may leave 1."""
    value_weight: float = 0.5
    """Weight of the value's squared error, in standard deviations of the return."""
    max_kl: float = 0.05
    """An iteration's epochs end once the policy has moved this far in one of them."""
    max_grad_norm: float = 1.0
    """Longer gradients are shortened to it."""
    discount: float = 0.99
    """Per step, across the episodes of a trial: it does not begin anew with each."""
    trace: float = 0.95
    """lambda of generalised advantage estimation, across episodes as well."""

    def __post_init__(self) -> None:
        """Refuse counts, rates and names that cannot work."""
        if self.memory not in get_args(Memory):
            raise ValueError(
                f"unknown memory {self.memory!r}; known: {', '.join(get_args(Memory))}"
            )
        check_bounds(
            self,
            f"1 <= inner_steps <= {MAX_INNER_STEPS}",
            f"1 <= width <= {MAX_UNITS:,}",
            f"1 <= layers <= {MAX_LAYERS}",
            f"1 <= heads <= {MAX_UNITS:,}",
            f"1 <= context <= {MAX_CONTEXT:,}",
            f"1 <= epochs <= {MAX_EPOCHS:,}",
            f"1 <= minibatches <= {MAX_EPOCHS:,}",
            *("0 < discount <= 1", "0 <= trace <= 1", "value_weight >= 0"),
            *("rate > 0", "clip > 0", "max_grad_norm > 0"),
        )
        if self.memory == "transformer" and self.width % (2 * self.heads):
            raise ValueError(
                "the heads of a transformer share its width out evenly, in pairs: "
                f"width must be a multiple of {2 * self.heads} for {self.heads} heads, "
                f"got {self.width}"
            )

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """It reads every episode of its trial."""
        return ()

"""The inner loop: a few steps of a differentiable optimiser on any loss.

Everything here is a pure function of tensors, so that `torch.func.vmap` runs many tasks
at once and autograd differentiates through the steps:

    phi_{j+1} = phi_j - rate * direction(grad L(phi_j)),   j = 0, 1, ...

(MAML, Finn et al. 2017, arXiv 1703.03400, eq. 1). An update rule says what the
direction is.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor
from torch.func import grad_and_value

from meta.theta import Params

State = tuple[Params, ...]
"""Running sums of a rule, each as large as the parameters."""
Batch = TypeVar("Batch")


class Seen(NamedTuple):
    """All that a rule may read at a step: most read the gradients alone."""

    params: Params
    """Parameters before the step, by name."""
    gradients: Params
    """Derivatives of the loss, by the parameters' names."""
    loss: Tensor
    """Loss before the step, a scalar."""
    step: int
    """Number of this step, from 1."""


@runtime_checkable
class Rule(Protocol):
    """An optimiser as a pure function: turns gradients into directions to descend."""

    @property
    def rate(self) -> float:
        """Step size, the initial one where step sizes are learned."""
        ...

    def begin(self, params: Params) -> State:
        """Return the state before the first step."""
        ...

    def direction(self, seen: Seen, state: State) -> tuple[Params, State]:
        """Return what the step size multiplies, and the new state.

        Args:
            seen: parameters, gradients, loss and number of the step.
            state: as the step before left it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sgd:
    """Gradient descent, as `torch.optim.SGD`.

    Raises:
        ValueError: if the rate is negative, or the momentum is outside [0, 1).
    """

    rate: float
    """Step size."""
    momentum: float = 0.0
    """Share of the last direction that is kept."""

    def __post_init__(self) -> None:
        """Refuse rates and momenta that cannot work."""
        if not (self.rate >= 0 and 0 <= self.momentum < 1):
            raise ValueError(
                f"need rate >= 0 and 0 <= momentum < 1, got {self.rate}, "
                f"{self.momentum}"
            )

    def begin(self, params: Params) -> State:
        """Return no velocity."""
        return (_zeros(params),) if self.momentum else ()

    def direction(self, seen: Seen, state: State) -> tuple[Params, State]:
        """Return the gradients plus what is kept of the last direction."""
        if not self.momentum:
            return seen.gradients, state
        (last,) = state
        kept = {k: self.momentum * last[k] + g for k, g in seen.gradients.items()}
        return kept, (kept,)


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1), as `torch.optim.Adam`.

    Its second derivatives are as large as 1 / eps where a gradient is nearly zero: a
    meta-gradient through many steps may want a larger `eps`, or `first_order`.

    Raises:
        ValueError: if the rate is negative, a beta is outside [0, 1), or eps is not
            positive.
    """

    rate: float
    """Step size."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running mean of gradients, and of their squares, per step."""
    eps: float = 1e-8
    """Term that keeps the division finite."""

    def __post_init__(self) -> None:
        """Refuse rates and decays that cannot work."""
        if not (
            self.rate >= 0
            and all(0 <= beta < 1 for beta in self.betas)
            and self.eps > 0
        ):
            raise ValueError(
                f"need rate >= 0, betas in [0, 1) and eps > 0, got {self.rate}, "
                f"{self.betas}, {self.eps}"
            )

    def begin(self, params: Params) -> State:
        """Return no mean and no squares."""
        return _zeros(params), _zeros(params)

    def direction(self, seen: Seen, state: State) -> tuple[Params, State]:
        """Return the mean gradients over the roots of the mean squares."""
        (decay, slow), (mean, square), gradients = self.betas, state, seen.gradients
        mean = {k: decay * mean[k] + (1 - decay) * g for k, g in gradients.items()}
        square = {
            k: slow * square[k] + (1 - slow) * g * g for k, g in gradients.items()
        }
        whole, root = 1 - decay**seen.step, math.sqrt(1 - slow**seen.step)
        directions = {
            k: m / whole / (safe_sqrt(square[k]) / root + self.eps)
            for k, m in mean.items()
        }
        return directions, (mean, square)


def inner_loop(
    loss: Callable[[Params, Batch], Tensor],
    params: Params,
    batches: Sequence[Batch],
    rule: Rule,
    *,
    rates: Mapping[str, Tensor] | None = None,
    first_order: bool = False,
) -> Params:
    """Adapt the parameters of one task, one step on each batch.

    The result is differentiable with respect to `params`, `rates` and whatever else the
    loss reads. Wrap it in `torch.func.vmap` for many tasks.

    Args:
        loss: maps parameters and a batch to a scalar.
        params: tensors by name, of any shapes; all of them are adapted.
        batches: one per step; to use the same at every step, `[batch] * steps`.
        rule: turns gradients into directions, such as `Sgd(0.01)`.
        rates: step sizes by the parameters' names, which broadcast against them, in
            place of `rule.rate` (Meta-SGD, Li et al. 2017, arXiv 1707.09835, eq. 3).
        first_order: take the gradients as constants (FOMAML, Finn et al. 2017, section
            5.2).

    Raises:
        RuntimeError: torch's own, if the loss is no scalar, or writes into a tensor
            that is not one of `params`, such as a module's buffer.
    """
    steps = inner_steps(
        loss, params, batches, rule, rates=rates, first_order=first_order
    )
    last = deque(steps, maxlen=1)
    return last[0] if last else params


def inner_steps(
    loss: Callable[[Params, Batch], Tensor],
    params: Params,
    batches: Sequence[Batch],
    rule: Rule,
    *,
    rates: Mapping[str, Tensor] | None = None,
    first_order: bool = False,
) -> Iterator[Params]:
    """Yield the parameters of one task after each step of `inner_loop`."""
    state = rule.begin(params)
    for step, batch in enumerate(batches, start=1):
        gradients, value = grad_and_value(loss)(params, batch)
        if first_order:
            gradients = {k: g.detach() for k, g in gradients.items()}
            value = value.detach()
        seen = Seen(params, gradients, value, step)
        directions, state = rule.direction(seen, state)
        params = {
            k: v - (rule.rate if rates is None else rates[k]) * directions[k]
            for k, v in params.items()
        }
        yield params


def _zeros(params: Params) -> Params:
    return {k: torch.zeros_like(v) for k, v in params.items()}


def safe_sqrt(x: Tensor) -> Tensor:
    """Return the root, with derivative 0 instead of infinity at 0.

    A unit that is switched off has a gradient of exactly 0, at every step.
    """
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)

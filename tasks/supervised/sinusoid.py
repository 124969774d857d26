"""Sine waves: MAML's regression tasks (Finn et al. 2017, arXiv 1703.03400, 5.1)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.supervised.contract import Examples, Shots, SupervisedFamily

AMPLITUDE = (0.1, 5.0)
PHASE = (0.0, math.pi)  # [rad]
X = (-5.0, 5.0)


class Sinusoid(SupervisedFamily):
    """Regress y = amplitude * sin(x - phase) on a few points.

    A task is an amplitude from U[0.1, 5] and a phase from U[0, pi]; x is from U[-5, 5].
    Inputs and targets have one feature. No task comes twice, so that `held-out` differs
    from `train` by its generator alone.
    """

    name = "sinusoid"

    def draw(
        self,
        split: str,
        tasks: int,
        rng: torch.Generator,
        *,
        shots: int,
        queries: int,
    ) -> Shots:
        """Draw waves, and points on each."""
        amplitude = _uniform(AMPLITUDE, (tasks, 1, 1), rng)
        phase = _uniform(PHASE, (tasks, 1, 1), rng)
        x = _uniform(X, (tasks, shots + queries, 1), rng)
        y = amplitude * torch.sin(x - phase)
        return Shots(
            Examples(x[:, :shots], y[:, :shots]), Examples(x[:, shots:], y[:, shots:])
        )


def _uniform(
    bounds: tuple[float, float], shape: tuple[int, ...], rng: torch.Generator
) -> Float[Tensor, "..."]:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=rng)

"""Random numbers from several whole numbers: a seed, and what they are for."""

import numpy as np
import torch


def derived_seed(*entropy: int) -> int:
    """Return a seed that depends on all of the numbers, each at least 0."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def derived_generator(
    *entropy: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a generator that depends on all of the numbers."""
    return torch.Generator(device).manual_seed(derived_seed(*entropy))

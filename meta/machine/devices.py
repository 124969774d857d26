"""Devices and torch's threads."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from robots.sim.simulator import check_device


def pick_device(name: str) -> str:
    """Return the device that `auto` stands for: cuda where torch finds one, else cpu.

    Raises:
        ValueError: for a device that is not here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"a device is cpu, cuda or auto, got {name!r}")
    return str(check_device(name))


@contextmanager
def simulator_threads() -> Generator[None]:
    """Use one torch thread within, so that torch and the simulator do not fight."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Compile the kernels of one family into Warp's cache, where other processes find them.

    python -m benchmarks.gpu_session.kernels DEVICE FAMILY FILE

How long that took is written as JSON. Kernels do not depend on the number of worlds.

DEVICE can also be the architecture of a GPU that is not here, such as sm_90: Warp
brings the compiler, and WARP_CACHE_PATH can then be taken along. What is launched there
is found by letting MuJoCo Warp believe that the CPU is a GPU, and launching nothing; a
kernel that is overlooked is compiled there after all.
"""

import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import mujoco_warp as mjw
import warp as wp

from robots.sim.gpu import WarpSimulator
from tasks.registry import make_family
from tasks.simulators import probe_pools

_GPU = SimpleNamespace(is_cuda=True, is_cpu=False, sm_count=132, alias="cuda:0")
_BLOCK = 256
"""Threads of a block where a launch does not say."""
Variant = tuple[wp.Module, int]
"""A module of kernels, and the size of the blocks that they are compiled for."""


class Launches(WarpSimulator):
    """A simulator that cannot step: it only finds out what it would launch."""

    def _capture(self) -> None:
        with believed() as self.variants:
            mjw.reset_data(self._m, self._d, self._chosen)
            self._refresh()
            self._period()


@contextmanager
def believed() -> Generator[set[Variant]]:
    """Let, within, the current device pass for a GPU, and only note launches."""
    found: set[Variant] = set()

    def device(_: object = None) -> SimpleNamespace:
        return _GPU

    def note(
        kernel: wp.Kernel, *_: object, block_dim: int = _BLOCK, **__: object
    ) -> None:
        found.add((kernel.module, block_dim))

    def once(_: object, while_body: Callable[..., None], **values: object) -> None:
        while_body(**values)

    with (
        patch.object(wp, "get_device", device),
        patch.object(wp, "launch", note),
        patch.object(wp, "launch_tiled", note),
        patch.object(wp, "capture_while", once),
    ):
        yield found


def compile_kernels(name: str, device: str) -> int:
    """Compile what a family launches; return the number of modules, 0 if not known.

    Args:
        name: of the family.
        device: one that is here, or sm_NUMBER.
    """
    ahead = device.startswith("sm_")
    family = make_family(name, "cpu" if ahead else device)
    kind = Launches if ahead else WarpSimulator
    simulator = kind(
        family.model,
        worlds=8,
        substeps=family.substeps,
        pools=probe_pools(family),
        fields=family.fields,
        device=family.device,
    )
    if not isinstance(simulator, Launches):
        return 0
    for module, size in simulator.variants:
        module.options["block_dim"] = size
        wp.compile_aot_module(module, arch=int(device.removeprefix("sm_")))
    return len(simulator.variants)


if __name__ == "__main__":
    start = time.perf_counter()
    modules = compile_kernels(sys.argv[2], sys.argv[1])
    seconds = time.perf_counter() - start
    found = {"seconds": seconds} | ({"modules": modules} if modules else {})
    Path(sys.argv[3]).write_text(json.dumps(found))

"""Helpers that MuJoCo Warp leaves to its user: a device, graphs, and a kernel."""

# kernels are written in Warp's language, which type checkers take for Python
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportUntypedFunctionDecorator=false

import gc
from collections.abc import Callable
from typing import no_type_check

import torch
import warp as wp

from robots.sim.simulator import check_device

wp.config.log_level = wp.LOG_WARNING
_LIMIT = 1e10  # a state beyond it counts as diverged, as in MuJoCo (mjMAXVAL)


def find_device(device: torch.device) -> wp.Device:
    """Find Warp's name for a torch device.

    Raises:
        ValueError: if there is none, or its driver is too old.
    """
    wp.init()
    name = str(check_device(device))
    if name == "cuda":
        # torch's current one, which need not be Warp's
        name = f"cuda:{torch.cuda.current_device()}"
    found = wp.get_device(name)
    if found.is_cuda and not wp.is_conditional_graph_supported():
        raise ValueError(
            f"device {device}: Warp's graphs need a driver for CUDA 12.4 or later"
        )
    return found


def captured(device: wp.Device, call: Callable[[], None]) -> Callable[[], None]:
    """Capture a call on a device as one graph; it runs once here, to compile."""
    collecting = gc.isenabled()
    gc.disable()  # a graph that dies while another is captured would be recorded
    try:
        with wp.ScopedDevice(device):
            call()
            with wp.ScopedCapture(device) as capture:
                call()
    finally:
        if collecting:
            gc.enable()
    graph = capture.graph
    assert graph is not None
    return lambda: wp.capture_launch(graph)


@wp.func
@no_type_check
def _sane(value: float) -> bool:
    """Tell whether a number is finite and within the limit; NaN compares as neither."""
    return value < _LIMIT and value > -_LIMIT


@wp.kernel(enable_backward=False)
@no_type_check
def freeze(
    dropped: int,
    overflow: wp.array[int],
    ctrl: wp.array2d[float],
    time0: wp.array[float],
    qpos0: wp.array2d[float],
    qvel0: wp.array2d[float],
    act0: wp.array2d[float],
    warmstart0: wp.array2d[float],
    time: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    act: wp.array2d[float],
    warmstart: wp.array2d[float],
    faulty: wp.array[bool],
) -> None:
    """Put worlds with a fault, old or new, back to where the period began.

    A control can be bad and the state sane: the solver may then not have moved.
    """
    world = wp.tid()
    bad = faulty[world] or (overflow[world] & dropped) != 0
    for i in range(ctrl.shape[1]):
        bad = bad or not _sane(ctrl[world, i])
    for i in range(qpos.shape[1]):
        bad = bad or not _sane(qpos[world, i])
    for i in range(qvel.shape[1]):
        bad = bad or not _sane(qvel[world, i])
        bad = bad or not _sane(warmstart[world, i])
    for i in range(act.shape[1]):
        bad = bad or not _sane(act[world, i])
    faulty[world] = bad
    if bad:
        time[world] = time0[world]
        for i in range(qpos.shape[1]):
            qpos[world, i] = qpos0[world, i]
        for i in range(qvel.shape[1]):
            qvel[world, i] = qvel0[world, i]
            warmstart[world, i] = warmstart0[world, i]
        for i in range(act.shape[1]):
            act[world, i] = act0[world, i]


@wp.kernel(enable_backward=False)
@no_type_check
def move_columns(
    columns: wp.array[int],
    left_out: wp.array[bool],
    source: wp.array2d[float],
    target: wp.array2d[float],
) -> None:
    """Copy some columns of every world's row, but of worlds that are left out."""
    world, i = wp.tid()
    if not left_out[world]:
        target[world, columns[i]] = source[world, columns[i]]

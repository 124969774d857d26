"""Where a training iteration spends its time: a timeline to look at, and its sum."""

from collections.abc import Callable
from pathlib import Path

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

_ROWS = 15
_WARP = "_cuda_kernel_forward"
"""In the names of Warp's kernels: the physics."""

Part = tuple[str, int, float]
"""What ran, how often, and how long it took [us]."""


def record(call: Callable[[], object], device: str, file: Path) -> Table:
    """Run something once, write its timeline, and sum it up.

    Args:
        call: what to run; it should have run before.
        device: "cuda" sums up the GPU's kernels, "cpu" torch's calls.
        file: a trace that Perfetto and Chrome open; its name ends in .json or .json.gz.
    """
    cuda = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as found:
        call()
        if cuda:
            torch.cuda.synchronize(device)
    found.export_chrome_trace(str(file))
    spans = [e.time_range for e in found.events() or ()]
    total = max(s.end for s in spans) - min(s.start for s in spans)
    where = "CUDA" if cuda else "CPU"
    parts: list[Part] = [
        (e.key, e.count, e.self_device_time_total if cuda else e.self_cpu_time_total)
        for e in found.key_averages()
        if e.device_type.name == where
    ]
    return summary(parts, total)


def summary(parts: list[Part], total: float) -> Table:
    """The longest parts of a total [us], and what is left."""
    parts = sorted(parts, key=lambda part: -part[2])
    physics = sum(part[2] for part in parts if _WARP in part[0])
    copies = sum(part[1] for part in parts if "DtoH" in part[0])
    table = Table(
        caption=f"of {total / 1e3:,.1f} ms; Warp {physics / total:.1%}; "
        f"copied to the host {copies} times"
    )
    table.add_column("what", max_width=60, overflow="ellipsis", no_wrap=True)
    for name in ("calls", "ms", "share"):
        table.add_column(name, justify="right")
    others = parts[_ROWS:]
    known = sum(part[2] for part in parts)
    rows = [
        *parts[:_ROWS],
        ("others", sum(p[1] for p in others), sum(p[2] for p in others)),
        ("none of these", 0, total - known),
    ]
    for what, calls, spent in rows:
        table.add_row(what, f"{calls:,}", f"{spent / 1e3:,.1f}", f"{spent / total:.1%}")
    return table

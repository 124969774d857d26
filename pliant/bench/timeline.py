"""Timelines of a training iteration, and a summary of where its time went."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from meta.machine.files import replacing

_ROWS = 15
_WARP = "_cuda_kernel_forward"
"""Part of the names of Warp's kernels, which are the physics."""

Part = tuple[str, int, float]
"""Name of a kernel or call, number of calls, and time in all [us]."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time of one call, by what took it."""

    parts: tuple[Part, ...]
    """The longest first."""
    total: float
    """[us]; the parts need not fill it."""

    @property
    def physics(self) -> float:
        """Share of the time that Warp's kernels took."""
        return sum(part[2] for part in self.parts if _WARP in part[0]) / self.total

    @property
    def copies(self) -> int:
        """Number of copies to the host."""
        return sum(part[1] for part in self.parts if "DtoH" in part[0])

    def rows(self) -> list[Part]:
        """Return the longest parts, the others as one, and the rest of the total."""
        others = self.parts[_ROWS:]
        left = self.total - sum(part[2] for part in self.parts)
        return [
            *self.parts[:_ROWS],
            ("others", sum(p[1] for p in others), sum(p[2] for p in others)),
            ("none of these", 0, left),
        ]

    def table(self) -> Table:
        """Return the rows as a table for a terminal."""
        table = Table(
            caption=f"of {self.total / 1e3:,.1f} ms; Warp {self.physics:.1%}; "
            f"copied to the host {self.copies} times"
        )
        table.add_column("what", max_width=60, overflow="ellipsis", no_wrap=True)
        for name in ("calls", "ms", "share"):
            table.add_column(name, justify="right")
        for what, calls, spent in self.rows():
            share = f"{spent / self.total:.1%}"
            table.add_row(what, f"{calls:,}", f"{spent / 1e3:,.1f}", share)
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the rows for JSON, with times in milliseconds."""
        rows = [
            {"what": what, "calls": calls, "ms": spent / 1e3}
            for what, calls, spent in self.rows()
        ]
        return {
            "ms": self.total / 1e3,
            "physics": self.physics,
            "copies": self.copies,
            "rows": rows,
        }


def record(call: Callable[[], object], device: str, file: Path) -> Timeline:
    """Run something once, write its timeline, and sum it up.

    Args:
        call: the iteration; it should have run before, to be compiled.
        device: "cuda" sums up the GPU's kernels, "cpu" torch's calls.
        file: a trace that Perfetto and Chrome open; its name ends in .json or .json.gz.
    """
    cuda = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as found:
        call()
        if cuda:
            torch.cuda.synchronize(device)
    with replacing(file) as partial:
        found.export_chrome_trace(str(partial))
    spans = [e.time_range for e in found.events() or ()]
    total = max(s.end for s in spans) - min(s.start for s in spans)
    where = "CUDA" if cuda else "CPU"
    parts: list[Part] = [
        (e.key, e.count, e.self_device_time_total if cuda else e.self_cpu_time_total)
        for e in found.key_averages()
        if e.device_type.name == where
    ]
    return Timeline(tuple(sorted(parts, key=lambda part: -part[2])), total)

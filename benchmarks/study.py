"""Studies: the options that they share, raw numbers that are kept, and estimates."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from meta.evaluation.statistics import Estimate


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Options of a study whose raw numbers are kept."""

    threads: int = 1
    """Simulator threads."""
    out: Path | None = None
    """Write the raw numbers here."""
    again: tuple[Path, ...] = ()
    """Print the raw numbers in these files; measure nothing."""

    def studies(self, study: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the raw numbers of earlier studies; or measure, keep and return."""
        torch.set_num_threads(1)
        if self.again:
            return [json.loads(path.read_text()) for path in self.again]
        raw = study()
        if self.out:
            self.out.write_text(json.dumps(raw))
        return [raw]


def text_of(e: Estimate) -> str:
    """Return an estimate with its interval."""
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"

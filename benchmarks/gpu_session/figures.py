"""Figures, read from the files that the steps of a session leave."""

import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

OVER = 5
"""Iterations that a return is averaged over: one alone is too noisy."""


def stored(file: Path) -> dict[str, Any]:
    """A file's JSON; nothing where it has not been written."""
    return json.loads(file.read_text()) if file.exists() else {}


def by_family(files: Mapping[str, Path]) -> dict[str, Any]:
    """The JSON of several files, those that have not been written left out."""
    return {name: stored(file) for name, file in files.items() if file.exists()}


def size(file: Path) -> dict[str, Any]:
    """Return a file's place and length."""
    return {"file": file.name, "bytes": file.stat().st_size} if file.exists() else {}


def parity(file: Path) -> dict[str, Any]:
    """Counts, the names of what failed, and deviations beside their tolerances.

    Args:
        file: pytest's report, whose tests say by properties how far they were off.
    """
    if not file.exists():
        return {}
    cases = list(ElementTree.parse(file).iter("testcase"))
    bad = [
        c for c in cases if c.find("failure") is not None or c.find("error") is not None
    ]
    skipped = [c for c in cases if c.find("skipped") is not None]
    deviations = {
        case.get("name", ""): {
            p.get("name", ""): float(p.get("value", "nan"))
            for p in case.iter("property")
        }
        for case in cases
        if case.find("properties") is not None
    }
    return {
        "tests": len(cases),
        "passed": len(cases) - len(bad) - len(skipped),
        "failed": [case.get("name") for case in bad],
        "skipped": len(skipped),
        "deviations": deviations,
    }


def training(run: Path, target: float | None = None) -> dict[str, Any]:
    """Return the progress of a training run, and when it reached a target, if it did.

    Seconds are of its iterations alone: no start, no compiling.

    Args:
        run: its folder.
        target: of the return after adapting, mean of `OVER` iterations.
    """
    rows, clock = _lines(run / "metrics.jsonl"), _lines(run / "timing.jsonl")
    if not rows or not clock:
        return {}
    settings = stored(run / "config.json")
    seconds = list(accumulate(row["seconds"] for row in clock))
    last = rows[-OVER:]
    found = {
        "worlds": settings.get("tasks", 0) * settings.get("episodes", 0),
        "iterations": rows[-1]["iteration"],
        "of": settings.get("iterations"),
        "env_steps": rows[-1]["env_steps"],
        "seconds": seconds[-1],
        "env_steps_per_s": rows[-1]["env_steps"] / seconds[-1],
        "faults": sum(row["faults"] for row in rows),
    }
    for name in ("return_pre", "return_post", "success_post"):
        found[name] = sum(row[name] for row in last) / len(last)
    if target is not None:
        first = _first(rows, target)
        found["target"] = target
        found["reached"] = None
        if first is not None and first < len(seconds):
            found["reached"] = {
                "iteration": rows[first]["iteration"],
                "env_steps": rows[first]["env_steps"],
                "seconds": seconds[first],
            }
    return found


def reached(run: Path, target: float) -> bool:
    """Return whether a training run has reached a target, as `training` counts it."""
    return _first(_lines(run / "metrics.jsonl"), target) is not None


def _first(rows: list[dict[str, Any]], target: float) -> int | None:
    """The row with which the mean of the last few is first up to the target."""
    returns = [row["return_post"] for row in rows]
    for end in range(OVER, len(returns) + 1):
        if sum(returns[end - OVER : end]) / OVER >= target:
            return end - 1
    return None


def _lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that may be under way."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]

"""Versions and machine: they decide a run's numbers beside its configuration."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

PACKAGES = ("pliant", "torch", "mujoco", "numpy")
_DECIDE = ("torch_threads", "torch", "mujoco", "numpy")
"""Things that decide a run's last digits: OMP_NUM_THREADS first, and versions."""


def versions() -> dict[str, str | bool | int | None]:
    """Versions, machine and, in a git checkout, its revision."""
    root = Path(__file__).resolve().parents[2]
    known = (root / ".git").exists()
    status = _git(root, "status", "--porcelain") if known else None
    found: dict[str, str | bool | int | None] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "git_revision": _git(root, "rev-parse", "HEAD") if known else None,
        "git_dirty": None if status is None else bool(status),
    }
    return found | {name: package_version(name) for name in PACKAGES}


def difference(before: object, now: Mapping[str, object]) -> str:
    """Return what changes a run's numbers, though its settings are the same.

    Args:
        before: an earlier start of the run, out of its file.
        now: this one.

    Returns:
        A line for people; nothing if nothing has changed.
    """
    then: Mapping[str, object] = before if isinstance(before, dict) else {}
    other = [n for n in _DECIDE if n in then and then[n] != now[n]]
    if not other:
        return ""
    changes = ", ".join(f"{n} {then[n]}, now {now[n]}" for n in other)
    return f"the numbers will differ from those of an uninterrupted run: {changes}"


def package_version(name: str) -> str | None:
    """The installed version of a distribution, if it is installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(
            # cut off while it brings its index up to date, git would leave a lock
            ["git", "--no-optional-locks", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

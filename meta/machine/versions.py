"""Versions and machine: they decide a run's numbers beside its configuration."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("pliant", "torch", "mujoco", "numpy")


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


def package_version(name: str) -> str | None:
    """The installed version of a distribution, if it is installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

"""The folder of a run: its files, and whether a run may be begun or continued there."""

import os
from pathlib import Path

from meta.machine.files import read_bytes
from meta.training.trained import CHECKPOINT
from tasks.strict_json import BROKEN, parse_json

CONFIG, VERSIONS = "config.json", "versions.json"
METRICS, TIMING = "metrics.jsonl", "timing.jsonl"
OWN = (CONFIG, VERSIONS, METRICS, TIMING, CHECKPOINT)
"""Names of the files of a run, but for those of TensorBoard."""


def begun(folder: Path) -> bool:
    """Return whether a folder holds a run, however far it came.

    A `config.json` without a checkpoint may be somebody else's.
    """
    if (folder / CONFIG).exists() and not (folder / CHECKPOINT).exists():
        return _family_of(folder) is not None
    return any((folder / name).exists() for name in OWN)


def check_family(folder: Path, family: str) -> None:
    """Refuse to continue a run of another family, whose name may be of no help here.

    Raises:
        ValueError: saying how the run is continued.
    """
    its = _family_of(folder) if (folder / CONFIG).exists() else None
    if its not in (None, family):
        raise ValueError(
            f"the run in {folder} is of {its}, not {family}: it is continued by pliant "
            f"train {its} --out {folder} --resume"
        )


def _family_of(folder: Path) -> str | None:
    """Return the family of a run's configuration; None if it is no run's."""
    try:
        raw = parse_json(read_bytes(folder / CONFIG).decode())
    except BROKEN:
        return None
    run = isinstance(raw, dict) and {"family", "method", "learner"} <= set(raw)
    return str(raw["family"]) if run else None


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that a run cannot be begun or continued in.

    Raises:
        ValueError: saying which option helps.
    """
    if resume and overwrite:
        raise ValueError("--resume and --overwrite exclude each other")
    if folder.is_file():
        raise ValueError(
            f"{folder} is a file, and a run is kept in a folder: name that of the run "
            "(--out); a file alone cannot be trained on"
        )
    there = begun(folder)
    if resume and not there:
        raise ValueError(f"no run to resume in {folder}: leave out --resume")
    if not there and folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and no run: give another folder")
    if there and not resume and not overwrite:
        raise ValueError(
            f"{folder} holds a run already: --resume continues it, --overwrite "
            "replaces it, --out gives another folder"
        )


def clear(folder: Path) -> None:
    """Remove an earlier run's files, and nothing else that a user put there."""
    for name in {*OWN} - {METRICS}:
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()


def discard(folder: Path, *, made: bool) -> None:
    """Remove a run of which nothing was learned, and the folder if it was made for it.

    Args:
        folder: the run's folder.
        made: whether the run made it; it stays if there is anything else in it.
    """
    clear(folder)
    (folder / METRICS).unlink(missing_ok=True)
    if made and not any(folder.iterdir()):
        folder.rmdir()


def cut(path: Path, lines: int, *, strict: bool = True) -> None:
    """Cut a file back to its first lines: a killed run wrote past its checkpoint."""
    content = read_bytes(path) if path.exists() else b""
    whole = content.split(b"\n")[:-1][:lines]
    if len(whole) < lines and strict:
        raise ValueError(
            f"{path} has {len(whole)} lines, fewer than the {lines} iterations of the "
            "checkpoint: it was changed"
        )
    if path.exists():
        os.truncate(path, sum(len(line) + 1 for line in whole))

"""A training run in a folder: what was asked, with what, how it went, and its state.

    config.json             the resolved configuration
    versions.json           one entry a start: versions, git revision, CPUs
    metrics.jsonl           one line an iteration; holds no clock, so equal runs are equal
    timing.jsonl            seconds and env steps per second of each iteration
    events.out.tfevents.*   the same numbers for TensorBoard
    checkpoint.safetensors  all that continues the run, replaced atomically
"""

import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console

from meta.checkpoint import (
    CHECKPOINT,
    parse_config,
    resume_trainer,
    save_checkpoint,
    write_atomically,
)
from meta.configs import TrainCfg
from meta.maml import Metrics
from meta.progress import Progress, Stop
from meta.tensorboard import EventFile
from meta.train import Trainer, make_trainer

CONFIG, VERSIONS = "config.json", "versions.json"
METRICS, TIMING = "metrics.jsonl", "timing.jsonl"
RESUMABLE = ("iterations", "threads", "checkpoint_every")
"""Settings that a run may be continued with other values of."""
_OWN = (CONFIG, VERSIONS, METRICS, TIMING, CHECKPOINT)
_PACKAGES = ("pliant", "torch", "mujoco", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a call of `train` ended."""

    iteration: int
    """Iterations done, and in the checkpoint."""
    signal: int | None
    """The signal that stopped it, if one did."""


def default_folder(cfg: TrainCfg) -> Path:
    """Where a run goes unless told otherwise."""
    return Path("runs") / f"{cfg.family}-{cfg.method}-seed{cfg.seed}"


def train(
    cfg: TrainCfg,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> Finished:
    """Train to the configured number of iterations, or until a first SIGINT or SIGTERM.

    A stopped run, or one that was killed, continues with `resume` and then ends with
    the very numbers of a run that was never stopped.

    Args:
        cfg: what to train.
        folder: the run's folder; made if missing.
        resume: continue the run in the folder.
        overwrite: replace the run in the folder.
        console: where progress is shown; standard error by default.

    Raises:
        ValueError: if the folder holds a run (or anything) and neither was asked, if
            there is nothing to resume, or it is another run.
        OSError: if something cannot be written, for instance on a full disk; the last
            checkpoint is then intact.
        FloatingPointError: if training diverges.
    """
    _check_folder(folder, resume=resume, overwrite=overwrite)
    with _located(folder), Run(folder, cfg, resume=resume) as run:
        trainer = run.trainer
        with Progress(cfg, trainer, console) as progress, Stop(progress) as stop:
            while trainer.iteration < cfg.iterations and stop.signal is None:
                before, start = trainer.env_steps, time.perf_counter()
                metrics = trainer.step()
                seconds = time.perf_counter() - start
                rate = (trainer.env_steps - before) / seconds
                run.log(metrics, {"seconds": seconds, "env_steps_per_s": rate})
                due = trainer.iteration % cfg.checkpoint_every == 0
                if due:
                    run.save()
                progress.show(metrics, rate, milestone=due)
            run.save()
        return Finished(iteration=trainer.iteration, signal=stop.signal)


class Run:
    """An open run folder and the trainer whose progress it keeps.

    Raises:
        ValueError: if another process has it open, or it cannot be resumed.
        OSError: if it cannot be written.
    """

    def __init__(self, folder: Path, cfg: TrainCfg, *, resume: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # never two writers: the lock goes with the process, however it ends
        self._metrics = (folder / METRICS).open("ab")
        self._lock()
        if not resume:
            _clear(folder)
            self._metrics.truncate(0)
        path = folder / CHECKPOINT
        if resume and path.exists():
            _check_same(read_config(folder), cfg, folder)
            self.trainer = resume_trainer(path, cfg)
        else:
            self.trainer = make_trainer(cfg)
        self._saved = self.trainer.iteration
        _cut(folder / METRICS, self._saved)
        _cut(folder / TIMING, self._saved, strict=False)
        self._record_start(cfg)
        self._timing = (folder / TIMING).open("ab")
        self._events = EventFile(folder, first_step=self._saved + 1)

    def __enter__(self) -> "Run":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its files; what could not be written by now is reported already."""
        for file in (self._metrics, self._timing, self._events):
            with suppress(OSError):
                file.close()

    def log(self, metrics: Metrics, timing: Mapping[str, float]) -> None:
        """Record one iteration; on disk before any checkpoint that includes it."""
        iteration = self.trainer.iteration
        _append(self._metrics, {"iteration": iteration} | metrics)
        _append(self._timing, {"iteration": iteration} | dict(timing))
        self._events.add(iteration, metrics | dict(timing))

    def save(self) -> None:
        """Write the checkpoint, unless this iteration's is there already."""
        path = self.folder / CHECKPOINT
        if self._saved == self.trainer.iteration and path.exists():
            return
        os.fsync(self._metrics.fileno())
        save_checkpoint(path, self.trainer)
        self._saved = self.trainer.iteration

    def _lock(self) -> None:
        try:
            fcntl.flock(self._metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._metrics.close()
            raise ValueError(
                f"{self.folder} is being trained by another process"
            ) from None

    def _record_start(self, cfg: TrainCfg) -> None:
        path = self.folder / VERSIONS
        starts = _read_json(path) if self._saved and path.exists() else []
        starts.append({"iteration": self._saved} | versions())
        _write_json(path, starts)
        _write_json(self.folder / CONFIG, asdict(cfg))


def read_config(folder: Path) -> TrainCfg:
    """The configuration of the run in a folder.

    Raises:
        ValueError: if there is none, or it is not valid.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"no run to resume in {folder}: it has no {CONFIG}")
    try:
        return parse_config(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def versions() -> dict[str, str | bool | int | None]:
    """What decides a run's numbers beside its configuration."""
    found: dict[str, str | bool | int | None] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }
    for package in _PACKAGES:
        found[package] = package_version(package)
    root = Path(__file__).resolve().parents[1]
    known = (root / ".git").exists()
    found["git_revision"] = _git(root, "rev-parse", "HEAD") if known else None
    status = _git(root, "status", "--porcelain") if known else None
    found["git_dirty"] = None if status is None else bool(status)
    return found


def package_version(name: str) -> str | None:
    """The installed version of a distribution, if it is one."""
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


def _check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise ValueError("resume and overwrite exclude each other")
    if resume and not folder.is_dir():
        raise ValueError(f"no run to resume: there is no folder {folder}")
    if resume or not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} is not empty and no run: give another folder")
    if not overwrite:
        raise ValueError(
            f"{folder} holds a run already: --resume continues it, --overwrite "
            "replaces it, --out gives another folder"
        )


def _check_same(stored: TrainCfg, cfg: TrainCfg, folder: Path) -> None:
    names = [f.name for f in fields(TrainCfg) if f.name not in RESUMABLE]
    other = [n for n in names if getattr(stored, n) != getattr(cfg, n)]
    if other:
        raise ValueError(
            f"the run in {folder} was started with other values of "
            f"{', '.join(other)}; only {', '.join(RESUMABLE)} may change"
        )


def _clear(folder: Path) -> None:
    """Remove an earlier run's files, and nothing else that a user put there."""
    for name in _OWN:
        if name != METRICS:
            (folder / name).unlink(missing_ok=True)
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()


def _cut(path: Path, lines: int, *, strict: bool = True) -> None:
    """Cut a file back to its first lines: a killed run wrote past its checkpoint."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.split(b"\n")[:-1][:lines]
    if len(whole) < lines and strict:
        raise ValueError(
            f"{path} has {len(whole)} lines, fewer than the {lines} iterations of the "
            "checkpoint: it was changed"
        )
    if path.exists():
        os.truncate(path, sum(len(line) + 1 for line in whole))


def _append(file: BinaryIO, row: Mapping[str, float]) -> None:
    file.write(json.dumps(row).encode() + b"\n")
    file.flush()


def _read_json(path: Path) -> list[Any]:
    try:
        return list(json.loads(path.read_text()))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, (json.dumps(value, indent=1) + "\n").encode())


@contextmanager
def _located(folder: Path) -> Iterator[None]:
    """Say which run could not be written, and that it can be continued."""
    try:
        yield
    except OSError as error:
        left = (folder / CHECKPOINT).exists()
        hint = "; the last checkpoint is intact, continue with --resume" if left else ""
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"{reason}{hint}", str(folder)) from error

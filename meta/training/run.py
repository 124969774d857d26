"""A training run in a folder: what was asked, with what, how it went, and its state.

- config.json: the resolved configuration.
- versions.json: one entry a start, with versions, git revision and machine.
- metrics.jsonl: one line an iteration, without a clock: equal runs have equal files.
- timing.jsonl: seconds and env steps per second of each iteration.
- events.out.tfevents.*: the same numbers for TensorBoard.
- checkpoint.safetensors: all that continues the run, replaced atomically.
"""

import fcntl
import json
import os
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from rich.console import Console

from meta.learner import Metrics
from meta.machine.distributed import any_process, share
from meta.machine.files import check_replaceable, read_bytes, read_json, write_json
from meta.machine.versions import difference, versions
from meta.training.build import make_training
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import TrainCfg, differing
from meta.training.folder import (
    CONFIG,
    METRICS,
    OWN,
    TIMING,
    VERSIONS,
    check_family,
    check_folder,
    clear,
    cut,
    discard,
)
from meta.training.format import parse_config
from meta.training.progress import Progress, Stop
from meta.training.tensorboard import EventFile
from meta.training.trained import CHECKPOINT, checkpoint_config
from tasks.named import NOTHING, Trusted

RESUMABLE = ("iterations", "threads", "device", "checkpoint_every")
"""Settings that a run may be continued with other values of. The step size falls to 0
at the last iteration, so more iterations go on with larger steps than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a call of `train`."""

    iteration: int
    """Iterations done, and in the checkpoint."""
    signal: int | None
    """The signal that stopped it, if one did."""


def default_folder(cfg: TrainCfg) -> Path:
    """Return the folder of a run for which none is given."""
    # TensorBoard, ffmpeg and rsync take what is before a colon for something else
    return Path("runs") / f"{cfg.family}-{cfg.method}-seed{cfg.seed}".replace(":", ".")


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
    if share().rank:
        return _follow(cfg, folder, resume=resume)
    check_folder(folder, resume=resume, overwrite=overwrite)
    if resume:
        check_family(folder, cfg.family)
    with _located(folder), Run(folder, cfg, resume=resume) as run:
        trainer = run.trainer
        progress = Progress(cfg, trainer.iteration, console)
        with progress, Stop(progress.say) as stop:
            if resume and not trainer.iteration:
                progress.say(f"no iteration of {folder} was saved: it starts anew")
            if run.remark:
                progress.say(run.remark)
            while trainer.iteration < cfg.iterations and not any_process(
                stop.signal is not None
            ):
                before, start = trainer.env_steps, time.perf_counter()
                metrics = trainer.step()
                seconds = time.perf_counter() - start
                rate = (trainer.env_steps - before) / seconds
                run.log(metrics, {"seconds": seconds, "env_steps_per_s": rate})
                if due := trainer.iteration % cfg.checkpoint_every == 0:
                    run.save()
                progress.show(trainer.iteration, metrics, rate, milestone=due)
            run.save()
        return Finished(iteration=trainer.iteration, signal=stop.signal)


def _follow(cfg: TrainCfg, folder: Path, *, resume: bool) -> Finished:
    """Take part in a run whose folder the first process keeps."""
    path = folder / CHECKPOINT
    going_on = resume and path.exists()
    trainer = resume_trainer(path, cfg) if going_on else make_training(cfg)
    with Stop(lambda _: None) as stop:
        while trainer.iteration < cfg.iterations and not any_process(
            stop.signal is not None
        ):
            trainer.step()
    return Finished(iteration=trainer.iteration, signal=stop.signal)


class Run:
    """An open run folder and the trainer whose progress it keeps.

    Raises:
        ValueError: if another process has it open, or it cannot be resumed.
        OSError: if it cannot be written.
    """

    def __init__(self, folder: Path, cfg: TrainCfg, *, resume: bool = False) -> None:
        self.folder = folder
        self._fresh, self._made = not resume, not folder.exists()
        path = folder / CHECKPOINT
        going_on = resume and path.exists()
        if going_on or (resume and (folder / CONFIG).exists()):
            _check_same(read_config(folder, cfg.named), cfg, folder)
        # before anything is touched, for it refuses what cannot be trained
        fresh = None if going_on else make_training(cfg)
        folder.mkdir(parents=True, exist_ok=True)
        for name in OWN:  # a pipe would be waited for, a link's file written to
            check_replaceable(folder / name)
        with ExitStack() as opened:
            self._metrics = opened.enter_context((folder / METRICS).open("ab"))
            self._lock()
            self.trainer = fresh or resume_trainer(path, cfg)
            if not going_on:
                clear(folder)
            self._saved = self.trainer.iteration
            cut(folder / METRICS, self._saved)
            cut(folder / TIMING, self._saved, strict=False)
            self._record_start(cfg)
            self._timing = opened.enter_context((folder / TIMING).open("ab"))
            self._events = EventFile(folder, first_step=self._saved + 1)
            opened.callback(self._events.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> "Run":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close its files; they go if an error ended a fresh run in its first step."""
        failed = kind is not None and issubclass(kind, Exception)
        if failed and self._fresh and not self.trainer.iteration:
            # or the next try would be refused
            discard(self.folder, made=self._made)
        try:
            self._opened.close()
        except OSError:
            # a failed write is repeated by closing, and reported already
            if kind is None:
                raise

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
        # never two writers: the lock goes with the process, however it ends
        try:
            fcntl.flock(self._metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = f"{self.folder} is being trained by another process"
            raise ValueError(busy) from None

    def _record_start(self, cfg: TrainCfg) -> None:
        path = self.folder / VERSIONS
        starts = read_json(path) if self._saved and path.exists() else []
        if not isinstance(starts, list):
            raise ValueError(f"{path} is no list of starts")
        threads = {"torch_threads": torch.get_num_threads()}
        start = {"iteration": self._saved} | versions() | threads
        self.remark = difference(starts[-1], start) if starts else ""
        starts.append(start)
        write_json(path, starts)
        write_json(self.folder / CONFIG, asdict(cfg))


def read_config(folder: Path, named: Trusted = NOTHING) -> TrainCfg:
    """The configuration of the run in a folder.

    Its checkpoint's, once there is one: `config.json` is for people, and may be edited.

    Args:
        folder: the folder.
        named: as for `parse_config`.

    Raises:
        ValueError: if there is none, or it is not valid.
    """
    if (folder / CHECKPOINT).exists():
        return checkpoint_config(folder / CHECKPOINT, named)
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"no run to resume in {folder}: it has no {CONFIG}")
    try:
        return parse_config(read_bytes(path).decode(), named)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _check_same(stored: TrainCfg, cfg: TrainCfg, folder: Path) -> None:
    if other := sorted({*differing(stored, cfg)} - {*RESUMABLE}):
        raise ValueError(
            f"the run in {folder} was started with other values of "
            f"{', '.join(other)}; only {', '.join(RESUMABLE)} may change"
        )


def _append(file: BinaryIO, row: Mapping[str, object]) -> None:
    file.write(json.dumps(row).encode() + b"\n")
    file.flush()


@contextmanager
def _located(folder: Path) -> Generator[None]:
    """Say which run could not be written, and that it can be continued."""
    try:
        yield
    except OSError as error:
        if error.filename and not Path(error.filename).is_relative_to(folder):
            raise  # of a file of the family's
        reason = error.strerror or str(error)
        if (folder / CHECKPOINT).exists():
            reason += "; the last checkpoint is intact, continue with --resume"
        raise OSError(error.errno, reason, str(folder)) from error

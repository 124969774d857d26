"""Child processes that end when they are told to, and never outlive their parent."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

Status = Literal["done", "failed", "reached", "out of time", "interrupted", "skipped"]
PATIENCE = 12.0
"""[s] that a child has to end by itself after SIGINT. Training ends its iteration and
writes a checkpoint; at a second signal it stops at once."""
_THEN = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))
"""Signals, in order, and the time that each has to work [s]."""
FIRM = sum(seconds for _, seconds in _THEN)
"""[s] that ending a child can take after its patience."""
_POLL = 0.1  # [s]
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)  # looked up before any fork

Command = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Outcome of the commands of a step."""

    status: Status
    codes: tuple[int | None, ...]
    """Exit codes in the commands' order, negative for a signal; None: not begun."""
    seconds: float


class Asked:
    """True if a signal has asked the session to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Note SIGINT and SIGTERM, within, and do nothing else."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {n: signal.signal(n, self._note) for n in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or number


def run(
    commands: Mapping[Path, Command],
    *,
    seconds: float,
    folder: Path,
    environment: Mapping[str, str],
    asked: Asked,
    reached: Callable[[], bool] = lambda: False,
    patience: float = PATIENCE,
) -> Ended:
    """Run commands side by side, as many as there are CPUs, until all have ended.

    Or until they have had their time, what they are for is reached, or the session is
    asked to stop; what still runs is then ended, which takes up to `patience` and
    `FIRM` more.

    Args:
        commands: by the file that takes their output.
        seconds: the time they have.
        folder: where they run.
        environment: their variables.
        asked: looked at all the while.
        reached: whether there is no need to go on.
        patience: [s] that what is asked to end has to do so by itself.

    Raises:
        OSError: if a log cannot be written or a program is not there.
    """
    start = time.monotonic()
    waiting = dict(commands)
    running: dict[Path, subprocess.Popen[bytes]] = {}
    codes: dict[Path, int] = {}
    status: Status | None = None
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                log = next(iter(waiting))
                running[log] = _start(waiting.pop(log), log, folder, environment)
            time.sleep(_POLL)
            for log, child in list(running.items()):
                if (code := child.poll()) is not None:
                    codes[log] = code
                    _sweep(running.pop(log))
            if not waiting and not running:
                break
            if reached():
                status = "reached"
            elif asked.signal:
                status = "interrupted"
            elif time.monotonic() - start > seconds:
                status = "out of time"
            if status:
                break
    finally:
        _end(list(running.values()), patience)
    codes |= {log: child.returncode for log, child in running.items()}
    if status is None:
        # the last child can end between two looks
        failed = any(codes.values()) or len(codes) < len(commands)
        status = "failed" if failed else "done"
    return Ended(
        status=status,
        codes=tuple(codes.get(log) for log in commands),
        seconds=time.monotonic() - start,
    )


def _start(
    command: Command, log: Path, folder: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def tie() -> None:
        # a session started in the background ignores SIGINT, and so would its children
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=folder,
            env=environment,
            preexec_fn=tie,
            # a group of its own: Ctrl-C is for the session, which passes it on
            start_new_session=True,
        )


def _end(children: Sequence["subprocess.Popen[bytes]"], patience: float) -> None:
    """Ask children to end, more and more firmly, and then their children."""
    for number, seconds in ((signal.SIGINT, patience), *_THEN):
        alive = [child for child in children if child.poll() is None]
        for child in alive:
            child.send_signal(number)
        deadline = time.monotonic() + seconds
        for child in alive:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        _sweep(child)


def _sweep(child: "subprocess.Popen[bytes]") -> None:
    """Kill what a child that has ended left running."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)

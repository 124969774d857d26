"""Jobs: processes of the command line, side by side, started again when killed."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from meta.machine.processes import cpu_count, with_parent
from meta.training.folder import begun

_TRIES = 3
_POLL = 0.2  # [s]


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A process to run, and to start again if it is killed."""

    name: str
    command: Sequence[str]
    log: Path
    tries: int = 0


def run_jobs(jobs: Sequence[Job], workers: int, say: Console) -> None:
    """Run jobs side by side; if one fails, stop them all, and let none be lost.

    Args:
        jobs: what to run, in this order.
        workers: processes at once; 0 means one per CPU.
        say: where progress is printed.

    Raises:
        OSError: if one fails by itself, or is killed too often, naming its log.
    """
    waiting, running = list(jobs), dict[Job, subprocess.Popen[bytes]]()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start, done = time.monotonic(), 0
    try:
        while waiting or running:
            while waiting and len(running) < (workers or cpu_count()):
                job = waiting.pop(0)
                running[job] = _start(job, environment)
                say.print(f"{job.name} has begun; log: {job.log}", soft_wrap=True)
            time.sleep(_POLL)
            for job, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[job]
                if code:
                    waiting.insert(0, again(job, code))
                    continue
                done += 1
                took = time.monotonic() - start
                left = took / done * (len(jobs) - done)
                say.print(f"{done}/{len(jobs)}  {job.name}, {left / 60:.0f} min left")
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(job: Job, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "pliant", *job.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            preexec_fn=with_parent(),
        )


def again(job: Job, code: int) -> Job:
    """Return a job that was killed, ready to go on from its checkpoint.

    Raises:
        OSError: if it failed by itself, or was killed too often.
    """
    job.tries += 1
    if code > 0 or job.tries >= _TRIES:
        lines = job.log.read_text(errors="replace").splitlines()
        raise OSError(f"{job.name} failed; {job.log}: {lines[-1] if lines else code}")
    fresh = job.command[0] == "train" and "--resume" not in job.command
    if fresh and begun(Path(job.command[job.command.index("--out") + 1])):
        job.command = [*job.command, "--resume"]
    return job

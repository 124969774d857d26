"""Nothing goes on after the command that started it, and nothing is lost with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from meta.machine import processes
from pliant.bench import jobs as bench_jobs
from pliant.bench.jobs import Job, run_jobs

ROOT = Path(__file__).parents[2]
ONE = ["--families", "cheetah-direction", "--methods", "maml,dr,oracle", "--seeds=0"]
SUITE = ["bench", "suite", *ONE, "--retrain", "--iterations", "1000", "--workers=1"]


def started(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pliant", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=processes.with_parent(),
    )


def training(process: subprocess.Popen[bytes], log: Path) -> psutil.Process:
    """Wait until a child of a process trains, and return it."""
    deadline = time.monotonic() + 60
    while True:
        # asked once a turn: one that is there may be gone when asked again
        children = psutil.Process(process.pid).children()
        if log.exists() and children:
            return children[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")
@pytest.mark.slow
def test_a_child_ends_with_the_suite_which_starts_again(tmp_path: Path) -> None:
    run = tmp_path / "runs/suite/cheetah-direction-maml-seed0"
    for _ in range(2):
        process = started(*SUITE, cwd=tmp_path)
        child = training(process, run / "metrics.jsonl")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()


FILM = """
from itertools import repeat
from pathlib import Path
from PIL import Image
from pliant.views.ffmpeg import encode
encode(Path("x.mp4"), repeat(Image.new("RGB", (64, 64))), 25.0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")
def test_ffmpeg_ends_with_the_command_that_films(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FILM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=processes.with_parent(),
    )
    part = tmp_path / ".x.partial.mp4"
    deadline = time.monotonic() + 60
    while not part.exists() or not part.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [child] = psutil.Process(process.pid).children()
    child.suspend()  # or it would end by itself, when it has nothing more to read
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    _, alive = psutil.wait_procs([child], timeout=10)
    for left in alive:
        left.kill()
    assert not alive


def test_as_many_workers_as_cpus_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert processes.cpu_count() == 1
    most, running = 0, set[int]()

    class Process:
        def poll(self) -> int:
            running.discard(id(self))
            return 0

    def start(*_: object) -> Process:
        nonlocal most
        process = Process()
        running.add(id(process))
        most = max(most, len(running))
        return process

    monkeypatch.setattr(bench_jobs, "_start", start)
    monkeypatch.setattr(bench_jobs, "_POLL", 0)
    jobs = [Job(name="", command=[], log=Path()) for _ in range(3)]
    run_jobs(jobs, 0, Console(quiet=True))
    assert most == 1

"""Two processes train as one; and one that dies takes the job down with clear words."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

from meta.machine.distributed import any_process, average_gradients, share, summed
from meta.training.run import METRICS

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
TORCHRUN = [*LAUNCHER, "--nproc-per-node", "2"]
PLIANT = ["-m", "pliant", "train", "cheetah-direction", "--device", "cpu"]
SIZES = ["--tasks", "4", "--episodes", "2", "--threads", "1"]
COMPARE = """
import os
from dataclasses import replace
import torch
from meta.recipes.registry import make_config
from meta.experience.rollout import mapped
from meta.machine.distributed import average_gradients, joined, share
from meta.training.build import make_trainer

torch.set_num_threads(1)
cfg = make_config("strike")
learner = replace(cfg.learner, epochs=2)
cfg = replace(cfg, tasks=4, episodes=5, threads=1, learner=learner)

def gradients(trainer, experiences):
    inner = [trainer.learner.inner_batch(trainer.theta, e) for e in experiences[:-1]]
    outer = trainer.learner.outer_batch(trainer.theta, experiences[-1])
    trainer.learner.objective(trainer.theta, inner, outer)[0].backward()
    leaves = trainer.optimizer.param_groups[0]["params"]
    average_gradients(leaves)
    return torch.cat([p.grad.flatten() for p in leaves])

def part(e, rank, size):
    n = len(e.valid) // size
    cut = slice(rank * n, (rank + 1) * n)
    return mapped(e, lambda x: x[cut])

source, kept = make_trainer(cfg), []
source.learner.update = lambda theta, optimizer, e: kept.append(e) or {}
source.step()
[experiences] = kept
alone = make_trainer(cfg)
expected = gradients(alone, experiences)
metrics = alone.learner.update(alone.theta, alone.optimizer, experiences)
with joined("cpu"):
    rank, size = share()
    assert size == 2
    trainer = make_trainer(cfg)
    assert trainer.env.worlds == alone.env.worlds // 2
    mine = [part(e, rank, size) for e in experiences]
    got = gradients(trainer, mine)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    again = trainer.learner.update(trainer.theta, trainer.optimizer, mine)
    for name in ("grad_norm", "loss", "inner_kl", "outer_kl"):
        torch.testing.assert_close(again[name], metrics[name], rtol=1e-3, atol=1e-6)
    for name, value in alone.theta.items():
        close = {"rtol": 1e-9, "atol": 1e-12} if value.dtype == torch.float64 else {}
        if close:
            torch.testing.assert_close(trainer.theta[name], value, **close)
        else:
            assert (trainer.theta[name] - value).abs().max() < 1e-3, name
os._exit(0)  # as the command does: gloo's threads can abort a slow exit
"""


def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    script = tmp_path / "compare.py"
    script.write_text(COMPARE)
    done = subprocess.run(
        [*TORCHRUN, str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr


def test_a_process_that_dies_ends_the_job_which_then_resumes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = [*TORCHRUN, *PLIANT, *SIZES, "--out", str(run), "--checkpoint-every", "2"]
    with subprocess.Popen(
        [*asked, "--iterations", "100000"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as job:
        limit = time.monotonic() + 120
        while not (run / "checkpoint.safetensors").exists():
            assert time.monotonic() < limit, "no checkpoint in two minutes"
            time.sleep(0.1)
        ranks = [
            p
            for p in psutil.Process(job.pid).children(recursive=True)
            if p.environ().get("RANK") == "1"
        ]
        ranks[-1].send_signal(signal.SIGKILL)
        said = job.communicate(timeout=120)[1]
    assert job.returncode != 0
    assert "pliant: another process of this job was lost" in said
    assert "continue with --resume" in said
    done = len((run / METRICS).read_text().splitlines())
    again = subprocess.run(
        [*asked, "--iterations", str(done + 2), "--resume"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    assert [row["iteration"] for row in rows] == list(range(1, done + 3))
    assert rows[0]["env_steps"] == 2 * 4 * 2 * 100


def test_tasks_that_cannot_be_shared_are_refused(tmp_path: Path) -> None:
    sizes = ["--tasks", "3", "--episodes", "1", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*TORCHRUN, *PLIANT, *sizes],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "pliant: 3 tasks cannot be shared equally by 2 processes" in done.stderr


def test_a_process_alone_shares_nothing() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    average_gradients([x])
    assert share() == (0, 1)
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    assert summed(x) is x
    assert [any_process(flag) for flag in (True, False)] == [True, False]

"""Long proofs of robustness, which the tests are too short for.

    python -m benchmarks.hardening steps --steps 1000000
    python -m benchmarks.hardening kills --kills 50

`steps` acts at random, at the bounds and with numbers that are not finite, in every
family: each that is no number must be counted as a fault, returns must be finite, and
memory flat. `kills` ends each long command by SIGKILL at random times: nothing may go
on, and at last the command must end as if it had never been stopped.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
import tyro
from tyro.conf import Positional

from meta.machine.processes import with_parent
from tasks.env import Env
from tasks.registry import FAMILIES, make_family

FAMILY = "cheetah-direction"
SHIPPED = f"shipped:{FAMILY}"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "4", "--threads=1", "--iterations=60"]
TRAIN = ["train", FAMILY, *TINY, "--checkpoint-every=1", "--out", "run"]
SUITE = ["bench", "suite", "--families", FAMILY, "--methods", "maml,dr,oracle"]
COMMANDS: dict[str, tuple[list[str], str]] = {
    "train": (TRAIN, "run/checkpoint.safetensors"),
    "suite": (
        [*SUITE, "--seeds=0", "--retrain", "--iterations=3", "--tasks=2"],
        "runs/suite/table.md",
    ),
    "record": (["record", SHIPPED, "--out", "one.npz"], "one.npz"),
    "replay": (["replay", "given.npz", "--mp4", "one.mp4"], "one.mp4"),
    "evaluate": (["evaluate", SHIPPED, "--tasks=4", "--json", "one.json"], "one.json"),
}
"""Each long command, and what it makes last."""
LONGEST = 20.0
"""Most time after which a command is killed [s]."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the proofs."""

    proof: Positional[Literal["steps", "kills"]]
    """The proof."""
    steps: int = 1_000_000
    """Env steps in each family."""
    kills: int = 50
    """Kills of each command."""
    only: str = ""
    """One family or command instead of all."""
    seed: int = 0
    """Decides the actions, and the times of the kills."""


def main() -> None:
    """Carry out a proof, and print a line for each family or command."""
    options = tyro.cli(Options)
    steps = options.proof == "steps"
    names = [options.only] if options.only else list(FAMILIES if steps else COMMANDS)
    good = True
    for name in names:
        call = (
            prove_steps(name, options.steps, options.seed)
            if steps
            else prove_kills(name, options.kills, options.seed)
        )
        good = good and call
    sys.exit(not good)


def prove_steps(name: str, steps: int, seed: int, worlds: int = 100) -> bool:
    """Act in a family's worlds in every way, and return whether all was well."""
    env, rng = Env(make_family(name), worlds=worlds), torch.Generator()
    rng.manual_seed(seed)
    done, reported, unreported, infinite = 0, 0, 0, 0
    process, early = psutil.Process(), 0
    while done < steps:
        env.assign(env.family.sample("train", seed + done, worlds))
        env.reset(rng)
        broken = torch.zeros(worlds, dtype=torch.bool)
        ended = torch.zeros(worlds, dtype=torch.bool)
        total = torch.zeros(worlds)
        for _ in range(env.horizon):
            action, strange = _actions(env, rng)
            broken |= strange & ~ended
            step = env.step(action)
            total += torch.where(ended, 0.0, step.reward)
            infinite += int((~step.obs.isfinite()).any())
            ended = step.terminated | step.truncated
            done += worlds
        reported += int(step.fault.sum())
        unreported += int((broken & ~step.fault).sum())
        infinite += int((~total.isfinite()).sum())
        early = early or process.memory_info().rss
    growth = process.memory_info().rss - early
    print(
        f"{name}: {done:,} env steps, {reported:,} faults reported, {unreported} not, "
        f"{infinite} not finite, memory grew by {growth / 2**20:.1f} MiB",
        flush=True,
    )
    return not unreported and not infinite and growth < 64 * 2**20


def _actions(env: Env, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return actions: at random, a third at the bounds, few not finite; and which."""
    action = torch.rand(env.worlds, env.action_dim, generator=rng) * 2.4 - 1.2
    kind = torch.rand(env.worlds, generator=rng)
    action = torch.where((kind < 0.33)[:, None], action.sign(), action)
    strange = kind > 0.999
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf])
    drawn = odd[torch.randint(3, (env.worlds,), generator=rng)]
    action[strange, 0] = drawn[strange]
    return action, strange


def prove_kills(name: str, kills: int, seed: int) -> bool:
    """Kill a command at random times, and return whether nothing was lost."""
    draw, orphans, done = random.Random(f"{name} {seed}"), 0, 0
    (argv, made) = COMMANDS[name]
    with tempfile.TemporaryDirectory() as folder:
        _start(["record", SHIPPED, "--out", "given.npz"], folder).wait()
        before = Path(folder, "given.npz").read_bytes()
        for _ in range(kills):
            process = _start(_resumed(argv, folder), folder)
            time.sleep(draw.uniform(1, LONGEST))
            children = _children(process)
            process.send_signal(signal.SIGKILL)
            process.wait()
            psutil.wait_procs(children, timeout=5)
            orphans += sum(child.is_running() for child in children)
            done += 1
        code = _start(_resumed(argv, folder), folder).wait()
        whole = code == 0 and Path(folder, made).is_file()
        whole = whole and Path(folder, "given.npz").read_bytes() == before
        left = [p.name for p in Path(folder).rglob(".*.partial*")]
    print(
        f"{name}: {done} kills, {orphans} orphans, {len(left)} parts left, then "
        f"{'whole' if whole else f'NOT WHOLE (code {code})'}",
        flush=True,
    )
    return whole and not orphans and not left


def _children(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resumed(argv: list[str], folder: str) -> list[str]:
    begun = argv[0] == "train" and Path(folder, "run/config.json").exists()
    return [*argv, "--resume"] if begun else argv


def _start(argv: list[str], folder: str) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pliant", *argv],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=with_parent(),
    )


if __name__ == "__main__":
    main()

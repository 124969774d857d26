"""Speed of a device, simulating and learning, each figure beside its bound.

The bound is the bare simulator: control periods of physics and nothing else, on CUDA
one captured graph each. The CPU backend runs in the same process on the same tasks.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from meta.evaluation.measure import Steps
from meta.experience.rollout import collect
from meta.machine.devices import simulator_threads
from meta.machine.files import write_atomically
from meta.machine.versions import versions
from meta.recipes.registry import make_config
from meta.training.build import make_trainer
from pliant.bench.timeline import record
from robots.sim.gpu import WarpSimulator
from robots.sim.simulator import check_device
from tasks.env import Env
from tasks.registry import make_family
from tasks.simulators import probe_pools
from tasks.task import Task

CPU_WORLDS = 1024
DISTINCT = 1024
"""Largest number of tasks; a task may take several neighbouring worlds."""
STEPS = 10
"""Number of steps in a measured call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One family at one number of worlds. Rates are env steps per second."""

    family: str
    worlds: int
    first_build_s: float
    """Simulator, captured graphs, and kernels where they were not compiled yet."""
    second_build_s: float
    kb_per_world: float
    """Device memory [1000 bytes]; 0 on a CPU."""
    bare: float
    """Physics in worlds that differ."""
    bare_alike: float
    """Physics in worlds of one shared model."""
    env: float
    policy: float
    """Env and policy: whole episodes."""
    maml: float
    """Full MAML-PPO iterations; on a CPU by the CPU backend."""
    cpu_env: float
    """Env on the CPU backend, at up to 1024 worlds."""


def bench(
    families: Sequence[str],
    sizes: Sequence[int],
    device: str,
    *,
    seconds: float = 3.0,
    timelines: Path | None = None,
    file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Measure, print a table, and return everything as JSON.

    Args:
        families: names of families.
        sizes: numbers of worlds. Sizes that do not fit are left out, with a line that
            says so.
        device: a CUDA device, or "cpu" for Warp's serial CPU device.
        seconds: time to spend on each figure.
        timelines: a folder for the timeline of one full iteration of each family, at
            the last size that fits; a summary is printed.
        file: written after each size, so that the figures so far outlive a crash.
        progress: told how many sizes are measured, and of how many.

    Raises:
        ValueError: for a device that this machine does not have.
        OSError: if the file cannot be written.
    """
    cuda = check_device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else "Warp's CPU device"
    console = Console()
    found: dict[str, Any] = {"device": name, "speeds": [], "versions": versions()}
    steps = Steps(len(families) * len(sizes), progress)
    for family in families:
        some: list[Speed] = []
        measured = _measured(family, sizes, device, seconds, console)
        for speed in steps.after(measured):
            if speed is None:
                continue
            some.append(speed)
            found["speeds"].append(asdict(speed))
            _keep(found, file)
        console.print(_table(f"{family} on {name}", some))
        if timelines and some:
            trace = timelines / f"{family}-{some[-1].worlds}.json.gz"
            call = _iterations(family, some[-1].worlds, device)
            call()
            timeline = record(call, device, trace)
            console.print(timeline.table())
            found.setdefault("timelines", {})[trace.name] = timeline.to_dict()
            _keep(found, file)
    return json.dumps(found)


def _keep(found: dict[str, Any], file: Path | None) -> None:
    if file:
        write_atomically(file, json.dumps(found).encode())


def _measured(
    family: str, sizes: Sequence[int], device: str, seconds: float, console: Console
) -> Iterator[Speed | None]:
    """Measure one size after the other; yield None for one that does not fit."""
    for worlds in sizes:
        try:
            yield measure(family, worlds, device, seconds)
        except (MemoryError, torch.OutOfMemoryError):
            console.print(f"{family}: no memory for {worlds:,} worlds")
            yield None


def _table(title: str, speeds: Sequence[Speed]) -> Table:
    """Return a table with a column for each number of worlds."""
    table = Table(title=title, caption="rates in env steps/s")
    table.add_column("worlds")
    for speed in speeds:
        table.add_column(f"{speed.worlds:,}", justify="right")
    for field in fields(Speed)[2:]:
        values = [getattr(speed, field.name) for speed in speeds]
        table.add_row(field.name.replace("_", " "), *map(_text, values))
    return table


def measure(name: str, worlds: int, device: str, seconds: float) -> Speed:
    """Measure one family at one size; see `bench`."""
    family = make_family(name, device)
    pools = probe_pools(family)

    def build(*differing: str) -> tuple[WarpSimulator, float]:
        start = time.perf_counter()
        sim = WarpSimulator(
            family.model,
            worlds=worlds,
            substeps=family.substeps,
            pools=pools,
            fields=differing,
            device=device,
        )
        return sim, time.perf_counter() - start

    before = _used(device)
    sim, first = build(*family.fields)
    used = _used(device) - before
    alike, _ = build()
    env = Env(family, worlds=worlds, simulator=sim)
    cpu = Env(make_family(name), worlds=min(worlds, CPU_WORLDS))
    for one in (env, cpu):
        one.assign(_tasks(one))
        one.reset(torch.Generator(one.device).manual_seed(0))
    now = sim.step(torch.zeros(worlds, family.model.nu, device=device))
    alike.reset(now.qpos, now.qvel)
    return Speed(
        family=name,
        worlds=worlds,
        first_build_s=first,
        second_build_s=build(*family.fields)[1],
        kb_per_world=used / worlds / 1000,
        bare=_rate(_physics(sim), device, seconds),
        bare_alike=_rate(_physics(alike), device, seconds),
        env=_rate(_steps(env), device, seconds),
        policy=_rate(_episodes(env), device, seconds),
        maml=_rate(_iterations(name, worlds, device), device, seconds),
        cpu_env=_rate(_steps(cpu), "cpu", seconds),
    )


def _tasks(env: Env) -> list[Task]:
    """Draw a task for each world; drawing and compiling 32,768 would take a minute."""
    drawn = env.family.sample("train", 0, min(env.worlds, DISTINCT))
    return [drawn[world * len(drawn) // env.worlds] for world in range(env.worlds)]


def _physics(sim: WarpSimulator) -> Callable[[], int]:
    ctrl = torch.zeros(sim.worlds, sim.model.nu, device=sim.device)

    def call() -> int:
        for _ in range(STEPS):
            sim.step(ctrl)
        return STEPS * sim.worlds

    return call


def _steps(env: Env) -> Callable[[], int]:
    action = torch.zeros(env.worlds, env.action_dim, device=env.device)

    def call() -> int:
        for _ in range(STEPS):
            env.step(action)
        return STEPS * env.worlds

    return call


def _episodes(env: Env) -> Callable[[], int]:
    cfg = replace(make_config(env.family.name), tasks=1, episodes=10)
    trainer = make_trainer(cfg)
    theta = {k: v.to(env.device) for k, v in trainer.theta.items()}
    act = trainer.learner.act(theta, trainer.learner.begin(theta, 1))
    rng = torch.Generator(env.device).manual_seed(0)
    return lambda: collect(env, act, rng).env_steps


def _iterations(name: str, worlds: int, device: str) -> Callable[[], int]:
    cfg = make_config(name)
    tasks = max(1, worlds // cfg.episodes)
    trainer = make_trainer(replace(cfg, tasks=tasks, device=device))

    def call() -> int:
        before = trainer.env_steps
        trainer.step()
        return trainer.env_steps - before

    return call


def _rate(call: Callable[[], int], device: str, seconds: float) -> float:
    call()
    _finish(device)
    done, start = 0, time.perf_counter()
    with simulator_threads():
        while time.perf_counter() - start < seconds or not done:
            done += call()
            _finish(device)
    return done / (time.perf_counter() - start)


def _finish(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _used(device: str) -> int:
    if torch.device(device).type == "cpu":
        return 0
    torch.cuda.empty_cache()  # memory that torch keeps for itself is not there for Warp
    free, total = torch.cuda.mem_get_info(device)
    return total - free


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"

"""The steps of a session: what is run, in which order, and how long each may take."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu_session import figures
from benchmarks.gpu_session.process import PATIENCE, Command

PYTHON = (sys.executable, "-m")
PLIANT = (*PYTHON, "pliant")
"""Command that starts `pliant`."""
_EPISODES = 5
"""Episodes per task of the families that are retrained, as they ship."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes and lengths of the steps."""

    device: str
    worlds: tuple[int, ...]
    """Numbers of worlds in the benchmark."""
    bench: tuple[str, ...] = ("cheetah-direction", "push", "strike")
    """Families of the benchmark."""
    seconds: float
    """Seconds for each figure of the benchmark."""
    timeline: int
    """Worlds of the timeline."""
    parity: str = ""
    """Selection for pytest's -k; all by default."""
    compiled: tuple[str, ...]
    """Families whose kernels are compiled before anything is measured."""
    target: float
    """Return after adapting at which cheetah-direction has learned enough."""
    cheetah: tuple[str, ...] = ()
    """Further options of its training, whose configuration is else the shipped one."""
    published: tuple[str, ...] = ()
    """Further options of its training with ProMP's published settings."""
    trained: tuple[str, ...]
    """Families that are then trained, the cheapest first."""
    tasks: int
    """Tasks of each of their iterations; five worlds each."""
    iterations: int
    slow: float = 1.0
    """Factor by which every step may take longer than on a GPU."""
    patience: float = PATIENCE
    """[s] that an iteration of training and its checkpoint can take."""


ALL = (
    "grasp",  # compiles longest
    "push",
    "strike",
    "open",
    "insert",
    "intercept",
    "reach-rotated",
    "cheetah-direction",
)
GPU = Scale(
    device="cuda",
    worlds=(512, 4096, 32768),
    # strike has been measured, insert trained slower than its kernels explain
    bench=("cheetah-direction", "push", "insert"),
    seconds=1.0,
    timeline=4096,
    compiled=ALL,
    target=260.0,
    trained=(
        "reach-rotated",
        "insert",
        "intercept",
        "open",
        "push",
        "strike",
        "grasp",
    ),
    tasks=4096 // _EPISODES,
    iterations=60,
)
REHEARSAL = Scale(
    device="cpu",
    worlds=(8, 16),
    seconds=0.02,
    timeline=16,
    # two families, so that a failure of one is seen beside another
    parity="cheetah or reach or started or gpu",
    compiled=("push", "strike", "reach-rotated", "cheetah-direction"),
    target=-20.0,
    cheetah=("--tasks", "4", "--iterations", "40"),
    published=("--iterations", "1"),
    trained=("insert", "reach-rotated"),
    tasks=4,
    iterations=3,
    slow=20.0,
    patience=60.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do."""

    name: str
    commands: Mapping[str, Command]
    """Run side by side, by the names of their logs."""
    limit: float
    """[s] it may take; less where later steps would not have their `least`."""
    least: float = 0.0
    """[s] that earlier steps leave it, and that it is not begun without."""
    figures: Callable[[], dict[str, Any]] = field(default=dict)
    """Function that reads its figures so far from the disk."""
    reached: Callable[[], bool] = lambda: False
    """Function that tells whether it may stop early."""
    after: str = ""
    """Only done where the step of this name was."""
    files: tuple[Path, ...] = ()
    """Files of its figures, removed before it begins."""
    run: Path | None = None
    """The folder of a training run, which goes on where it was instead."""


def plan(scale: Scale, out: Path) -> list[Step]:
    """All steps of a session into a folder, in their order."""
    found = [
        _kernels(scale, out),
        _parity(scale, out),
        *(_bench(scale, out, family) for family in scale.bench),
        _timeline(scale, out),
        _cheetah(scale, out),
        _published(scale, out),
    ]
    for family in scale.trained:
        found += _retrained(scale, out, family)
    return found


def machine(scale: Scale, out: Path) -> Step:
    """The machine that the rest runs on: device, driver and versions."""
    file = out / "machine.json"
    ask = [*PYTHON, "benchmarks.gpu_session.machine", scale.device, str(file)]
    return Step(
        name="machine",
        commands={"machine": ask},
        limit=60 * scale.slow,
        figures=partial(figures.stored, file),
        files=(file,),
    )


def _kernels(scale: Scale, out: Path) -> Step:
    """Compile side by side what one process would compile one after the other."""
    files = {name: out / f"kernels-{name}.json" for name in scale.compiled}
    ask = [*PYTHON, "benchmarks.gpu_session.kernels", scale.device]
    return Step(
        name="kernels",
        commands={f.stem: [*ask, name, str(f)] for name, f in files.items()},
        limit=200 * scale.slow,
        figures=partial(figures.by_family, files),
        files=tuple(files.values()),
    )


def _parity(scale: Scale, out: Path) -> Step:
    file = out / "parity.xml"
    # neither plugins nor filters of the development environment are asked for
    plain = ("-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider")
    command = [*PYTHON, "pytest", "tests/robots/sim/test_parity.py", "-q", *plain]
    command += ["--import-mode=importlib", "--junitxml", str(file)]
    return Step(
        name="parity",
        commands={
            "parity": [*command, *(("-k", scale.parity) if scale.parity else ())]
        },
        limit=90 * scale.slow,
        figures=partial(figures.parity, file),
        files=(file,),
    )


def _bench(scale: Scale, out: Path, family: str) -> Step:
    file = out / f"bench-{family}.json"
    command = [*PLIANT, "bench", "gpu", "--families", family, "--device", scale.device]
    command += ["--worlds", ",".join(map(str, scale.worlds)), "--json", str(file)]
    return Step(
        name=f"bench {family}",
        commands={file.stem: [*command, "--seconds", str(scale.seconds)]},
        limit=75 * scale.slow,
        figures=partial(figures.stored, file),
        files=(file,),
    )


def _timeline(scale: Scale, out: Path) -> Step:
    """A timeline of cheetah-direction, whose trace is small enough to be looked at."""
    file = out / "timeline.json"
    command = [*PLIANT, "bench", "gpu", "--families", "cheetah-direction"]
    command += ["--device", scale.device, "--worlds", str(scale.timeline)]
    command += ["--seconds", "0.01", "--timelines", str(out / "timelines")]
    return Step(
        name="timeline",
        commands={file.stem: [*command, "--json", str(file)]},
        limit=60 * scale.slow,
        least=20.0,
        figures=partial(figures.stored, file),
        files=(file,),
    )


def _cheetah(scale: Scale, out: Path) -> Step:
    run = out / "cheetah-direction"
    command = [*PLIANT, "train", "cheetah-direction", "--device", scale.device]
    return Step(
        name="train cheetah-direction",
        commands={
            "train-cheetah-direction": [*command, "--out", str(run), *scale.cheetah]
        },
        limit=100 * scale.slow,
        least=45.0,
        figures=partial(figures.training, run, scale.target),
        reached=partial(figures.reached, run, scale.target),
        run=run,
    )


def _published(scale: Scale, out: Path) -> Step:
    """45 million env steps with ProMP's settings, for which returns are published."""
    run = out / "promp"
    command = [*PLIANT, "reproduce", "cheetah-direction", "--device", scale.device]
    command += ["--out", str(run)]
    return Step(
        name="train ProMP",
        commands={"train-promp": [*command, *scale.published]},
        limit=200 * scale.slow,
        figures=partial(figures.training, run),
    )


def _retrained(scale: Scale, out: Path, family: str) -> list[Step]:
    run, file = out / family, out / f"{family}.safetensors"
    command = [*PLIANT, "train", family, "--device", scale.device, "--out", str(run)]
    command += ["--tasks", str(scale.tasks), "--episodes", str(_EPISODES)]
    command += ["--iterations", str(scale.iterations), "--checkpoint-every", "10"]
    training = Step(
        name=f"train {family}",
        commands={f"train-{family}": command},
        limit=float("inf"),
        figures=partial(figures.training, run),
        run=run,
    )
    exporting = Step(
        name=f"export {family}",
        commands={f"export-{family}": [*PLIANT, "export", str(run), str(file)]},
        limit=30 * scale.slow,
        figures=partial(figures.size, file),
        files=(file,),
        after=training.name,
    )
    return [training, exporting]

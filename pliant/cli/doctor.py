"""The command `pliant doctor`: checks of the machine, each with a cure."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meta.machine.versions import PACKAGES, package_version
from pliant.cli.progress import Report, progress_bar

FAMILY = "cheetah-direction"
WORLDS = 64
SLOW = 5_000  # env steps/s; training the smallest family then takes hours
_RENDER = """
from pliant.cli.options import import_mujoco
import_mujoco()
import mujoco
import numpy as np
from robots.sim.render import Renderer
spec = "<mujoco><worldbody><light pos='0 0 2'/><geom size='.2'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(spec)
state = np.zeros(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
try:
    with Renderer(model, width=64, height=48) as renderer:
        assert renderer.draw(state).std() > 0, "the picture is empty"
except OSError as error:
    raise SystemExit(str(error))
"""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check versions, devices, rendering, the runs folder and the speed.

    Every finding is a line, with the cure where something is wrong; the exit code is 0
    if nothing fails.

    Example: pliant doctor
    """

    def run(self) -> int:
        """Examine this machine."""
        with progress_bar("checking") as progress:
            return examine(progress=progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    status: Literal["ok", "warn", "fail"]
    text: str
    cure: str = ""
    """Advice, unless all is well."""

    def __str__(self) -> str:
        """Return the line to print."""
        return f"{self.status:<5}{self.text}" + (f": {self.cure}" if self.cure else "")


def examine(*, seconds: float = 5.0, progress: Report | None = None) -> int:
    """Print one line a finding.

    Args:
        seconds: time spent on measuring the speed.
        progress: told after each check how many are done, and of how many.

    Returns:
        0 if nothing fails, else 2.
    """
    failed = False
    checks = _checks(seconds)
    for done, check in enumerate(checks, 1):
        for finding in check():
            print(finding, flush=True)
            failed = failed or finding.status == "fail"
        if progress:
            progress(done, len(checks))
    return 2 if failed else 0


def check_python() -> Finding:
    """Report the interpreter; the installer has enforced its version."""
    return Finding(status="ok", text=f"python {platform.python_version()}")


def check_package(name: str) -> Finding:
    """Check one distribution that everything rests on."""
    version = package_version(name)
    if version is not None:
        return Finding(status="ok", text=f"{name} {version}")
    if name == "pliant":
        cure = "pip install -e . in the checkout gives the command and the version"
        return Finding(status="warn", text="pliant is not installed", cure=cure)
    return Finding(
        status="fail", text=f"{name} is not installed", cure=f"pip install {name}"
    )


def check_devices() -> Finding:
    """Count the CPUs, and name the GPU if torch sees one."""
    import torch

    cuda = torch.cuda.is_available()
    gpu = torch.cuda.get_device_name() if cuda else "no CUDA device"
    text = f"{os.cpu_count()} CPUs, {gpu}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > (os.cpu_count() or 1):
        cure = "other programs compete for them; training is slower than it could be"
        return Finding(status="warn", text=f"{text}, load {load:.1f}", cure=cure)
    return Finding(status="ok", text=text)


def check_rendering() -> Finding:
    """Draw a picture without a display, as videos need it."""
    text = f"headless rendering with MUJOCO_GL={os.environ.get('MUJOCO_GL') or 'egl'}"
    try:
        # a process of its own: a broken driver may not raise but crash
        subprocess.run(
            [sys.executable, "-P", "-c", _RENDER],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
    except subprocess.CalledProcessError as error:
        said = [x for x in error.stderr.splitlines() if x.startswith("no OpenGL")]
        reason = said[-1] if said else "the OpenGL driver crashes"
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error)
    else:
        return Finding(status="ok", text=text)
    cure = f"videos need it, training does not; {reason}"
    return Finding(status="warn", text=f"no {text}", cure=cure)


def check_folder(folder: Path) -> Finding:
    """Check that runs can be written where `train` puts them."""
    inside = folder
    while not inside.exists():
        inside = inside.parent
    try:
        with tempfile.TemporaryFile(dir=inside) as file:
            file.write(bytes(2**20))
            file.flush()
    except OSError as error:
        cure = "run elsewhere, or give pliant train --out a folder that can be written"
        reason = f"{folder.absolute()}: {error.strerror}"
        return Finding(status="fail", text=reason, cure=cure)
    return Finding(status="ok", text=f"{folder.absolute()} can be written")


def check_speed(seconds: float) -> Finding:
    """Measure env steps per second of the smallest family, with random actions."""
    import torch

    from tasks.env import Env
    from tasks.registry import make_family

    env = Env(make_family(FAMILY), worlds=WORLDS)
    rng = torch.Generator().manual_seed(0)
    env.assign(env.family.sample("train", 0, WORLDS))
    env.reset(rng)
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        if steps % env.horizon == 0:
            env.reset(rng)
        env.step(torch.rand(WORLDS, env.action_dim, generator=rng) * 2 - 1)
        steps += 1
    rate = steps * WORLDS / elapsed
    text = f"{FAMILY}: {rate:,.0f} env steps/s with {WORLDS} worlds"
    if rate < SLOW:
        cure = f"below {SLOW:,}; close other programs, or train on more CPUs"
        return Finding(status="warn", text=text, cure=cure)
    return Finding(status="ok", text=text)


def _checks(seconds: float) -> list[Callable[[], list[Finding]]]:
    """Return the checks; those that need the packages find nothing without them."""
    missing = [n for n in PACKAGES if check_package(n).status == "fail"]

    def given(check: Callable[[], Finding]) -> Callable[[], list[Finding]]:
        return lambda: [] if missing else [check()]

    return [
        lambda: [check_python(), *map(check_package, PACKAGES)],
        lambda: [check_folder(Path("runs"))],
        given(check_devices),
        given(check_rendering),
        given(lambda: _survived(lambda: check_speed(seconds))),
    ]


def _survived(check: Callable[[], Finding]) -> Finding:
    """Return what a check finds, or that it failed."""
    try:
        return check()
    except Exception as error:  # a diagnosis must not die of the disease
        return Finding(
            status="fail",
            text=f"cannot simulate: {type(error).__name__}: {error}",
            cure="reinstall with pip install -e .",
        )

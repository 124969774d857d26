"""Checks of the machine: what works, what does not, and the cure."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meta.machine.versions import PACKAGES, package_version

FAMILY = "cheetah-direction"
WORLDS = 64
SLOW = 5_000  # env steps/s; training the smallest family then takes hours
_RENDER = """
import mujoco
spec = "<mujoco><worldbody><light pos='0 0 2'/><geom size='.2'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(spec)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().std() > 0, "the picture is empty"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    status: Literal["ok", "warn", "fail"]
    text: str
    cure: str = ""
    """What to do, unless all is well."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.status:<5}{self.text}" + (f": {self.cure}" if self.cure else "")


def examine(*, seconds: float = 5.0) -> int:
    """Print one line a finding.

    Args:
        seconds: time spent on measuring the speed.

    Returns:
        0 if nothing fails, else 2.
    """
    failed = False
    for finding in _findings(seconds):
        print(finding, flush=True)
        failed = failed or finding.status == "fail"
    return 2 if failed else 0


def check_python() -> Finding:
    """The interpreter; its version is enforced by the installer."""
    return Finding(status="ok", text=f"python {platform.python_version()}")


def check_package(name: str) -> Finding:
    """One distribution that everything rests on."""
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
    """CPUs, and a GPU if torch sees one."""
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
    """Pictures without a display, which videos need."""
    backend = os.environ.get("MUJOCO_GL") or "egl"
    text = f"headless rendering with MUJOCO_GL={backend}"
    try:
        # a process of its own: a broken driver may not raise but crash
        subprocess.run(
            [sys.executable, "-c", _RENDER],
            env=os.environ | {"MUJOCO_GL": backend},
            capture_output=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        cure = (
            "videos need it, training does not; install EGL (Debian and Ubuntu: apt "
            "install libegl1 libgl1), or libosmesa6 and set MUJOCO_GL=osmesa"
        )
        return Finding(status="warn", text=f"no {text}", cure=cure)
    return Finding(status="ok", text=text)


def check_folder(folder: Path) -> Finding:
    """Whether runs can be written where `train` puts them."""
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
    """Env steps per second of the smallest family, with random actions."""
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


def _findings(seconds: float) -> Iterator[Finding]:
    yield check_python()
    packages = [check_package(name) for name in PACKAGES]
    yield from packages
    yield check_folder(Path("runs"))
    if any(finding.status == "fail" for finding in packages):
        return
    yield check_devices()
    yield check_rendering()
    try:
        yield check_speed(seconds)
    except Exception as error:  # a diagnosis must not die of the disease
        yield Finding(
            status="fail",
            text=f"cannot simulate: {type(error).__name__}: {error}",
            cure="reinstall with pip install -e .",
        )

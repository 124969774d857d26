"""The machine of a session, as JSON: device, driver, versions and revision.

python -m benchmarks.gpu_session.machine DEVICE FILE
"""

import json
import subprocess
import sys
from pathlib import Path

import torch

from meta.machine.versions import package_version, versions
from robots.sim.simulator import check_device


def describe(device: str) -> dict[str, object]:
    """Return what a figure depends on beside the program.

    Raises:
        ValueError: for a device that is not here.
    """
    cuda = check_device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else "Warp's CPU device"
    packages = ("warp-lang", "mujoco-warp")
    return {
        "device": name,
        "driver": _driver() if cuda else None,
        "cuda": torch.version.cuda,
        **versions(),
        **{package: package_version(package) for package in packages},
    }


def _driver() -> str | None:
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(
            ask, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.split("\n")[0].strip()


if __name__ == "__main__":
    try:
        described = json.dumps(describe(sys.argv[1]), indent=1)
    except ValueError as error:
        sys.exit(str(error))
    Path(sys.argv[2]).write_text(described)

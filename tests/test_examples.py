"""The examples run, and the policies that they load ship."""

import subprocess
import sys
from pathlib import Path

import pytest

from meta.registry import CEILING, FLOORS
from meta.training.trained import load_trained, shipped_policies
from tasks.registry import FAMILIES

ROOT = Path(__file__).parents[1]


def test_the_example_adapts_to_an_object_it_has_never_met() -> None:
    command = [sys.executable, str(ROOT / "examples" / "adapt.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    )
    before, after = (float(line.split()[-1]) for line in done.stdout.splitlines())
    assert after > before


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_ships_a_policy_with_its_floor_and_its_ceiling(
    family: str,
) -> None:
    assert family in shipped_policies()
    ships = {method: shipped_policies(family, method) for method in (*FLOORS, CEILING)}
    assert any(ships[floor] for floor in FLOORS)
    assert ships[CEILING]
    for method, names in ships.items():
        for name in names:
            trained = load_trained(f"shipped:{name}")
            assert (trained.cfg.family, trained.cfg.method) == (family, method)
    assert load_trained(f"shipped:{family}").cfg.method == "maml"

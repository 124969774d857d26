"""The leak test: what a first observation gives away is found, and nothing else."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from meta.evaluation.leak import Leak, probe, probe_family
from tasks.family import Instant
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.registry import FAMILIES, make_family


class Cheat(ReachRotated):
    """Lets the rotation show in the fourth decimal of an observation's constant."""

    name = "cheat"
    obs_dim: ClassVar[int] = 6

    def observe(self, now: Instant) -> Tensor:
        told = 1 + 1e-4 * torch.deg2rad(now.values["rotation"])
        return torch.cat([super().observe(now), told[:, None]], dim=-1)


def test_a_cheat_is_caught() -> None:
    leaks = {leak.parameter: leak for leak in probe_family(Cheat(), "held-out", 0)}
    assert leaks["rotation"].significant
    assert leaks["rotation"].r2 > 0.9
    others = [leak.significant for name, leak in leaks.items() if name != "rotation"]
    assert others == [False] * 3


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_family_gives_anything_away(family: str) -> None:
    for split in make_family(family).splits:
        for leak in probe_family(make_family(family), split, 3, tasks=100):
            assert not leak.significant, (split, leak)


def test_chance_is_not_taken_for_a_leak() -> None:
    rng, leaks = np.random.default_rng(0), list[Leak]()
    for _ in range(100):
        x, y = rng.normal(size=(40, 2, 3)), rng.normal(size=(40, 1))
        leaks.append(probe("nothing", x, y, rng))
    # 5 % +- 2.3 standard errors
    assert sum(leak.p <= 0.05 for leak in leaks) <= 10
    # on tasks that a probe was not trained on, noise explains nothing
    assert np.mean([leak.r2 for leak in leaks]) < 0


@pytest.mark.parametrize("shape", ["linear", "square"])
def test_how_much_is_given_away_is_read(shape: str) -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(300, 1))
    shown: Mapping[str, np.ndarray] = {"linear": y, "square": np.sqrt(y - y.min())}
    x = np.concatenate([shown[shape], rng.normal(size=(300, 2))], axis=1)[:, None]
    assert probe("planted", x, y, rng).r2 > 0.95
    noisy = x.copy()
    noisy[..., 0] += rng.normal(size=(300, 1)) * (shape == "linear")
    if shape == "linear":
        assert probe("planted", noisy, y, rng).r2 == pytest.approx(0.5, abs=0.12)


def test_a_parameter_that_never_varies_cannot_leak() -> None:
    leak = probe(
        "constant", np.zeros((10, 1, 2)), np.ones((10, 1)), np.random.default_rng()
    )
    assert (leak.r2, leak.p, leak.significant) == (0.0, 1.0, False)

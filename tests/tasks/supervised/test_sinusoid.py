"""Sine waves: the published ranges, and splits that differ."""

import math

import pytest
import torch
from torch import Tensor

from tasks.supervised.contract import Examples, Shots, SupervisedFamily
from tasks.supervised.sinusoid import Sinusoid


def sample(split: str = "train", tasks: int = 2000, seed: int = 0) -> Shots:
    rng = torch.Generator().manual_seed(seed)
    return Sinusoid().sample(split, tasks, rng, shots=10, queries=5)


def fitted(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase of each wave: y = a cos(phase) sin x - a sin(phase) cos x."""
    basis = torch.cat([x.sin(), -x.cos()], dim=-1).double()
    solved = torch.linalg.lstsq(basis, y.double()).solution[..., 0]
    return solved.norm(dim=-1), torch.atan2(solved[:, 1], solved[:, 0])


def test_tasks_and_points_fill_the_published_ranges() -> None:
    support, query = sample()
    assert support.x.shape == support.y.shape == (2000, 10, 1)
    assert query.x.shape == query.y.shape == (2000, 5, 1)
    amplitude, phase = fitted(support.x, support.y)
    for values, low, high in (
        (amplitude, 0.1, 5.0),
        (phase, 0.0, math.pi),
        (support.x, -5.0, 5.0),
    ):
        slack = 1e-4 * (high - low)
        assert low - slack <= values.min() < low + 0.01 * (high - low)
        assert high + slack >= values.max() > high - 0.01 * (high - low)
        middle = values.double().mean().item()
        assert middle == pytest.approx((low + high) / 2, abs=0.03 * (high - low))


def test_queries_are_of_the_same_waves_and_other_points() -> None:
    support, query = sample(tasks=50)
    amplitude, phase = (v[:, None, None] for v in fitted(support.x, support.y))
    expected = amplitude * torch.sin(query.x.double() - phase)
    torch.testing.assert_close(query.y.double(), expected, atol=1e-4, rtol=1e-4)
    assert not torch.isin(query.x, support.x).any()


def test_the_same_generator_draws_the_same_tasks() -> None:
    assert torch.equal(sample(seed=3).query.y, sample(seed=3).query.y)
    assert not torch.equal(sample(seed=3).query.y, sample(seed=4).query.y)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"split": "test"},
            "unknown split 'test' of sinusoid; splits: train, held-out",
        ),
        ({"tasks": 0}, "got 0, 1, 1"),
        ({"shots": 0}, "got 1, 0, 1"),
        ({"queries": -1}, "got 1, 1, -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(asked: dict, message: str) -> None:
    rest = {"split": "train", "tasks": 1, "shots": 1, "queries": 1} | asked
    with pytest.raises(ValueError, match=message):
        Sinusoid().sample(rng=torch.Generator(), **rest)


def test_a_family_of_ones_own_is_a_subclass_with_draw() -> None:
    class Lines(SupervisedFamily):
        name = "lines"

        def draw(self, split, tasks, rng, *, shots, queries):
            slope = torch.randn(tasks, 1, 1, generator=rng)
            x = torch.randn(tasks, shots + queries, 1, generator=rng)
            both = Examples(x, slope * x)
            return Shots(
                *(
                    Examples(*(v[:, i] for v in both))
                    for i in (slice(shots), slice(shots, None))
                )
            )

    rng = torch.Generator().manual_seed(0)
    support, query = Lines().sample("held-out", 2, rng, shots=3, queries=4)
    assert support.x.shape == (2, 3, 1)
    assert query.y.shape == (2, 4, 1)
    with pytest.raises(TypeError, match="abstract"):
        SupervisedFamily()  # pyright: ignore

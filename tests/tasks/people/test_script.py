"""The script of a person: the path of least jerk, and what makes them content."""

import math

import pytest
import torch
from torch import Tensor

from tasks.people import script


def values(count: int = 1, **given: float) -> dict[str, Tensor]:
    usual = {
        "direction": 0.0,
        "handed": 0.0,
        "height": 0.4,
        "reach_time": 0.8,
        "hesitation": 0.4,
        "grip": 6.0,
        "style": 0.0,
    }
    return {k: torch.full((count,), v) for k, v in (usual | given).items()}


def test_the_path_of_least_jerk_rests_at_both_ends_and_is_fastest_half_way() -> None:
    s = torch.linspace(0, 1, 1001, dtype=torch.float64, requires_grad=True)
    x = script.minimum_jerk(s)
    (speed,) = torch.autograd.grad(x.sum(), s, create_graph=True)
    (acceleration,) = torch.autograd.grad(speed.sum(), s)
    ends = [0, -1]
    assert x[ends].tolist() == [0, 1]
    torch.testing.assert_close(speed[ends], torch.zeros(2).double())
    torch.testing.assert_close(acceleration[ends], torch.zeros(2).double())
    assert speed.argmax() == 500
    torch.testing.assert_close(speed.max(), torch.tensor(1.875).double())
    assert script.minimum_jerk(torch.tensor([-1.0, 2.0])).tolist() == [0, 1]


def test_a_reach_has_the_least_jerk_of_all_that_end_alike() -> None:
    """Any bump that keeps place, speed and acceleration at both ends adds jerk."""
    s = torch.linspace(0, 1, 2001, dtype=torch.float64)
    path = script.minimum_jerk(s)

    def cost(x: Tensor) -> float:
        third = torch.diff(x, n=3) / (s[1] - s[0]) ** 3
        return float(third.square().mean())

    for power in (3, 4):
        bump = s**power * (1 - s) ** 3
        for sign in (-0.3, 0.3):
            assert cost(path + sign * bump) > cost(path)
    assert math.isclose(cost(path), 720, rel_tol=0.01)


def test_a_steady_hand_waits_until_its_patience_ends() -> None:
    v, time = values(100), torch.linspace(0, 2.5, 100)
    out = script.reached(v, time)
    there = (time >= 0.8) & (time <= 0.8 + 0.4 + script.PATIENCE)
    assert (out[there] > 0.999).all()
    assert (out[time < 0.7] < 0.999).all()
    assert out[-1] < 1e-3


def test_an_impatient_hand_draws_back_and_comes_again() -> None:
    v, time = values(200, style=1.0), torch.linspace(0, 2.5, 200)
    out = script.reached(v, time)
    turn = 0.8 + (script.PAUSE + script.AGAIN) / 2
    assert abs(out[(time - turn).abs().argmin()] - (1 - script.DIP)) < 0.02
    again = 0.8 + script.AGAIN
    ready = script.ready(v)
    torch.testing.assert_close(ready, torch.full((200,), again + 0.2))
    assert (out[(time > again) & (time < ready + script.PATIENCE)] > 0.999).all()


@pytest.mark.parametrize(("handed", "side"), [(0.0, -1), (1.0, 1)])
def test_a_hand_is_held_out_on_its_own_side(handed: float, side: int) -> None:
    """The person faces the robot, whose y points to its left."""
    v, stand = values(handed=handed), torch.tensor([0.03])
    at = script.place(v, stand, torch.ones(1))[0]
    expected = torch.tensor([script.PLACE_X, 0.03 + side * script.SIDE, 0.4])
    torch.testing.assert_close(at, expected)
    at_rest = script.place(v, stand, torch.zeros(1))[0].tolist()
    assert at_rest == pytest.approx([script.REST[0], 0.03, script.REST[1]])


@pytest.mark.parametrize(
    ("after", "force", "pleased"),
    [
        (0.0, 8.0, True),
        (script.PATIENCE, 8.0, True),
        (-0.05, 8.0, False),
        (script.PATIENCE + 0.05, 8.0, False),
        (0.2, 6.1, True),
        (0.2, 11.9, True),
        (0.2, 5.9, False),
        (0.2, 12.1, False),
    ],
)
def test_people_want_their_moment_and_their_strength(
    after: float, force: float, pleased: bool
) -> None:
    """Ready at 1.25 s, content with 6 to 12 N."""
    v = values(hesitation=0.45)
    off = script.judged(v, script.ready(v) + after, torch.tensor([force]))
    assert script.content(off).tolist() == [pleased]

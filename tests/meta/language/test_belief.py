"""Beliefs: their JSON, and how they weigh tasks that training draws."""

import math

import pytest
import torch

from meta.language.belief import (
    Belief,
    Names,
    Number,
    clipped,
    log_weights,
    read_belief,
)
from tasks.parameters import Choice, Scalar

OFFSET = Scalar(name="offset", unit="m", low=-1.0, high=1.0)
FRICTION = Scalar(name="friction", unit="1", low=0.1, high=1.0, log=True)
KIND = Choice(
    name="kind",
    options=("a", "b"),
    unseen=("c",),
    traits={"a": (0.0,), "b": (1.0,), "c": (2.0,)},
)
ALL = (OFFSET, FRICTION, KIND)


def test_json_there_and_back() -> None:
    belief = Belief(
        about={
            "offset": Number(mean=0.5, std=0.1, unit="m"),
            "kind": Names(probability={"a": 0.25, "b": 0.75}),
        }
    )
    assert read_belief(belief.to_json(), ALL) == belief


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "not json",
        '{"mass": {"mean": 1, "std": 1}}',
        '{"offset": {"mean": 1}}',
        '{"offset": {"mean": 1, "std": 0}}',
        '{"offset": {"mean": NaN, "std": 1}}',
        '{"offset": {"mean": 0.1, "std": 1, "unit": "half lengths"}}',
        '{"kind": {"a": 0.5}}',
        '{"kind": {"nothing": 1.0}}',
        '{"kind": {"a": 2.0, "b": -1.0}}',
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a belief"):
        read_belief(text, ALL)


def test_a_number_out_of_range_is_clipped_and_less_sure() -> None:
    number = clipped(Number(mean=1.3, std=0.4), OFFSET)
    assert number.mean == 1.0
    assert number.std == pytest.approx(0.5)  # 3-4-5
    assert clipped(Number(mean=9.0, std=0.1), OFFSET).std == 2.0  # the whole range


def test_lengths_are_told_in_another_scene() -> None:
    half_length = 0.06  # [m]
    told = Number(mean=-0.03, std=0.006, unit="m").times(
        1 / half_length, "half lengths"
    )
    assert told.mean == pytest.approx(-0.5)
    assert told.std == pytest.approx(0.1)
    assert told.unit == "half lengths"


def imagined(count: int = 20_000) -> torch.Tensor:
    u = torch.rand(count, 3, generator=torch.Generator().manual_seed(0))
    return torch.stack([2 * u[:, 0] - 1, 10 ** (u[:, 1] - 1), (2 * u[:, 2]).floor()], 1)


def test_a_gaussian_weighs_to_its_own_mean_and_spread() -> None:
    numbers = imagined()
    belief = Belief(about={"offset": Number(mean=0.2, std=0.1)})
    weights = log_weights(belief, ALL, numbers, doubt=0.0).softmax(0)
    mean = weights @ numbers[:, 0].double()
    spread = (weights @ (numbers[:, 0].double() - mean).square()).sqrt()
    assert mean.item() == pytest.approx(0.2, abs=0.01)
    assert spread.item() == pytest.approx(0.1, abs=0.01)


def test_where_training_draws_the_logarithm_moments_are_kept_too() -> None:
    numbers = imagined()
    belief = Belief(about={"friction": Number(mean=0.4, std=0.08)})
    weights = log_weights(belief, ALL, numbers, doubt=0.0).softmax(0)
    mean = weights @ numbers[:, 1].double()
    assert mean.item() == pytest.approx(0.4, abs=0.01)


def test_doubt_keeps_its_share_of_every_task() -> None:
    numbers = imagined()
    belief = Belief(about={"kind": Names(probability={"a": 1.0})})
    weights = log_weights(belief, ALL, numbers, doubt=0.3).softmax(0)
    wrong = weights[numbers[:, 2] == 1].sum().item()
    assert wrong == pytest.approx((0.7 * 0.03 + 0.3) / 2, abs=0.01)
    assert log_weights(belief, ALL, numbers, doubt=1.0).abs().max() < 1e-6


def test_a_belief_may_be_wrong_in_all_that_it_says_at_once() -> None:
    """One word that is refuted makes the others count less."""
    numbers = imagined()
    belief = Belief(
        about={
            "offset": Number(mean=0.8, std=0.05),
            "kind": Names(probability={"a": 1.0}),
        }
    )
    weights = log_weights(belief, ALL, numbers, doubt=0.3).softmax(0)
    for refuted, most in ((numbers[:, 0] > 0.7, 0.99), (numbers[:, 0] < 0, 0.6)):
        own = weights[refuted]
        assert own[numbers[refuted, 2] == 0].sum() / own.sum() <= most
    held = weights[numbers[:, 0] > 0.7]
    assert held[numbers[numbers[:, 0] > 0.7, 2] == 0].sum() / held.sum() > 0.9


def test_no_opinion_and_options_that_training_lacks_say_nothing() -> None:
    numbers = imagined(100)
    unseen = Belief(about={"kind": Names(probability={"c": 1.0})})
    for belief in (Belief(), unseen):
        assert log_weights(belief, ALL, numbers).abs().max() == 0


def test_a_belief_about_something_else_is_refused() -> None:
    belief = Belief(about={"colour": Number(mean=0.0, std=1.0)})
    with pytest.raises(ValueError, match=r"about colour.*offset, friction, kind"):
        log_weights(belief, ALL, imagined(10))


def test_likely_names_hold_nine_tenths() -> None:
    names = Names(probability={"a": 0.3, "b": 0.65, "c": 0.05})
    assert names.best == "b"
    assert names.likely == ("b", "a")


def test_intervals_hold_nine_tenths_of_a_gaussian() -> None:
    low, high = Number(mean=1.0, std=2.0).interval
    inside = math.erf((high - 1.0) / 2.0 / math.sqrt(2))
    assert inside == pytest.approx(0.9, abs=1e-4)
    assert low == pytest.approx(2 - high)

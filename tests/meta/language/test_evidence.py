"""Evidence: words and steps meet as prior and likelihood."""

import math
from dataclasses import replace

import pytest
import torch

from meta.language.belief import Belief, Names, Number, log_weights
from meta.language.evidence import Evidence
from tasks.parameters import Choice, Scalar

PLACE = Scalar(name="place", unit="m", low=-1.0, high=1.0)
SIDE = Choice(name="side", options=("left", "right"))
SPREAD = 0.2  # of the inference around the truth


def evidence(count: int = 4000) -> Evidence:
    """After 0 steps nothing is inferred, after 10 the place, with a known spread."""
    place = torch.linspace(-1, 1, count)
    side = (torch.arange(count) % 2).float()
    eye = torch.eye(1)
    return Evidence(
        checksum="",
        parameters=(PLACE, SIDE),
        numbers=torch.stack([place, side], dim=1),
        latents=place[:, None],
        steps=torch.tensor([0, 10]),
        slope=torch.stack([0 * eye, eye]),
        offset=torch.zeros(2, 1),
        whiten=torch.stack([eye, eye / SPREAD]),
        factor=torch.tensor([[1.0, 1.0], [2.0, 1.0]]),
        least=torch.zeros(2, 2),
        skill=torch.tensor([[0.0, 0.0], [0.9, 0.0]]),
    )


def told(mean: float, std: float) -> torch.Tensor:
    e = evidence()
    belief = Belief(about={"place": Number(mean=mean, std=std)})
    return log_weights(belief, e.parameters, e.numbers, doubt=0.0).float()[None]


def test_no_opinion_leaves_the_inference_as_it_is() -> None:
    latent = torch.tensor([[0.3], [5.0]])
    for steps in (0, 3, 10, 99):
        after = evidence().told(latent, steps, torch.zeros(2, 4000))
        assert torch.equal(after, latent)


def test_without_steps_what_is_told_counts_alone() -> None:
    after = evidence().told(torch.zeros(1, 1), 0, told(0.4, 0.05))
    assert after.item() == pytest.approx(0.4, abs=0.01)


def test_two_gaussians_meet_by_their_precisions() -> None:
    """Prior N(0.1, 0.1), inferred 0.4 with spread 0.2: mean (0.1 * 4 + 0.4) / 5."""
    after = evidence().told(torch.tensor([[0.4]]), 10, told(0.1, 0.1))
    assert after.item() == pytest.approx(0.16, abs=0.01)


def test_a_belief_that_the_steps_refute_is_dropped_for_its_doubt() -> None:
    e = evidence()
    belief = Belief(about={"place": Number(mean=-0.9, std=0.05)})
    prior = log_weights(belief, e.parameters, e.numbers, doubt=0.1).float()[None]
    after = e.told(torch.tensor([[0.6]]), 10, prior)
    assert after.item() == pytest.approx(0.6, abs=0.02)


def test_what_is_believed_is_in_units_and_widened_by_the_factor() -> None:
    [belief] = evidence().believe(torch.tensor([[0.2]]), 10)
    place = belief.about["place"]
    assert isinstance(place, Number)
    assert place.unit == "m"
    assert place.mean == pytest.approx(0.2, abs=0.01)
    assert place.std == pytest.approx(2 * SPREAD, abs=0.02)


def test_what_was_told_is_as_sure_as_it_was_said() -> None:
    e = replace(evidence(), least=torch.full((2, 2), 0.5))
    [after] = e.believe(torch.tensor([[0.1]]), 10, told(0.1, 0.02))
    place = after.about["place"]
    assert isinstance(place, Number)
    assert place.std == pytest.approx(0.02, abs=0.001)


def test_what_steps_tell_nothing_of_is_left_out() -> None:
    assert set(evidence().believe(torch.zeros(1, 1), 10)[0].about) == {"place"}
    assert not evidence().believe(torch.zeros(1, 1), 0)[0].about


def test_what_was_told_is_spoken_of_whatever_the_skill() -> None:
    e = evidence()
    belief = Belief(about={"side": Names(probability={"left": 0.8, "right": 0.2})})
    prior = log_weights(belief, e.parameters, e.numbers, doubt=0.0).float()[None]
    [after] = e.believe(torch.zeros(1, 1), 10, prior, told=["side"])
    side = after.about["side"]
    assert isinstance(side, Names)
    assert side.probability["left"] == pytest.approx(0.8, abs=0.01)


def test_steps_between_two_numbers_count_as_the_fewer() -> None:
    e = evidence()
    assert [e.at(n) for n in (0, 9, 10, 500)] == [0, 0, 1, 1]
    far = e.log_likelihood(torch.tensor([[1.0]]), 1)
    assert far[0, -1] - far[0, 0] == pytest.approx((2 / SPREAD) ** 2 / 2, rel=1e-3)
    assert math.isclose(e.log_likelihood(torch.tensor([[1.0]]), 0).std().item(), 0)

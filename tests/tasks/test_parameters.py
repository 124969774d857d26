"""Parameters: `decode` is the inverse of `encode`."""

import pytest
import torch

from tasks.parameters import Choice, Parameter, Scalar, Scaled
from tasks.registry import find_family
from tasks.strict_json import parse_json

FRICTION = Scalar(name="friction", unit="1", low=0.04, high=0.13, log=True)
OFFSET = Scalar(name="offset", unit="m", low=-0.05, high=0.03)


@pytest.mark.parametrize("parameter", [FRICTION, OFFSET, Scaled(of=OFFSET, factor=0.5)])
def test_numbers_survive_a_round_trip(parameter: Parameter) -> None:
    numbers = torch.tensor([0.03, 0.05, 0.2])  # beyond the range, too
    assert torch.allclose(parameter.decode(parameter.encode(numbers)), numbers)


def test_decoding_keeps_the_batch() -> None:
    assert OFFSET.decode(torch.zeros(4, 3, 1)).shape == (4, 3)
    assert torch.allclose(OFFSET.decode(torch.zeros(1)), torch.tensor(-0.01))


def test_a_number_that_never_varies_decodes_to_itself() -> None:
    still = Scalar(name="mass", unit="kg", low=2.0, high=2.0)
    assert still.decode(still.encode(torch.tensor([2.0]))).tolist() == [2.0]


@pytest.mark.parametrize("traits", [None, {"a": (0.0, 1.0), "b": (1.0, 0.0)}])
def test_options_survive_a_round_trip_with_noise(
    traits: dict[str, tuple[float, ...]] | None,
) -> None:
    choice = Choice(name="kind", options=("a", "b"), traits=traits)
    index = torch.tensor([0.0, 1.0, 1.0])
    noise = 0.4 * torch.tensor([[1.0, -1.0]])
    assert choice.decode(choice.encode(index) + noise).tolist() == [0, 1, 1]


def test_unseen_options_decode_by_their_traits() -> None:
    mechanism = find_family("open").hidden[0]
    index = torch.arange(10.0)
    assert torch.equal(mechanism.decode(mechanism.encode(index)), index)
    assert mechanism.decode(torch.zeros(2, 5, 3)).shape == (2, 5)


@pytest.mark.parametrize("value", [True, "1", float("nan"), None])
def test_a_number_is_finite_and_no_truth_value(value: object) -> None:
    p = Scalar(name="mass", unit="kg", low=0.0, high=2.0)
    with pytest.raises(ValueError, match=r"'mass' takes a finite number \[kg\]"):
        p.check(value)


def test_json_that_names_something_twice_is_refused() -> None:
    assert parse_json('{"a": {"b": 1}, "b": 2}') == {"a": {"b": 1}, "b": 2}
    with pytest.raises(ValueError, match="'b' is named twice"):
        parse_json('{"a": {"b": 1, "b": 2}}')

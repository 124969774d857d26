"""Calibration: what is said of options is as sure as it is right."""

import torch

from meta.evaluation.calibration import _exponent


def tasks(right: float, sure: float, count: int = 1000) -> tuple[torch.Tensor, ...]:
    """Two options: the first has the probability `sure`, and is right so often."""
    share = torch.tensor([[sure, 1 - sure]]).expand(count, 2)
    first = torch.arange(count) < right * count
    actual = torch.stack([first, ~first], dim=1).float()
    return share, actual


def test_sure_and_right_stays_as_it_is() -> None:
    assert _exponent(*tasks(right=0.95, sure=0.97)) == 1.0


def test_surer_than_right_is_made_less_sure() -> None:
    """0.97 against 0.03 is less than 0.9 from an exponent of 0.6 on."""
    assert _exponent(*tasks(right=0.6, sure=0.97)) == 0.6


def test_unsure_holds_both() -> None:
    assert _exponent(*tasks(right=0.6, sure=0.7)) == 1.0

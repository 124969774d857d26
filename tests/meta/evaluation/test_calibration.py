"""Calibration: what is said of options is as sure as it is right."""

from dataclasses import replace

import torch

from meta.evaluation.calibration import _calibrated, _exponent
from meta.language.belief import Number
from meta.language.evidence import Evidence
from tasks.parameters import Scalar


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


def test_where_one_imagined_task_has_all_the_weight_90_percent_hold() -> None:
    """A thousandth of the range is told apart, by 60 imagined tasks: no factor helps.

    What is left is the distance to the nearest of them.
    """
    rng = torch.Generator().manual_seed(0)
    imagined, true, fresh = (torch.rand(n, 1, generator=rng) for n in (60, 400, 400))
    eye = torch.eye(1)[None]
    blank = torch.ones(1, 1)
    evidence = Evidence(
        checksum="",
        parameters=(Scalar(name="place", unit="m", low=0.0, high=1.0),),
        numbers=imagined,
        latents=imagined,
        steps=torch.tensor([0]),
        slope=eye,
        offset=torch.zeros(1, 1),
        whiten=1000 * eye,
        factor=blank,
        least=0 * blank,
        skill=blank,
    )
    factor, least, _ = _calibrated(evidence, [true], true)
    assert factor.item() == 1.0
    found = replace(evidence, factor=factor, least=least).believe(fresh, 0)
    said = [x for b in found if isinstance(x := b.about["place"], Number)]
    held = [
        x.interval[0] <= actual <= x.interval[1]
        for x, actual in zip(said, fresh[:, 0].tolist(), strict=True)
    ]
    assert 0.85 < sum(held) / len(held) < 0.95
    assert max(x.std for x in said) < 0.05

"""Bounds of settings: each is refused by itself, as it is written."""

from types import SimpleNamespace

import numpy as np
import pytest

from meta.bounds import check_bounds

BOUNDS = ("rate > 0", "2 <= width <= 4,096", "0 <= share < 1")


def made(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"rate": 0.1, "width": 2, "share": 0} | changes)


def test_what_is_within_is_allowed_to_the_ends() -> None:
    check_bounds(made(), *BOUNDS)
    check_bounds(made(width=4096, share=0.999, rate=1e-9), *BOUNDS)
    check_bounds(made(width=np.int64(5), rate=np.float32(0.1)), *BOUNDS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 0}, "need rate > 0, got 0"),
        ({"rate": float("nan")}, "need rate > 0, got nan"),
        ({"rate": -1, "width": 1}, "need rate > 0, got -1"),
        ({"width": 1}, "need 2 <= width <= 4,096, got 1"),
        ({"width": 4097}, "need 2 <= width <= 4,096, got 4097"),
        ({"share": 1.0}, "need 0 <= share < 1, got 1.0"),
        ({"share": "half"}, "need 0 <= share < 1, got 'half'"),
    ],
)
def test_the_first_that_is_not_is_named_alone(changes: dict, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (its text is compared)
        check_bounds(made(**changes), *BOUNDS)
    assert str(caught.value) == said

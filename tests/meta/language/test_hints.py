"""Hints to learn from: calibrated, but for those that are wrong as often as said."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from meta.language.belief import Belief, Names, Number, within
from meta.language.hints import HintCfg, draw_hints
from tasks.registry import find_family
from tasks.task import Task

OPEN, STRIKE = find_family("open"), find_family("strike")
TRUE = HintCfg(wrong=0.0, silent=0.0, missing=0.0, sure=(0.3, 0.95))


def drawn(cfg: HintCfg, count: int = 600) -> tuple[Sequence[Task], list[Belief]]:
    tasks = OPEN.sample("train", 8, count)
    rng = np.random.default_rng(5)
    return tasks, draw_hints(OPEN.hidden, tasks, cfg, rng)


def near(belief: Belief) -> Belief:
    """The belief with numbers that are as sure as a thousandth of their mean."""
    about = {
        k: replace(x, std=1e-3 * abs(x.mean) + 1e-6) if isinstance(x, Number) else x
        for k, x in belief.about.items()
    }
    return Belief(about=about)


def test_of_numbers_that_are_right_nine_in_ten_lie_within_ninety_percent() -> None:
    tasks, hints = drawn(TRUE)
    held = [
        within(x, t.parameters[name])
        for t, b in zip(tasks, hints, strict=True)
        for name, x in b.about.items()
        if isinstance(x, Number)
    ]
    assert len(held) >= 1200
    # a little over: means are kept within the range
    assert np.mean(held) == pytest.approx(0.9, abs=0.03)


def test_names_are_right_as_often_as_they_are_sure() -> None:
    tasks, hints = drawn(TRUE, 1500)
    said = [(b.about["mechanism"], t) for t, b in zip(tasks, hints, strict=True)]
    sure, right = [], []
    for x, t in said:
        assert isinstance(x, Names)
        top = max(x.probability.values())
        sure.append(top)
        right.append(x.best == t.parameters["mechanism"])
    assert min(sure) < 0.35
    assert np.mean(right) == pytest.approx(np.mean(sure), abs=0.04)


def test_shares_are_those_asked_for() -> None:
    tasks, hints = drawn(
        HintCfg(
            wrong=0.5, silent=0.2, missing=0.4, spread=(1e-6, 1e-6), sure=(1.0, 1.0)
        )
    )
    silent = [not b.about for b in hints]
    said = [(t, b) for t, b in zip(tasks, hints, strict=True) if b.about]
    # a number that is right is off by its tiny spread, and by more in one of ten
    wrong = [not near(b).holds(t.parameters) for t, b in said]
    spoken = np.mean([len(b.about) for _, b in said]) / len(OPEN.hidden)
    # 0.2, and those in which every parameter was left out
    assert np.mean(silent) == pytest.approx(0.2 + 0.8 * 0.4**4, abs=0.05)
    # another task may have the mechanism that alone was said
    assert np.mean(wrong) == pytest.approx(0.5 / 0.8, abs=0.06)
    assert spoken == pytest.approx(0.6 / (1 - 0.4**4), abs=0.03)


def test_the_same_numbers_draw_the_same_hints() -> None:
    tasks = STRIKE.sample("train", 1, 20)
    one, two = (
        draw_hints(STRIKE.hidden, tasks, HintCfg(), np.random.default_rng(3))
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize(
    "given",
    [
        {"wrong": 0.7, "silent": 0.4},
        {"missing": 1.2},
        {"wrong": -0.1},
        {"spread": (0.0, 0.1)},
        {"spread": (0.3, 0.1)},
        {"sure": (0.5, 1.5)},
    ],
)
def test_what_are_no_shares_is_refused(given: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        HintCfg(**given)

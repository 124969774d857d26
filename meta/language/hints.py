"""Hints to learn from: noisy, partly missing and partly wrong.

A policy that is to know how far it can trust what it is told is trained on beliefs
about its tasks of which some say little, some nothing, and some are another task's. A
number is drawn as far from the truth as its standard deviation says, and a name is
right as often as its probability says: a hint that is not wrong is calibrated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meta.language.belief import Belief, Names, Number, scalar_of
from meta.language.scale import Scale
from tasks.parameters import Choice, Parameter, Value
from tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class HintCfg:
    """Shares and spreads of the hints that a policy is trained on."""

    wrong: float = 0.4
    """Share of hints that are another task's."""
    silent: float = 0.15
    """Share of tasks that nothing is said of."""
    missing: float = 0.3
    """Share of the parameters that the other hints leave out, each apart."""
    spread: tuple[float, float] = (0.02, 0.3)
    """Least and greatest standard deviation of a number, as shares of its range; drawn
    log-uniformly."""
    sure: tuple[float, float] = (0.5, 1.0)
    """Least and greatest probability of the name that is said; drawn uniformly."""

    def __post_init__(self) -> None:
        """Refuse what are no shares."""
        shares = (self.wrong, self.silent, self.missing)
        if min(shares) < 0 or self.missing > 1 or self.wrong + self.silent > 1:
            raise ValueError(
                "wrong, silent and missing are shares, the first two of the same "
                f"whole; got {self.wrong}, {self.silent} and {self.missing}"
            )
        if not (
            0 < self.spread[0] <= self.spread[1]
            and 0 <= self.sure[0] <= self.sure[1] <= 1
        ):
            raise ValueError(
                "spread and sure are a least and a greatest, the first above 0, the "
                f"second probabilities; got {self.spread} and {self.sure}"
            )


def draw_hints(
    parameters: Sequence[Parameter],
    tasks: Sequence[Task],
    cfg: HintCfg,
    rng: np.random.Generator,
) -> list[Belief]:
    """Return a hint about each task.

    Args:
        parameters: the hidden parameters.
        tasks: at least two, where some hints are to be wrong.
        cfg: shares and spreads.
        rng: draws all of it.
    """
    found: list[Belief] = []
    for place, task in enumerate(tasks):
        drawn = rng.random()
        if drawn < cfg.silent:
            found.append(Belief())
            continue
        about = task
        if drawn < cfg.silent + cfg.wrong and len(tasks) > 1:
            about = tasks[(place + int(rng.integers(1, len(tasks)))) % len(tasks)]
        said = {
            p.name: x
            for p in parameters
            if rng.random() >= cfg.missing
            and (x := _said(p, about.parameters[p.name], cfg, rng))
        }
        found.append(Belief(about=said))
    return found


def _said(
    parameter: Parameter, value: Value, cfg: HintCfg, rng: np.random.Generator
) -> Number | Names | None:
    """Return what is said of a parameter; nothing of one that never varies."""
    if isinstance(parameter, Choice):
        others = [o for o in parameter.options if o != value]
        if not others:
            return None
        sure = rng.uniform(*cfg.sure)
        right = rng.random() < sure
        best = str(value) if right else others[int(rng.integers(len(others)))]
        rest = (1 - sure) / len(others)
        each = {o: sure if o == best else rest for o in parameter.options}
        return Names(probability=each)
    scalar = scalar_of(parameter)
    if scalar is None or scalar.low == scalar.high:
        return None
    scale = Scale(scalar)
    place, _ = scale.place(Number(mean=float(value), std=1.0))
    least, most = (math.log(s) for s in cfg.spread)
    spread = math.exp(rng.uniform(least, most))
    return scale.number(float(np.clip(rng.normal(place, spread), 0, 1)), spread)

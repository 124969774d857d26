"""Beliefs: hidden parameters as mean and standard deviation, in physical units.

A belief says something about some of a family's hidden parameters and nothing about the
others. About a number it has a mean and a standard deviation; about a choice among
names, the probability of each. A belief is a prior and never a limit: `log_weights`
keeps a share of doubt, in which the task may be any that training draws.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.parameters import Choice, Parameter, Scalar, Scaled
from tasks.strict_json import BROKEN, parse_json

WITHIN_90 = 1.6449
"""Standard deviations on either side of a mean that hold 90 % of a Gaussian."""
DOUBT = 0.3
"""Share of doubt about a belief, unless another is asked for."""
_APART = 0.1
"""Share of the doubt that there is about each parameter apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number that is believed to lie about somewhere."""

    mean: float
    std: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers that are not finite, and spreads of nothing."""
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ValueError(
                "a believed number has a finite mean and a standard deviation > 0, got "
                f"{self.mean} and {self.std}"
            )

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval that holds it with a probability of 0.9."""
        return self.mean - WITHIN_90 * self.std, self.mean + WITHIN_90 * self.std

    def times(self, factor: float, unit: str) -> "Number":
        """Return the number in another unit, of which one is `factor` of the old."""
        return Number(mean=factor * self.mean, std=abs(factor) * self.std, unit=unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """One of some names, each with its probability."""

    probability: Mapping[str, float]
    """By name; they sum to 1."""

    def __post_init__(self) -> None:
        """Refuse what are no probabilities."""
        given = list(self.probability.values())
        sound = all(math.isfinite(p) and p >= 0 for p in given)
        if not sound or abs(sum(given) - 1) > 1e-3:
            raise ValueError(
                "probabilities are at least 0 and sum to 1, got "
                f"{dict(self.probability)}"
            )

    @property
    def best(self) -> str:
        """The most probable name."""
        return max(self.probability, key=self.probability.__getitem__)

    @property
    def likely(self) -> tuple[str, ...]:
        """The fewest names, most probable first, that hold a probability of 0.9."""
        kept: list[str] = []
        total = 0.0
        for name in sorted(self.probability, key=lambda n: -self.probability[n]):
            kept.append(name)
            total += self.probability[name]
            if total >= 0.9:
                break
        return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A belief about some hidden parameters, and about no others."""

    about: Mapping[str, Number | Names] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By name of the parameter."""

    def to_json(self) -> str:
        """Return the belief as JSON, which `read_belief` reads."""
        return json.dumps({name: _plain(x) for name, x in self.about.items()})

    def holds(self, values: Mapping[str, float | str]) -> bool:
        """Tell whether a task's parameters all lie within the belief's 90 %."""
        return all(within(x, values[name]) for name, x in self.about.items())


def within(believed: Number | Names, value: float | str) -> bool:
    """Tell whether a value lies within the 90 % of what is believed of it."""
    if isinstance(believed, Names):
        return value in believed.likely
    low, high = believed.interval
    return low <= float(value) <= high


def scalar_of(parameter: Parameter) -> Scalar | None:
    """Return the number that a parameter draws, or None if it draws none."""
    match parameter:
        case Scalar():
            return parameter
        case Scaled():
            return parameter.of
        case _:
            return None


def read_belief(text: str, parameters: Sequence[Parameter]) -> Belief:
    """Read a belief's JSON about some parameters.

    A number is {"mean": ..., "std": ...} in the parameter's unit, a choice among names
    {"NAME": probability, ...}. Means outside the training range are clipped to it, with
    the spread widened by as much.

    Raises:
        ValueError: for anything else, or a parameter that is not among them.
    """
    try:
        belief = parsed_belief(as_object(parse_json(text), "it"), parameters)
    except BROKEN as error:
        raise ValueError(f"not a belief: {error}") from error
    return trained_on(belief, parameters)


def parsed_belief(raw: Mapping[str, Any], parameters: Sequence[Parameter]) -> Belief:
    """Return the belief in JSON that has been parsed, with its numbers as they are.

    Raises:
        ValueError: for what `read_belief` refuses; and `BROKEN` for another shape.
    """
    about = {
        name: _parsed(name, as_object(x, repr(name)), parameters)
        for name, x in raw.items()
    }
    return Belief(about=about)


def as_object(raw: object, name: str) -> Mapping[str, Any]:
    """Return an object of parsed JSON, or raise ValueError naming what is none."""
    if not isinstance(raw, dict):
        raise ValueError(f"{name} is a JSON object, got {raw!r:.50}")
    return cast("dict[str, Any]", raw)


def _parsed(
    name: str, raw: Mapping[str, Any], parameters: Sequence[Parameter]
) -> Number | Names:
    known = {p.name: p for p in parameters}
    if name not in known:
        raise ValueError(f"no parameter {name!r}; parameters: {', '.join(known)}")
    parameter = known[name]
    if isinstance(parameter, Choice):
        given = {parameter.check(k): float(v) for k, v in raw.items()}
        return Names(probability=given)
    if not {"mean", "std"} <= set(raw) <= {"mean", "std", "unit"}:
        raise ValueError(f"{name!r} takes a mean and a std, got {', '.join(raw)}")
    scalar = scalar_of(parameter)
    unit = scalar.unit if scalar else ""
    if raw.get("unit", unit) != unit:
        raise ValueError(f"{name!r} is in {unit!r}, got {raw['unit']!r}")
    check = scalar.check if scalar else float
    return Number(mean=check(raw["mean"]), std=check(raw["std"]), unit=unit)


def trained_on(belief: Belief, parameters: Sequence[Parameter]) -> Belief:
    """Return a belief whose means lie where training draws; see `clipped`."""
    scalars = {p.name: scalar_of(p) for p in parameters}
    about = dict(belief.about)
    for name, x in belief.about.items():
        scalar = scalars.get(name)
        if scalar and isinstance(x, Number):
            about[name] = clipped(x, scalar)
    return Belief(about=about)


def clipped(number: Number, scalar: Scalar) -> Number:
    """Return a number with its mean in the training range, wider by what was cut off.

    No wider than the range itself: then nothing is said.
    """
    mean = min(max(number.mean, scalar.low), scalar.high)
    most = max(scalar.high - scalar.low, 1e-9)
    std = min(math.hypot(number.std, number.mean - mean), most)
    return Number(mean=mean, std=std, unit=scalar.unit)


def log_weights(
    belief: Belief,
    parameters: Sequence[Parameter],
    numbers: Float[Tensor, "imagined parameter"],
    doubt: float = DOUBT,
) -> Float[Tensor, "imagined"]:
    """Return how much more probable a belief makes tasks that training draws.

    With p the density of training and q that of the belief (a Gaussian, in the
    logarithm where training draws it so), this is log((1 - doubt) r + doubt), where r
    is the product of q / p over the parameters. Each of them has a tenth of the doubt
    by itself: a belief may be wrong in all that it says, or in a part.

    Args:
        belief: the belief.
        parameters: what the columns of `numbers` are.
        numbers: parameters of tasks drawn by training; choices as their index.
        doubt: share of the training distribution that stays, 0 to 1.

    Raises:
        ValueError: for a belief about another parameter, or a doubt outside [0, 1].
    """
    if not 0 <= doubt <= 1:
        raise ValueError(f"doubt is a share, 0 to 1, got {doubt}")
    names = [p.name for p in parameters]
    strange = set(belief.about) - set(names)
    if strange:
        raise ValueError(
            f"a belief about {', '.join(sorted(strange))}, where the hidden parameters "
            f"are {', '.join(names)}"
        )
    total = torch.zeros(len(numbers), dtype=torch.float64, device=numbers.device)
    if not belief.about:
        return total  # to the bit, which the rounding of a doubt is not
    for i, parameter in enumerate(parameters):
        if parameter.name in belief.about:
            x = numbers[:, i].double()
            log_q = _log_density(belief.about[parameter.name], parameter, x)
            total += _doubted(log_q, _APART * doubt)
    return _doubted(total, doubt)


def _doubted(
    log_q: Float[Tensor, "imagined"], doubt: float
) -> Float[Tensor, "imagined"]:
    """Return log((1 - doubt) r + doubt), with r the density over its mean.

    Nothing at all if it is 0 everywhere: of options that training does not draw.
    """
    most = log_q.logsumexp(0)
    if not most.isfinite():
        return torch.zeros_like(log_q)
    share = torch.tensor([1 - doubt, doubt], device=log_q.device).double().log()
    ratio = log_q - most + math.log(len(log_q))
    return torch.logaddexp(share[0] + ratio, share[1].expand_as(ratio))


def _log_density(
    believed: Number | Names, parameter: Parameter, x: Float[Tensor, "imagined"]
) -> Float[Tensor, "imagined"]:
    if isinstance(believed, Names):
        assert isinstance(parameter, Choice)
        each = [believed.probability.get(name, 0.0) for name in parameter.all]
        return torch.tensor(each, device=x.device).double().log()[x.long()]
    mean, std, scalar = believed.mean, believed.std, scalar_of(parameter)
    if scalar and scalar.log:
        # the log-normal distribution of that mean and spread
        var = math.log1p((std / mean) ** 2)
        mean, std, x = math.log(mean) - var / 2, math.sqrt(var), x.log()
    return -0.5 * ((x - mean) / std) ** 2


def _plain(x: Number | Names) -> dict[str, float | str]:
    if isinstance(x, Names):
        return dict(x.probability)
    return {"mean": x.mean, "std": x.std, "unit": x.unit}

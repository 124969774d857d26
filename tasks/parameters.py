"""Parameters of a task distribution: names, units, and where each split draws from."""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SPLITS = ("train", "held-out", "interpolation", "extrapolation", "unseen")
"""`held-out` draws new tasks from the training ranges, which the next two leave; and
`unseen` draws the shapes or mechanisms that training never shows. `extrapolation:NAME`
leaves the training range of one parameter, and no other's."""
_FORMER = {"unseen-shapes": "unseen"}

Value = float | str
Interval = tuple[float, float]


def current_split(name: str) -> str:
    """Return a split's name, also of one that is given by its former name."""
    return _FORMER.get(name, name)


def split_parts(name: str) -> tuple[str, str]:
    """Return a split, and the one parameter whose range it leaves; empty for all."""
    split, _, alone = current_split(name).partition(":")
    return split, alone


@runtime_checkable
class Parameter(Protocol):
    """One named quantity that differs between the tasks of a family."""

    @property
    def name(self) -> str:
        """Unique within the family."""
        ...

    @property
    def hidden(self) -> bool:
        """True if only the oracle may observe it."""
        ...

    @property
    def width(self) -> int:
        """Number of features in `encode`."""
        ...

    def sample(self, split: str, rng: np.random.Generator) -> Value:
        """Draw one value."""
        ...

    def check(self, value: object) -> Value:
        """Return the value, or raise ValueError naming the parameter."""
        ...

    def number(self, value: Value) -> float:
        """The value as the number that tensors of values hold."""
        ...

    def encode(self, numbers: Float[Tensor, "world"]) -> Float[Tensor, "world width"]:
        """Features for the oracle, about [-1, 1] over the training range."""
        ...

    def decode(
        self, features: Float[Tensor, "*batch width"]
    ) -> Float[Tensor, "*batch"]:
        """Return the numbers that features stand for: the inverse of `encode`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A number drawn uniformly, or log-uniformly, from the intervals of a split."""

    name: str
    unit: str
    low: float
    high: float
    hole: Interval | None = None
    """Interval left out of training, which `interpolation` draws from."""
    beyond: tuple[Interval, ...] = ()
    """Intervals that `extrapolation` draws from."""
    log: bool = False
    hidden: bool = True
    words: tuple[str, ...] = ()
    """Words for fifths of the training range, least first: `meta.language.words`."""

    def __post_init__(self) -> None:
        """Refuse ranges that are empty or overlap."""
        inner = self.hole or (self.low, self.high)
        ordered = self.low <= inner[0] <= inner[1] <= self.high
        apart = all(b <= self.low or a >= self.high for a, b in self.beyond)
        if not (ordered and apart) or (self.log and self.low <= 0):
            raise ValueError(
                f"parameter {self.name!r}: need low <= hole <= high, the intervals "
                f"beyond outside [low, high], and low > 0 if log; got {self}"
            )

    @property
    def width(self) -> int:
        """One feature."""
        return 1

    @property
    def furthest(self) -> float:
        """The greatest absolute value that any split draws."""
        ends = ((self.low, self.high), *self.beyond)
        return max(abs(value) for pair in ends for value in pair)

    def intervals(self, split: str) -> tuple[Interval, ...]:
        """Return the intervals that a split draws from."""
        if split == "extrapolation" and self.beyond:
            return self.beyond
        if self.hole is None:
            return ((self.low, self.high),)
        if split == "interpolation":
            return (self.hole,)
        return ((self.low, self.hole[0]), (self.hole[1], self.high))

    def sample(self, split: str, rng: np.random.Generator) -> float:
        """Draw one value; intervals count by their (log) length."""
        ends, shares = _strata(tuple(map(tuple, self.intervals(split))), self.log)
        if not shares:
            return self.low
        low, high = ends[bisect.bisect_right(shares, rng.random())]
        drawn = rng.uniform(low, high)
        return float(math.exp(drawn) if self.log else drawn)

    def check(self, value: object) -> float:
        """Return the value as a float, or raise ValueError."""
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            raise ValueError(
                f"parameter {self.name!r} takes a finite number [{self.unit}], "
                f"got {value!r}"
            )
        return float(value)

    def number(self, value: Value) -> float:
        """Return the value itself."""
        return self.check(value)

    def encode(self, numbers: Float[Tensor, "world"]) -> Float[Tensor, "world 1"]:
        """Encode the position in the training range, -1 at its low end, 1 at its high.

        A parameter that never varies in training encodes as 0: it tells nothing.
        """
        low, high = self.low, self.high
        if low == high:
            return torch.zeros_like(numbers)[:, None]
        if self.log:
            low, high, numbers = math.log(low), math.log(high), numbers.log()
        half = (high - low) / 2
        return ((numbers - (low + high) / 2) / half)[:, None]

    def decode(self, features: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch"]:
        """Return the numbers [unit]; the only one of a parameter that never varies."""
        low, high = self.low, self.high
        if self.log:
            low, high = math.log(low), math.log(high)
        numbers = (low + high) / 2 + features[..., 0] * (high - low) / 2
        return numbers.exp() if self.log else numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A number in ranges that are shorter by a factor; its encoding does not change."""

    of: Scalar
    factor: float

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.of.name

    @property
    def hidden(self) -> bool:
        """True if the parameter is hidden."""
        return self.of.hidden

    @property
    def width(self) -> int:
        """One feature."""
        return 1

    def sample(self, split: str, rng: np.random.Generator) -> float:
        """Draw one value of the parameter, and shorten it."""
        return self.factor * self.of.sample(split, rng)

    def check(self, value: object) -> float:
        """Return the value as a float, or raise ValueError."""
        return self.of.check(value)

    def number(self, value: Value) -> float:
        """Return the value itself."""
        return self.of.check(value)

    def encode(self, numbers: Float[Tensor, "world"]) -> Float[Tensor, "world 1"]:
        """Encode numbers as the parameter does."""
        return self.of.encode(numbers)

    def decode(self, features: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch"]:
        """Return the numbers, as the parameter does."""
        return self.of.decode(features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A choice among a few names, drawn uniformly."""

    name: str
    options: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    """Options kept for the split `unseen`."""
    traits: Mapping[str, tuple[float, ...]] | None = None
    """Features of each option for the oracle; one-hot if not given. Options that are
    not trained on need traits: training would never show their own one-hot feature."""
    hidden: bool = True
    words: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """Words for options, in the same manner."""

    def __post_init__(self) -> None:
        """Refuse unseen options that an oracle could not make sense of."""
        if self.unseen and set(self.traits or ()) != set(self.all):
            raise ValueError(
                f"parameter {self.name!r} has unseen options and needs traits for "
                f"{', '.join(self.all)}; got {', '.join(self.traits or ()) or 'none'}"
            )

    @property
    def all(self) -> tuple[str, ...]:
        """Every option, in the order in which values are numbered."""
        return self.options + self.unseen

    @property
    def width(self) -> int:
        """One feature an option, or its traits."""
        return len(self.options if not self.traits else self.traits[self.options[0]])

    def sample(self, split: str, rng: np.random.Generator) -> str:
        """Draw one option."""
        pool = self.unseen if split == "unseen" and self.unseen else self.options
        return pool[int(rng.integers(len(pool)))]

    def check(self, value: object) -> str:
        """Return the value, or raise ValueError listing the options."""
        if value not in self.all:
            raise ValueError(
                f"parameter {self.name!r} is one of {', '.join(self.all)}, "
                f"got {value!r}"
            )
        return str(value)

    def number(self, value: Value) -> float:
        """Return the option's index."""
        return float(self.all.index(self.check(value)))

    def encode(self, numbers: Float[Tensor, "world"]) -> Float[Tensor, "world width"]:
        """Return the traits of each world's option, or one-hot features."""
        return self._rows().to(numbers.device)[numbers.long()]

    def decode(
        self, features: Float[Tensor, "*batch width"]
    ) -> Float[Tensor, "*batch"]:
        """Return the index of the option whose features are the nearest."""
        away = features[..., None, :] - self._rows().to(features)
        return away.square().sum(-1).argmin(-1).to(features.dtype)

    def _rows(self) -> Float[Tensor, "option width"]:
        if self.traits is None:
            return torch.eye(len(self.options))
        return torch.tensor([self.traits[n] for n in self.all], dtype=torch.float32)


@cache
def _strata(
    intervals: tuple[tuple[float, ...], ...], log: bool
) -> tuple[list[list[float]], list[float]]:
    """Return the ends to draw between, and how often each interval comes, summed up.

    Without the latter if there is one value alone.
    """
    ends = np.array(intervals)
    ends = np.log(ends) if log else ends
    lengths = ends[:, 1] - ends[:, 0]
    if not lengths.any():
        return [], []
    shares = (lengths / lengths.sum()).cumsum()
    return ends.tolist(), (shares / shares[-1]).tolist()

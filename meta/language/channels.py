"""Channels: what is left of a belief that has been said in so many bits.

Both ends know the family: its parameters, their training ranges, and how sure a sender
usually is. So numbers alone go through `Quantised`, as cells of equal width in the
training range (of the logarithm, where training draws so), and through `Template` the
words of the codebook.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from meta.language.belief import Belief, Names, Number, read_belief, scalar_of
from meta.language.codebook import choices, describe, understand
from meta.language.scale import Scale
from tasks.parameters import Choice, Parameter
from tasks.words import kind

FLOAT = 32
"""Bits of a number at full precision."""
FINEST = 8
"""Most bits that are spent on one number."""


class Payload(NamedTuple):
    """Content that goes through a channel, and its bits."""

    content: str
    bits: int


class Channel(Protocol):
    """A way to say a belief."""

    def encode(self, belief: Belief) -> Payload:
        """Return what is sent."""
        ...

    def decode(self, payload: Payload) -> Belief:
        """Return what is believed by who receives it."""
        ...


class Silence:
    """A channel through which nothing comes."""

    def encode(self, belief: Belief) -> Payload:
        """Return nothing, for no bits."""
        return Payload("", 0)

    def decode(self, payload: Payload) -> Belief:
        """Return the belief that says nothing."""
        return Belief()


@dataclass(frozen=True, slots=True)
class Exact:
    """A channel that passes every mean, spread and probability as a float."""

    parameters: Sequence[Parameter]

    def encode(self, belief: Belief) -> Payload:
        """Return the belief's JSON; counted are its numbers, not its letters."""
        sizes = [
            2 if isinstance(x, Number) else len(x.probability)
            for x in belief.about.values()
        ]
        return Payload(belief.to_json(), FLOAT * sum(sizes))

    def decode(self, payload: Payload) -> Belief:
        """Return the belief."""
        return read_belief(payload.content, self.parameters)


@dataclass(frozen=True, slots=True)
class Template:
    """A channel of the codebook's words, which people understand, too."""

    parameters: Sequence[Parameter]

    def encode(self, belief: Belief) -> Payload:
        """Return the words for the means, and for the most probable options."""
        values = {
            name: x.best if isinstance(x, Names) else x.mean
            for name, x in belief.about.items()
        }
        text = describe([p for p in self.parameters if p.name in values], values)
        return Payload(text, 8 * len(text))

    def decode(self, payload: Payload) -> Belief:
        """Return what the words say."""
        return understand(self.parameters, payload.content)

    def entropy(self, belief: Belief) -> float:
        """Return the bits that it takes to say which words they are.

        Parts of a range are taken to be equally probable, as are options.
        """
        total = 0.0
        for p in self.parameters:
            if p.name in belief.about and choices(p):
                if isinstance(p, Choice):
                    kinds = [kind(option, p.name) for option in p.options]
                    shares = [kinds.count(k) / len(kinds) for k in set(kinds)]
                    total -= sum(q * math.log2(q) for q in shares)
                else:
                    total += math.log2(len(choices(p)))
        return total


@dataclass(frozen=True, slots=True)
class Quantised:
    """A channel of so many bits for each parameter.

    A number is sent as the cell of its mean, and received as the cell's middle. Options
    are sent as the likeliest of groups of neighbours, all of about a size. How sure the
    sender is does not go through: both ends know how sure it usually is.
    """

    parameters: Sequence[Parameter]
    bits: Mapping[str, int]
    """By parameter; others are not spoken of."""
    usual: Mapping[str, float]
    """Usual spread of a number as a share of its range, and usual probability of the
    best option; see `usual`."""

    def encode(self, belief: Belief) -> Payload:
        """Return the bits, as 0 and 1.

        Raises:
            ValueError: for a belief that says nothing of a parameter that has bits.
        """
        silent = [p.name for p in self._spoken() if p.name not in belief.about]
        if silent:
            raise ValueError(f"the belief says nothing of {', '.join(silent)}")
        cells = [
            f"{_cell(p, belief.about[p.name], self.bits[p.name]):0{self.bits[p.name]}b}"
            for p in self._spoken()
        ]
        content = "".join(cells)
        return Payload(content, len(content))

    def decode(self, payload: Payload) -> Belief:
        """Return the belief of the cells.

        Raises:
            ValueError: for another number of bits, or another character.
        """
        spoken, left = self._spoken(), payload.content
        total = sum(self.bits[p.name] for p in spoken)
        if len(left) != total or set(left) - {"0", "1"}:
            raise ValueError(f"takes {total} bits as 0 and 1, got {left[:50]!r}")
        about: dict[str, Number | Names] = {}
        for p in spoken:
            bits = self.bits[p.name]
            cell, left = int(left[:bits], 2), left[bits:]
            about[p.name] = _middle(p, cell, bits, self.usual[p.name])
        return Belief(about=about)

    def _spoken(self) -> list[Parameter]:
        return [p for p in self.parameters if self.bits.get(p.name, 0)]


def most_bits(parameter: Parameter) -> int:
    """Return the most bits that `Quantised` spends on a parameter."""
    if isinstance(parameter, Choice):
        return max(1, math.ceil(math.log2(len(parameter.options))))
    return FINEST


def usual(
    beliefs: Sequence[Belief], parameters: Sequence[Parameter]
) -> dict[str, float]:
    """Return how sure beliefs are of each parameter that all of them speak of.

    Of numbers the median spread, as a share of the range; of options the mean
    probability of the best.
    """
    found: dict[str, float] = {}
    for p in parameters:
        said = [b.about[p.name] for b in beliefs if p.name in b.about]
        if len(said) < len(beliefs) or not said:
            continue
        scalar = scalar_of(p)
        if isinstance(p, Choice):
            best = [x.probability[x.best] for x in said if isinstance(x, Names)]
            found[p.name] = float(np.mean(best))
        elif scalar and scalar.low < scalar.high:
            scale = Scale(scalar)
            spreads = [scale.place(x)[1] for x in said if isinstance(x, Number)]
            found[p.name] = float(np.median(spreads))
    return found


def allocate(budget: int, worth: Mapping[str, Sequence[float]]) -> dict[str, int]:
    """Return the bits of each parameter that are worth the most together.

    Of allocations worth the same, that of the most bits counts, and of those the most
    even. More bits are never worth less than fewer.

    Args:
        budget: bits in all.
        worth: of each parameter, what 0, 1, 2 ... bits about it are worth. A table that
            is flat, of all parameters, allocates equally.
    """
    tables = [np.maximum.accumulate(np.asarray(w, dtype=float)) for w in worth.values()]
    best: tuple[float, int, int] | None = None
    chosen: tuple[int, ...] = ()
    for tried in itertools.product(*(range(len(t)) for t in tables)):
        if sum(tried) <= budget:
            total = sum(t[b] for t, b in zip(tables, tried, strict=True))
            rank = (round(total, 9), sum(tried), -sum(b * b for b in tried))
            if best is None or rank > best:
                best, chosen = rank, tried
    return dict(zip(worth, chosen, strict=True))


def _groups(choice: Choice, bits: int) -> list[tuple[str, ...]]:
    size = math.ceil(len(choice.options) / 2**bits)
    starts = range(0, len(choice.options), size)
    return [choice.options[i : i + size] for i in starts]


def _cell(parameter: Parameter, x: Number | Names, bits: int) -> int:
    scalar = scalar_of(parameter)
    if isinstance(parameter, Choice) and isinstance(x, Names):
        shares = [
            sum(x.probability.get(o, 0.0) for o in own)
            for own in _groups(parameter, bits)
        ]
        return int(np.argmax(shares))
    assert scalar is not None
    assert isinstance(x, Number)
    place, _ = Scale(scalar).place(x)
    return min(2**bits - 1, max(0, int(place * 2**bits)))


def _middle(parameter: Parameter, cell: int, bits: int, sure: float) -> Number | Names:
    if isinstance(parameter, Choice):
        groups = _groups(parameter, bits)
        own = groups[min(cell, len(groups) - 1)]
        others = len(parameter.options) - len(own)
        # of an option that is not the best, its share of what is left
        left = (1 - sure) * others / max(1, len(parameter.options) - 1)
        each = {
            o: (1 - left) / len(own) if o in own else left / others
            for o in parameter.options
        }
        return Names(probability=each)
    scalar = scalar_of(parameter)
    assert scalar is not None
    width = 2.0**-bits
    return Scale(scalar).number(
        (cell + 0.5) * width, math.hypot(sure, width / math.sqrt(12))
    )

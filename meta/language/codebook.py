"""The codebook: words for values of hidden parameters, read and spoken alike.

The training range of a number, or of its logarithm where training draws it so, is cut
into five equal parts, and each part has its words: "very slippery", "slippery",
"neither slippery nor grippy", "grippy", "very grippy". An option has words of its own,
which others may share: every box is "a box". The words are the parameter's own, or
those of its name in `words`; the first of an entry are spoken, and all are understood.
"slightly" and its like move a part halfway to the middle, words after "not" say
nothing, and "is" and its like are not read.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from meta.language.belief import Belief, Names, Number, scalar_of
from meta.language.words import NUMBERS, OPTIONS
from tasks.parameters import Choice, Parameter, Scalar, Value
from tasks.words import PARTS, kind, synonyms

_AFTER_NOT = re.compile(r"\b(not|no|never|isn't|without)\s+(a\s+|an\s+|very\s+)?$")
_COPULA = re.compile(r"\b(is|are|was|were)\s+")
_HEDGED = re.compile(r"\b(slightly|somewhat|a bit|a little|rather|fairly)\s+$")


class Said(NamedTuple):
    """Words about one parameter."""

    words: str
    place: float | str
    """Place in the range of a number, 0 to 1; or the kind of an option."""


def say(parameter: Parameter, value: Value) -> str:
    """Return the words for a value; none where the codebook has none.

    Values beyond the training range have the words of its nearer end.
    """
    if isinstance(parameter, Choice):
        words = _options_of(parameter).get(kind(str(value), parameter.name))
    else:
        scalar, parts = scalar_of(parameter), _parts_of(parameter)
        words = parts[_part(scalar, float(value))] if parts and scalar else ""
    return synonyms(words)[0] if words else ""


def describe(
    parameters: Sequence[Parameter],
    values: Mapping[str, Value],
    but: Sequence[str] = (),
) -> str:
    """Return words for all of a task's parameters that have any.

    Args:
        parameters: the parameters to speak of.
        values: the task's, by name.
        but: parameters to leave out, such as a family's scenery.
    """
    spoken = [say(p, values[p.name]) for p in parameters if p.name not in but]
    return "; ".join(filter(None, spoken))


def understand(parameters: Sequence[Parameter], text: str) -> Belief:
    """Return what a text says by the codebook, which may be nothing.

    Of words inside longer ones, the longer count. Where a text says two things about a
    parameter, the belief lies between them and is as much wider; several options share
    the probability.
    """
    said: dict[str, list[Said]] = {}
    for parameter, one in _found(parameters, text):
        said.setdefault(parameter.name, []).append(one)
    about = {
        p.name: _options(p, said[p.name])
        if isinstance(p, Choice)
        else _number(p, said[p.name])
        for p in parameters
        if p.name in said
    }
    return Belief(about={name: x for name, x in about.items() if x is not None})


def choices(parameter: Parameter) -> list[str]:
    """Return the words for all values of a parameter, as they are spoken."""
    if isinstance(parameter, Choice):
        return [synonyms(w)[0] for w in _options_of(parameter).values()]
    return [synonyms(w)[0] for w in _parts_of(parameter)]


def _part(scalar: Scalar, value: float) -> int:
    low, high, x = _ends(scalar, value)
    share = (x - low) / (high - low) if high > low else 0.5
    return min(PARTS - 1, max(0, int(share * PARTS)))


def _ends(scalar: Scalar, value: float) -> tuple[float, float, float]:
    if not scalar.log:
        return scalar.low, scalar.high, value
    return math.log(scalar.low), math.log(scalar.high), math.log(max(value, 1e-12))


def _phrases(parameter: Parameter) -> Iterator[Said]:
    if isinstance(parameter, Choice):
        for option, words in _options_of(parameter).items():
            yield from (Said(w, option) for w in synonyms(words))
    for i, words in enumerate(_parts_of(parameter)):
        yield from (Said(w, (i + 0.5) / PARTS) for w in synonyms(words))


def _parts_of(parameter: Parameter) -> Sequence[str]:
    """Return the words for the parts of a number: its own, or those of its name."""
    scalar = scalar_of(parameter)
    return () if scalar is None else scalar.words or NUMBERS.get(scalar.name, ())


def _options_of(choice: Choice) -> Mapping[str, str]:
    """Return the words for the kinds of a choice: its own, or those of its name."""
    there = {kind(option, choice.name) for option in choice.all}
    known = choice.words or OPTIONS.get(choice.name, {})
    return {option: words for option, words in known.items() if option in there}


def _found(
    parameters: Sequence[Parameter], text: str
) -> Iterator[tuple[Parameter, Said]]:
    """Yield what is said, longest words first; the same letters say one thing."""
    left = " ".join(_COPULA.sub("", text.lower()).split())
    known = [(p, said) for p in parameters for said in _phrases(p)]
    for parameter, said in sorted(known, key=lambda x: -len(x[1].words)):
        words = said.words.lower().removeprefix("a ").removeprefix("an ")
        for match in re.finditer(rf"(?<![\w-]){re.escape(words)}(?![\w-])", left):
            before = left[: match.start()]
            left = f"{before}{'#' * len(words)}{left[match.end() :]}"
            if _AFTER_NOT.search(before):
                continue
            place = said.place
            if isinstance(place, float) and _HEDGED.search(before):
                place = 0.5 + (place - 0.5) / 2
            yield parameter, said._replace(place=place)


def _number(parameter: Parameter, said: Sequence[Said]) -> Number | None:
    """Return the middle of the parts, with half the width of one as the spread."""
    scalar = scalar_of(parameter)
    if scalar is None or scalar.low == scalar.high:
        return None
    places = [float(one.place) for one in said]
    middle = (min(places) + max(places)) / 2
    spread = math.hypot(0.5 / PARTS, (max(places) - min(places)) / 2)
    low, high, _ = _ends(scalar, scalar.low)
    mean, std = low + middle * (high - low), spread * (high - low)
    if scalar.log:
        mean = math.exp(mean)
        std *= mean
    return Number(mean=mean, std=std, unit=scalar.unit)


def _options(parameter: Choice, said: Sequence[Said]) -> Names:
    """Return options of the kinds that were said, each kind as probable."""
    kinds = list(dict.fromkeys(str(one.place) for one in said))
    pool = {
        k: [o for o in parameter.all if kind(o, parameter.name) == k] for k in kinds
    }
    each = {o: 1 / len(kinds) / len(own) for own in pool.values() for o in own}
    return Names(probability=each)

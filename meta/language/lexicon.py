"""The lexicon: everyday things, materials and surfaces, as a prior in physical units.

What a text says by the codebook (`codebook`) comes first. Beside it a thing that it
names has a usual mass and material, a material its friction on a table, and a surface
changes that: tables of estimates, each with its spread, and no model of language. Of
what the text does not say there is no opinion, which is the family's own range.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from meta.language.belief import Belief, Names, Number, clipped, scalar_of
from meta.language.codebook import understand
from tasks.parameters import Parameter

MOST = 2000
"""Characters of a text that are read; the rest says nothing."""


class Guess(NamedTuple):
    """A positive number, known to a factor: its median, and the spread of its log."""

    median: float
    spread: float


class Knowledge(NamedTuple):
    """The everyday knowledge that a text calls up; None where it calls up none."""

    thing: str | None = None
    material: str | None = None
    mass: Guess | None = None
    """[kg]"""
    friction: Guess | None = None
    """Sliding friction on a table."""


class Material(NamedTuple):
    """One kind of material, and the words for it."""

    density: float
    """[kg/m^3]"""
    friction: float
    words: str


MATERIALS: Mapping[str, Material] = {
    "wood": Material(
        650, 0.4, "wood wooden oak pine bamboo timber plywood ebony mahogany wicker"
    ),
    "metal": Material(
        7000,
        0.3,
        "metal metallic steel iron brass copper bronze silver gold lead tin "
        "aluminium aluminum zinc pewter chrome titanium",
    ),
    "plastic": Material(
        1050, 0.3, "plastic vinyl nylon acrylic pvc polythene polystyrene celluloid"
    ),
    "glass": Material(2500, 0.3, "glass crystal"),
    "ceramic": Material(
        2300, 0.4, "ceramic porcelain china clay earthenware pottery terracotta"
    ),
    "paper": Material(750, 0.4, "paper cardboard parchment papyrus pasteboard"),
    "fabric": Material(
        300,
        0.45,
        "fabric cloth cotton wool woollen woolen silk linen felt canvas knitted woven "
        "lace velvet denim tweed flannel fur satin",
    ),
    "leather": Material(900, 0.5, "leather suede hide buckskin"),
    "rubber": Material(1100, 0.8, "rubber rubbery latex silicone"),
    "stone": Material(
        2600, 0.5, "stone marble granite slate limestone brick concrete cement"
    ),
    "foam": Material(60, 0.6, "foam styrofoam sponge"),
    "food": Material(900, 0.4, "dough meat cheese chocolate bread fruit"),
    "soap": Material(1000, 0.2, "soap"),
    "wax": Material(900, 0.3, "wax paraffin beeswax tallow"),
    "cork": Material(220, 0.5, "cork"),
    "horn": Material(1600, 0.35, "horn bone ivory shell tortoiseshell antler feather"),
    "ice": Material(920, 0.04, "ice"),
}
_FRICTION, _VOLUME = 0.25, Guess(2.5e-4, 1.2)
"""Spread of a material's friction; volume of a thing in hand of which nothing else is
known [m^3]."""

SURFACES: Mapping[str, tuple[float, float]] = {
    "wet": (0.6, 0.3),
    "damp": (0.8, 0.25),
    "soapy": (0.3, 0.4),
    "oily": (0.35, 0.4),
    "oiled": (0.35, 0.4),
    "greasy": (0.35, 0.4),
    "greased": (0.3, 0.4),
    "icy": (0.15, 0.4),
    "frozen": (0.4, 0.5),
    "waxed": (0.6, 0.3),
    "polished": (0.7, 0.25),
    "smooth": (0.75, 0.25),
    "glossy": (0.7, 0.25),
    "glazed": (0.7, 0.25),
    "dusty": (0.8, 0.3),
    "sandy": (0.8, 0.3),
    "rough": (1.3, 0.25),
    "rubbery": (1.6, 0.25),
    "rubberised": (1.6, 0.25),
    "sticky": (1.7, 0.3),
    "tacky": (1.7, 0.3),
    "dry": (1.0, 0.2),
}
"""Factor on the friction, and spread of its log, by the word for a surface."""

ROADS: Mapping[str, Guess] = {
    "asphalt": Guess(0.85, 0.12),
    "tarmac": Guess(0.85, 0.12),
    "concrete": Guess(0.85, 0.15),
    "cobbles": Guess(0.6, 0.2),
    "gravel": Guess(0.5, 0.2),
    "sand": Guess(0.45, 0.25),
    "mud": Guess(0.35, 0.3),
    "leaves": Guess(0.4, 0.3),
    "snow": Guess(0.25, 0.2),
    "ice": Guess(0.1, 0.3),
}
"""Friction of tyres on roads, by the word."""
SIZES: Mapping[str, float] = {
    "tiny": 0.3,
    "small": 0.6,
    "little": 0.6,
    "light": 0.7,
    "lightweight": 0.7,
    "large": 1.6,
    "big": 1.6,
    "heavy": 1.6,
    "huge": 3.0,
    "massive": 3.0,
}
"""Factor on the usual mass of a thing, by the word before it."""
_ROAD = re.compile(r"\b(road|street|tarmac|asphalt|lane|motorway|highway|track)\b")
_PURPOSE = re.compile(
    r"\b(for|used|to|that|which|from|resembling|like|containing|of a)\b"
)
_MADE = re.compile(r"\b(?:made|consisting|made up) (?:of|from) (?:an? )?([a-z]+)")
_MAY = re.compile(r"\b(?:you|it|that|which) can\b|\bcan (?:be|not)\b")
"""The verb "can", which is no thing."""
_STEM = re.compile(r"[a-z]+(?:'[a-z]+)?")


def lexicon(
    text: str,
    parameters: Sequence[Parameter],
    *,
    beside: Callable[[str], Knowledge] | None = None,
) -> Belief:
    """Return the belief that a text calls up about some parameters.

    Numbers outside a training range are clipped to its end, and are less sure by as
    much.

    Args:
        text: anything; words that are not known say nothing.
        parameters: the hidden parameters of a family.
        beside: knows what the words do not tell.
    """
    text = text[:MOST]
    about: dict[str, Number | Names] = dict(understand(parameters, text).about)
    known = together(know(text), beside(text) if beside else Knowledge())
    for parameter in parameters:
        scalar = scalar_of(parameter)
        guess = {"mass": known.mass, "friction": known.friction}.get(parameter.name)
        if scalar and guess and parameter.name not in about:
            about[parameter.name] = clipped(lognormal(guess, scalar.unit), scalar)
    return Belief(about=about)


def together(first: Knowledge, then: Knowledge) -> Knowledge:
    """Return knowledge, with other where it has none, or a mass without a thing."""
    vague = first.thing is None
    return Knowledge(
        first.thing or then.thing,
        first.material or then.material,
        (vague and then.mass) or first.mass or then.mass,
        first.friction or then.friction,
    )


def know(text: str) -> Knowledge:
    """Return the everyday knowledge that a text calls up.

    The first thing that it names counts. Its material is the one it is said to be made
    of, or the first before words of purpose such as "for" or "to", or its usual one.
    """
    text = text[:MOST].lower()
    head = _PURPOSE.split(text, maxsplit=1)[0]
    words, first = _words(text), _words(head)
    thing = next(filter(None, map(_thing, [*first, *words])), None)
    stated = _material(_MADE.findall(text)) or _material(first)
    material = stated or (thing.material if thing else _material(words))
    friction = _friction(text, words, material)
    return Knowledge(
        thing=thing.name if thing else None,
        material=material or None,
        mass=_sized(_mass(thing, material or None), first),
        friction=friction,
    )


class Thing(NamedTuple):
    """An everyday thing."""

    name: str
    mass: Guess
    material: str


@cache
def things() -> Mapping[str, Thing]:
    """Return the everyday things by their names."""
    found: dict[str, Thing] = {}
    source = files("meta.language").joinpath("nouns.tsv").read_text("utf-8")
    for line in source.splitlines():
        if not line.startswith("#"):
            names, low, high, materials = line.split("\t")
            a, b = math.log(float(low)), math.log(float(high))
            # the usual masses are the middle two thirds
            guess = Guess(math.exp((a + b) / 2), max(0.2, (b - a) / 2))
            for name in names.split(","):
                found.setdefault(name, Thing(name, guess, materials.split()[0]))
    return found


def _words(text: str) -> list[str]:
    return _STEM.findall(_MAY.sub(" ", text))


def _thing(word: str) -> Thing | None:
    known = things()
    return known.get(word) or known.get(word.removesuffix("s"))


def _material(words: Iterable[str]) -> str | None:
    by_word = _by_word()
    return next((by_word[w] for w in words if w in by_word), None)


@cache
def _by_word() -> Mapping[str, str]:
    return {w: name for name, m in MATERIALS.items() for w in m.words.split()}


def _mass(thing: Thing | None, material: str | None) -> Guess | None:
    """Return a thing's usual mass, as much of its own material as of another."""
    if thing is None:
        if material is None:
            return None
        density = MATERIALS[material].density
        return Guess(density * _VOLUME.median, math.hypot(0.3, _VOLUME.spread))
    if material in (None, thing.material):
        return thing.mass
    # walls grow thicker where a material is light: the root of the ratio of densities
    ratio = MATERIALS[str(material)].density / MATERIALS[thing.material].density
    return Guess(thing.mass.median * ratio**0.5, math.hypot(thing.mass.spread, 0.3))


def _sized(mass: Guess | None, words: Sequence[str]) -> Guess | None:
    """Return a usual mass, of a thing that is said to be large or small."""
    factors = [SIZES[w] for w in words if w in SIZES]
    if mass is None or not factors:
        return mass
    return Guess(mass.median * factors[0], math.hypot(mass.spread, 0.3))


def _friction(text: str, words: Sequence[str], material: str | None) -> Guess | None:
    if _ROAD.search(text):
        found = [ROADS[w] for w in words if w in ROADS]
        base = min(found, default=None, key=lambda g: g.median)
    else:
        base = material and Guess(MATERIALS[material].friction, _FRICTION)
    factors = [SURFACES[w] for w in words if w in SURFACES]
    if not base:
        base = Guess(0.4, 0.4) if factors else None
    if base is None:
        return None
    median, spread = base
    for factor, own in factors:
        median, spread = median * factor, math.hypot(spread, own)
    return Guess(median, spread)


def lognormal(guess: Guess, unit: str) -> Number:
    """Return the mean and the standard deviation of a guess, as of a log-normal."""
    median, spread = guess
    mean = median * math.exp(spread**2 / 2)
    return Number(mean=mean, std=mean * math.sqrt(math.expm1(spread**2)), unit=unit)

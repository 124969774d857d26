"""Measure what the lexicon knows of things that others described.

    python -m benchmarks.descriptions

The descriptions are glosses of WordNet: nouns for artefacts that its corpus uses, in a
random order, of which those are kept that a person could name a material for. Material
and mass were written down before the lexicon read any of them. Beside it, the material
and the mass that fit most of the list, in hindsight.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from tyro.conf import Positional

from benchmarks.study import text_of
from meta.evaluation.statistics import estimate, mean
from meta.language.belief import WITHIN_90
from meta.language.lexicon import Knowledge, know, together

LISTS = Path(__file__).parent / "glosses"


class Described(NamedTuple):
    """A description, and the truth about it."""

    text: str
    materials: tuple[str, ...]
    """All that count as right."""
    mass: float | None
    """[kg]"""


def main(
    name: Positional[str] = "first", misses: bool = False, nearest: bool = False
) -> None:
    """Print the table, and again for a sentence encoder.

    Args:
        name: list of descriptions.
        misses: print what was not known, too.
        nearest: ask the packaged sentence encoder, alone and where the lexicon has no
            answer; see `meta.language.nearest`.
    """
    listed = read(LISTS / f"{name}.tsv")
    known = {"lexicon": [know(d.text) for d in listed]}
    if nearest:
        from meta.language.nearest import Nearest

        encoder = Nearest()
        alone = [encoder.know(d.text) for d in listed]
        known["nearest"] = alone
        known["lexicon, then nearest"] = [
            together(a, b) for a, b in zip(known["lexicon"], alone, strict=True)
        ]
    for title, found in known.items():
        table(title, listed, found, misses=misses)


def table(
    title: str,
    listed: Sequence[Described],
    found: Sequence[Knowledge],
    *,
    misses: bool,
) -> None:
    """Print what one backend knows, beside the best constant."""
    material = [k.material in d.materials for d, k in zip(listed, found, strict=True)]
    weighed = [(d, k) for d, k in zip(listed, found, strict=True) if d.mass]
    twofold = [bool(k.mass and _off(k.mass.median, d) <= 2) for d, k in weighed]
    held = [
        _off(k.mass.median, d) <= math.exp(WITHIN_90 * k.mass.spread)
        for d, k in weighed
        if k.mass
    ]
    counts = Counter(m for d in listed for m in d.materials)
    usual, share = counts.most_common(1)[0]
    constants = [
        [_off(d.mass, e) <= 2 for e, _ in weighed] for d, _ in weighed if d.mass
    ]
    best = max(constants, key=sum)
    print(f"\n{len(listed)} descriptions, {len(weighed)} with a mass\n")
    print(f"| | {title} | best constant |")
    print("|---|---:|---:|")
    print(f"| material | {_share(material)} | {share / len(listed):.2f} ({usual}) |")
    print(f"| mass within a factor of two | {_share(twofold)} | {_share(best)} |")
    print(f"| 90 % hold the mass, of {len(held)} opinions | {_share(held)} | |")
    if misses:
        for d, k, right in zip(listed, found, material, strict=True):
            fine = not d.mass or (k.mass and _off(k.mass.median, d) <= 2)
            if not (right and fine):
                print(d.text[:60], k)


def read(path: Path) -> list[Described]:
    """Return the descriptions of a list."""
    found: list[Described] = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            text, materials, mass = line.split("\t")
            known = None if mass == "-" else float(mass)
            found.append(Described(text, tuple(materials.split("/")), known))
    return found


def _off(mass: float, d: Described) -> float:
    """Return the factor between a mass and the true one, at least 1."""
    assert d.mass
    return max(mass / d.mass, d.mass / mass)


def _share(right: Sequence[bool]) -> str:
    rows = [np.array([right], dtype=float)]
    return text_of(estimate(rows, mean, np.random.default_rng(0)))


if __name__ == "__main__":
    tyro.cli(main)

"""Pieces of a task distribution: parameters in a part of what training draws from.

A piece is written `rotation=-135:-95`, or `mechanism=drawer|bolt` for a choice, with
commas between parameters. `rotation/6` stands for six pieces of equal shares.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tasks.contract import TaskFamily
from tasks.parameters import Choice, Interval, Parameter, Scalar
from tasks.task import Task, sample_task

MOST_PIECES = 1000
Part = Interval | tuple[str, ...]
"""Ends of a number's range, or some options of a choice."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a family's task distribution."""

    within: Mapping[str, Part]
    """Parameters that are narrowed, and to what."""

    def __str__(self) -> str:
        """Return the text that `parse_piece` reads."""
        return ",".join(f"{name}={_written(p)}" for name, p in self.within.items())

    def narrowed(self, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
        """Return a family's parameters, which draw from this piece alone.

        Their encodings are not those of the family: they are for drawing only.

        Raises:
            ValueError: for a parameter that there is not, or a part that no training
                task is in.
        """
        unknown = set(self.within) - {p.name for p in parameters}
        if unknown:
            raise ValueError(
                f"no parameter {', '.join(sorted(unknown))} for a piece; parameters: "
                f"{', '.join(p.name for p in parameters)}"
            )
        return tuple(
            _narrow(p, self.within[p.name]) if p.name in self.within else p
            for p in parameters
        )

    def task(self, family: TaskFamily, split: str, seed: int) -> Task:
        """Draw the task of this piece that (family, split, seed) stands for."""
        return sample_task(family.name, self.narrowed(family.parameters), split, seed)

    def sample(
        self, family: TaskFamily, split: str, seed: int, count: int
    ) -> list[Task]:
        """Draw tasks of this piece, as `TaskFamily.sample` draws those of a family."""
        seeds = np.random.SeedSequence([seed]).generate_state(count, np.uint64)
        return [self.task(family, split, int(s)) for s in seeds]


def parse_piece(text: str) -> Piece:
    """Read a piece's text; whether a family has such a piece is not checked.

    Raises:
        ValueError: for anything else.
    """
    within: dict[str, Part] = {}
    for one in text.split(","):
        name, _, part = (x.strip() for x in one.partition("="))
        ends = part.split(":")
        try:
            found = (float(ends[0]), float(ends[1])) if len(ends) == 2 else ()
        except ValueError:
            found = ()
        options = tuple(filter(None, part.split("|"))) if len(ends) == 1 else ()
        if not name or not (found or options) or name in within:
            raise ValueError(
                f"a piece is PARAMETER=LOW:HIGH, PARAMETER=OPTION|OPTION, several of "
                f"them with commas, or PARAMETER/NUMBER of pieces; got {text!r}"
            )
        within[name] = found or options
    return Piece(within)


def make_pieces(
    family: TaskFamily | type[TaskFamily], texts: Sequence[str], seed: int = 0
) -> tuple[Piece, ...]:
    """Return the pieces that texts stand for, in order.

    Args:
        family: what they are pieces of.
        texts: pieces, which stay in their order, or a parameter and a number of pieces,
            which come in an order drawn by the seed.
        seed: decides that order.

    Raises:
        ValueError: for a text that is no piece of the family, or too many pieces.
    """
    pieces: list[Piece] = []
    for text in texts:
        divided = re.fullmatch(r"(\w+)/(\d{1,6})", text)
        if divided:
            cut = _cut(family, divided[1], int(divided[2]))
            order = np.random.default_rng([seed, len(pieces)]).permutation(len(cut))
            pieces += [cut[i] for i in order]
        else:
            pieces.append(parse_piece(text))
    if len(pieces) > MOST_PIECES:
        raise ValueError(f"{len(pieces):,} pieces; at most {MOST_PIECES:,}")
    for piece in pieces:
        piece.narrowed(family.parameters)
    return tuple(pieces)


def _written(part: Part) -> str:
    numbers = [p for p in part if isinstance(p, float)]
    if not numbers:
        return "|".join(map(str, part))
    return ":".join(f"{n:g}" if float(f"{n:g}") == n else repr(n) for n in numbers)


def _narrow(p: Parameter, part: Part) -> Parameter:
    """Return a parameter that draws from a part of its training range."""
    match p, part:
        case Scalar(), (float(low), float(high)):
            if not p.low <= low < high <= p.high:
                raise ValueError(
                    f"a piece of {p.name!r} is LOW:HIGH within its training range "
                    f"{p.low:g}:{p.high:g}, got {_written(part)}"
                )
            return replace(p, low=low, high=high, hole=_hole(p, low, high), beyond=())
        case Choice(), _ if set(part) <= set(p.options) and part:
            return replace(p, options=tuple(map(str, part)), unseen=(), traits=None)
        case Choice(), _:
            raise ValueError(
                f"a piece of {p.name!r} has some of its training options "
                f"{'|'.join(p.options)}, got {_written(part)}"
            )
        case _:
            raise ValueError(
                f"parameter {p.name!r} takes no piece {_written(part)!r}: a number "
                "takes LOW:HIGH, a choice OPTION|OPTION"
            )


def _hole(p: Scalar, low: float, high: float) -> Interval | None:
    """Return what of a parameter's hole lies in a part of its range."""
    if p.hole is None or p.hole[1] <= low or p.hole[0] >= high:
        return None
    hole = max(low, p.hole[0]), min(high, p.hole[1])
    if hole == (low, high):
        raise ValueError(
            f"training draws no {p.name!r} from {low:g}:{high:g}: it is within the "
            f"hole {p.hole[0]:g}:{p.hole[1]:g}"
        )
    return hole


def _cut(family: TaskFamily | type[TaskFamily], name: str, number: int) -> list[Piece]:
    """Cut a parameter's training range into pieces of equal shares."""
    found = next((p for p in family.parameters if p.name == name), None)
    match found:
        case Scalar() if 1 <= number <= MOST_PIECES and found.low < found.high:
            ends = _ends(found, number)
            return [Piece({name: pair}) for pair in pairwise(ends)]
        case Choice() if 1 <= number <= len(found.options):
            parts = np.array_split(np.array(found.options), number)
            return [Piece({name: tuple(map(str, part))}) for part in parts]
        case _:
            names = ", ".join(p.name for p in family.parameters)
            raise ValueError(
                f"{family.name} cannot be cut into {name}/{number}: name one of its "
                f"parameters ({names}) that varies, and as many pieces as it has "
                f"options, or {MOST_PIECES:,} of a number, at most"
            )


def _ends(p: Scalar, number: int) -> list[float]:
    """Return the ends between pieces that training draws from equally often."""
    strata = np.array(p.intervals("train"))
    strata = np.log(strata) if p.log else strata
    lengths = strata[:, 1] - strata[:, 0]
    before = np.concatenate([[0.0], lengths.cumsum()])
    ends: list[float] = []
    for share in np.linspace(0, before[-1], number + 1):
        i = min(int(np.searchsorted(before, share, side="right")) - 1, len(strata) - 1)
        end = float(strata[i, 0] + share - before[i])
        # to ten digits, which a person can read
        ends.append(float(f"{math.exp(end) if p.log else end:.10g}"))
    return [p.low, *ends[1:-1], p.high]

"""Translation: a message about an object, read by a robot of another family.

Two families that handle the same object name some of what is hidden alike, and mean it
in units and frames of their own: `push` has the heavy insert in metres across the push,
and `grasp` in half lengths along the object. What a message says of the insert is taken
for a place in the object, in metres, and from there to the reader's own parameter,
if that puts the insert on the same line in the object as the sender's does. Which way
round the object lay before the sender is for the reader to say. What has no meaning
there, or a value that the reader's family draws in no split, is left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from meta.language.belief import Belief, Names, Number, scalar_of
from meta.language.message import Message, reach
from tasks.contract import TaskFamily
from tasks.manipulation.handling import BankFamily
from tasks.objects.solids import Solid
from tasks.objects.turning import turn

ALIKE = ("mass", "friction", "shape")
"""Parameters that are of the object itself, in units of no frame."""
_SAME = 1e-6  # [m], by which two lines in an object may be apart


class Translated(NamedTuple):
    """A message in the reader's terms."""

    message: Message
    left_out: Mapping[str, str]
    """Why what is left out is, by the sender's parameter."""


def translated(
    message: Message, sender: TaskFamily, reader: TaskFamily, *, turned: float = 0.0
) -> Translated:
    """Return a message about an object as one about the reader's task with it.

    Args:
        message: about a task of the sender's family, read by `read_message`.
        sender: the sender's family, with the objects as they lay before the sender.
        reader: the reader's, with the same objects as they lie before the reader.
        turned: by how much they lay turned before the sender, counter-clockwise seen
            from above [degrees].

    Raises:
        ValueError: for families that do not handle the same objects.
    """
    theirs, own = _handling(sender, reader, turned)
    about: dict[str, Number | Names] = {}
    left_out: dict[str, str] = {}
    shapes = _shapes(message.belief, theirs)
    for name, x in message.belief.about.items():
        if name == theirs.insert and isinstance(x, Number):
            place = _insert(x, theirs, own, shapes, turned)
            if place is None:
                left_out[name] = f"{own.insert} lies on another line in the object"
            else:
                about[own.insert] = place
        elif name in ALIKE:
            about[name] = x
        else:
            left_out[name] = f"{own.name} has no such thing"
    for parameter in own.hidden:
        x, scalar = about.get(parameter.name), scalar_of(parameter)
        if isinstance(x, Number) and scalar:
            low, high = reach(scalar)
            if not low <= x.mean <= high:
                del about[parameter.name]
                unit = "" if scalar.unit == "1" else f" {scalar.unit}"
                here = parameter.name
                name = theirs.insert if here == own.insert else here
                left_out[name] = (
                    f"{own.name} has {low:g} to {high:g}{unit}, not {x.mean:.3g}"
                )
    said = replace(message, family=own.name, belief=Belief(about=about))
    return Translated(said, left_out)


def _handling(
    sender: TaskFamily, reader: TaskFamily, turned: float
) -> tuple[BankFamily, BankFamily]:
    """Return the two families, or raise ValueError unless their objects are the same.

    That is, the sender's lie turned against the reader's by what is said.
    """
    if not (isinstance(sender, BankFamily) and isinstance(reader, BankFamily)):
        raise ValueError(
            f"{sender.name} and {reader.name} do not both handle objects that can be "
            "the same: push and grasp do"
        )
    theirs, own = (
        family.objects.by_name if family.objects else {} for family in (sender, reader)
    )
    if not theirs or set(theirs) != set(own):
        raise ValueError(
            f"{sender.name} and {reader.name} have objects of their own, which are not "
            "the same: give the object that both handle"
        )
    for name, solid in theirs.items():
        if not _same(solid, own[name], turned):
            raise ValueError(
                f"{name} is not the same before {sender.name}, turned by {turned:g} "
                f"degrees, and before {reader.name}"
            )
    return sender, reader


def _shapes(belief: Belief, family: BankFamily) -> Sequence[tuple[str, float]]:
    """Return how probable the sender holds each object to be; all alike by default."""
    said = belief.about.get("shape")
    if isinstance(said, Names):
        return list(said.probability.items())
    assert family.objects is not None
    names = [solid.name for solid in family.objects.seen]
    return [(name, 1 / len(names)) for name in names]


def _insert(
    x: Number,
    sender: BankFamily,
    reader: BankFamily,
    shapes: Sequence[tuple[str, float]],
    turned: float,
) -> Number | None:
    """Return what is believed of the reader's insert: a mixture over the shapes."""
    assert sender.objects is not None
    assert reader.objects is not None
    if sender.insert_share != reader.insert_share:
        return None
    first = second = 0.0
    for name, share in shapes:
        line = _line(
            (sender, sender.objects.by_name[name]),
            (reader, reader.objects.by_name[name]),
            turned,
        )
        if line is None:
            return None
        offset, factor = line
        mean, std = offset + factor * x.mean, factor * x.std
        first, second = first + share * mean, second + share * (mean**2 + std**2)
    [unit] = (
        p.unit for p in map(scalar_of, reader.hidden) if p and p.name == reader.insert
    )
    # probabilities that were sent sum to 1 within a thousandth
    total = sum(share for _, share in shapes)
    first, second = first / total, second / total
    return Number(mean=first, std=math.sqrt(max(second - first**2, 1e-18)), unit=unit)


def _same(said: Solid, read: Solid, turned: float) -> bool:
    """Tell whether a solid is the other one, turned."""
    own, theirs = said.vertices @ turn(-turned).T, read.vertices
    if own.shape != theirs.shape:
        return False
    return bool(np.ptp(own - theirs, axis=0).max() < _SAME)


def _line(
    said: tuple[BankFamily, Solid], read: tuple[BankFamily, Solid], turned: float
) -> tuple[float, float] | None:
    """Return the reader's value at the sender's 0, and what it grows by per unit.

    None where the two put the insert of this object on different lines, seen from
    above.
    """
    back = turn(-turned)
    own, theirs = said[1].vertices, read[1].vertices
    # what turning moved, so that the footprint's middle is the origin again
    shift = own[0] @ back.T - theirs[0]
    start, along = said[0].insert_line(said[1])
    start, along = start @ back.T - shift, along @ back.T
    origin, axis = read[0].insert_line(read[1])
    away, along, axis = (start - origin)[:2], along[:2], axis[:2]
    square = float(axis @ axis)
    offset, factor = float(away @ axis) / square, float(along @ axis) / square
    apart = [away - offset * axis, along - factor * axis]
    if max(float(np.abs(d).max()) for d in apart) > _SAME or not factor:
        return None
    return offset, factor

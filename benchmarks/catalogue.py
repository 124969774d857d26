"""Objects that the robots of two families both handle, and tasks about the same ones.

A solid lies along the fingers of `grasp`, and across the push of `push`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tasks.manipulation.handling import BankFamily
from tasks.objects.generator import KINDS, make_solid
from tasks.objects.object_set import ObjectSet
from tasks.objects.polyhedra import FOOT
from tasks.objects.solids import Solid, toppling_angle
from tasks.objects.turning import all_turned, turned
from tasks.parameters import Scalar
from tasks.registry import FAMILIES, make_family
from tasks.task import Task

AS_LIES = {"push": 90.0, "grasp": 0.0}
"""Angle by which an object lies turned before each family [degrees]."""
SEEDS = range(100, 160)
"""Seeds of the solids; those that training shows are all below."""
OF_EACH = 2
"""Solids of each kind."""


def catalogue() -> ObjectSet:
    """Return the first solids of each kind that both robots can handle as they lie.

    And that stand wherever a split of either family puts the heavy insert.
    """
    found: list[Solid] = []
    for kind in KINDS:
        fit = (s for s in (make_solid(kind, seed) for seed in SEEDS) if _fits(s))
        found += [s for s, _ in zip(fit, range(OF_EACH), strict=False)]
    return ObjectSet(tuple(found))


def side(name: str, objects: ObjectSet) -> BankFamily:
    """Return a family with objects as they lie before it."""
    family = make_family(name, objects=all_turned(objects, AS_LIES[name]))
    assert isinstance(family, BankFamily)
    return family


def _fits(solid: Solid) -> bool:
    for name, angle in AS_LIES.items():
        family, lies = FAMILIES[name], turned(solid, angle)
        assert issubclass(family, BankFamily)
        try:
            family.handles.check(name, lies)
        except ValueError:
            return False
        [insert] = (p for p in family.parameters if p.name == family.insert)
        assert isinstance(insert, Scalar)
        half = torch.full((2,), float(np.ptp(lies.vertices[:, 0])) / 2)
        ends = insert.furthest * torch.tensor([1.0, -1.0])
        points = family.place_insert(ends, half).tolist()
        if any(toppling_angle(lies, p, floor=FOOT) <= 0 for p in points):
            return False
    return True


def matched(
    sides: Sequence[BankFamily], split: str, seed: int, count: int
) -> list[list[Task]]:
    """Return tasks of both families about the same objects, in the same order.

    Drawn by `grasp`, whose masses `push` has, too; an insert that `push` never draws is
    drawn again. Friction is each family's own.
    """
    by_name = {family.name: family for family in sides}
    grasp, push = by_name["grasp"], by_name["push"]
    drawn = grasp.sample(split, seed, 4 * count)
    there = push.sample(split, seed, 4 * count)
    pairs: dict[str, list[Task]] = {"grasp": [], "push": []}
    for one, two in zip(drawn, there, strict=True):
        shape, x = str(one.parameters["shape"]), float(one.parameters["insert_x"])
        y = x * float(np.ptp(grasp.solid(one).vertices[:, 0])) / 2
        if abs(y) <= 0.045 and len(pairs["grasp"]) < count:
            own = {"shape": shape, "insert_y": y, "mass": one.parameters["mass"]}
            pairs["grasp"].append(one)
            pairs["push"].append(replace(two, parameters={**two.parameters, **own}))
    return [pairs[family.name] for family in sides]

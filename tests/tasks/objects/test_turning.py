"""Turned solids: the same body, whatever way it lies."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.objects.generator import make_solid
from tasks.objects.object_set import ObjectSet
from tasks.objects.solids import mass_properties
from tasks.objects.turning import all_turned, turn, turned

SOLID = make_solid("ell", 102)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("degrees", [90.0, -37.0])
def test_mass_properties_turn_with_the_solid(degrees: float, exact: bool) -> None:
    lies = turned(replace(SOLID, exact=SOLID.uniform if exact else None), degrees)
    # the middle of the footprint may move, and with it the frame
    shift = turn(degrees) @ SOLID.vertices[0] - lies.vertices[0]
    insert = np.array([0.02, 0.01, 0.01])
    before = mass_properties(SOLID, mass=0.4, insert=insert, insert_share=0.6)
    after = mass_properties(
        lies, mass=0.4, insert=turn(degrees) @ insert - shift, insert_share=0.6
    )
    assert after.com == pytest.approx(turn(degrees) @ before.com - shift, abs=1e-9)
    assert after.inertia == pytest.approx(before.inertia, rel=1e-9)


def test_a_quarter_turn_changes_length_and_width() -> None:
    sizes, after = (np.ptp(s.vertices, axis=0) for s in (SOLID, turned(SOLID, 90.0)))
    assert after == pytest.approx(sizes[[1, 0, 2]])
    # counter-clockwise seen from above: x becomes y
    assert turn(90.0) @ [1, 0, 0] == pytest.approx([0, 1, 0])


def test_turned_back_it_is_as_it_was() -> None:
    there = all_turned(ObjectSet((SOLID,), (make_solid("tee", 103),)), 30.0)
    back = all_turned(there, -30.0)
    assert [s.name for s in back.unseen] == ["tee-103"]
    assert back.seen[0].vertices == pytest.approx(SOLID.vertices, abs=1e-9)


def test_it_is_turned_by_a_number() -> None:
    with pytest.raises(ValueError, match="finite angle, got nan"):
        turned(SOLID, math.nan)

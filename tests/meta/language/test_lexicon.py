"""The lexicon: everyday knowledge as a prior, and nothing where it knows nothing."""

import pytest

from meta.language.belief import Number
from meta.language.lexicon import MATERIALS, MOST, know, lexicon, things
from tasks.parameters import Scalar

MASS = Scalar(name="mass", unit="kg", low=0.05, high=2.0)
FRICTION = Scalar(name="friction", unit="1", low=0.02, high=1.0, log=True)
BOTH = (MASS, FRICTION)


def number(text: str, name: str, parameters: tuple[Scalar, ...] = BOTH) -> Number:
    found = lexicon(text, parameters).about[name]
    assert isinstance(found, Number)
    return found


def test_a_wet_bar_of_soap() -> None:
    soap = number("a wet bar of soap", "friction")
    assert soap.mean < 0.2
    assert soap.mean < number("a bar of soap", "friction").mean
    assert 0.08 <= number("a wet bar of soap", "mass").mean <= 0.15


def test_a_thing_has_its_usual_mass_and_material() -> None:
    known = know("a claw hammer for driving nails into plastic")
    assert (known.thing, known.material) == ("hammer", "metal")
    assert known.mass is not None
    assert 0.4 <= known.mass.median <= 1.2


def test_a_stated_material_counts_before_the_usual_one() -> None:
    assert know("a plastic spoon").material == "plastic"
    plastic, usual = know("a plastic spoon").mass, know("a spoon").mass
    assert plastic is not None
    assert usual is not None
    assert plastic.median < 0.6 * usual.median


def test_no_opinion_is_no_belief() -> None:
    for text in ("", "something", "the weather is nice today", "12345 !!"):
        assert not lexicon(text, BOTH).about


def test_knowledge_outside_the_range_is_clipped_and_less_sure() -> None:
    narrow = Scalar(name="mass", unit="kg", low=0.2, high=0.5)
    brick, soap = (number(t, "mass", (narrow,)) for t in ("a brick", "a bar of soap"))
    assert (brick.mean, soap.mean) == (0.5, 0.2)
    assert brick.std == pytest.approx(0.3)  # the whole range: far outside


def test_words_of_the_codebook_count_before_the_tables() -> None:
    """A brick is heavy, and somebody who says that it is light knows better."""
    assert number("a very light brick", "mass").mean < 0.5


def test_roads_are_met_by_tyres() -> None:
    snow = number("a road under snow", "friction")
    assert 0.15 < snow.mean < 0.4
    assert snow.mean < number("a road of dry asphalt", "friction").mean


def test_text_is_data_and_no_more_of_it_is_read_than_is_allowed() -> None:
    text = "ignore the above; {0.__class__} $(rm -rf /) __import__('os')"
    assert not lexicon(text, BOTH).about
    assert not lexicon("x" * MOST + " a brick", BOTH).about
    assert not lexicon("x" * MOST + " slippery", BOTH).about


def test_every_thing_is_of_a_material_that_is_known() -> None:
    assert len(things()) > 250
    for name, thing in things().items():
        assert thing.material in MATERIALS, name
        assert thing.mass.median > 0

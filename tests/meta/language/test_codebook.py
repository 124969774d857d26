"""The codebook: every word is understood as what it is spoken for."""

import pytest

from meta.language.belief import Names, Number, scalar_of
from meta.language.codebook import describe, say, understand
from meta.language.words import NUMBERS, OPTIONS
from tasks.parameters import Choice, Parameter, Scalar
from tasks.registry import FAMILIES, find_family
from tasks.words import kind


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_words_are_understood_as_they_are_spoken(name: str) -> None:
    """For every family, all that differs between its tasks has words."""
    family = find_family(name)
    differ = [
        p
        for p in family.hidden
        if isinstance(p, Choice) or ((s := scalar_of(p)) and s.low < s.high)
    ]
    for task in family.sample("held-out", 0, 20):
        belief = understand(family.hidden, describe(family.hidden, task.parameters))
        assert set(belief.about) == {p.name for p in differ}
        for p in differ:
            value, believed = task.parameters[p.name], belief.about[p.name]
            if isinstance(p, Choice):
                assert isinstance(believed, Names)
                assert {kind(o, p.name) for o in believed.probability} == {
                    kind(str(value), p.name)
                }
                assert sum(believed.probability.values()) == pytest.approx(1)
            else:
                assert isinstance(believed, Number)
                low, high = believed.interval
                assert low <= float(value) <= high


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_all_alternatives_mean_the_same(name: str) -> None:
    """For a parameter's own words, and for those of its name where it has none."""
    for p in find_family(name).hidden:
        listed: list[str] = []
        if isinstance(p, Choice):
            options = p.words or OPTIONS.get(p.name, {})
            kinds = {kind(o, p.name) for o in p.all}
            listed += [options[k] for k in kinds if k in options]
        elif (scalar := scalar_of(p)) and scalar.low < scalar.high:
            listed += scalar.words or NUMBERS.get(p.name, ())
        for words in listed:
            first, *others = (understand([p], w).about for w in words.split("|"))
            assert first, words
            assert all(other == first for other in others), words


def test_parts_lie_in_order_and_cover_the_range() -> None:
    [friction] = (p for p in hidden("strike") if p.name == "friction")
    scalar = scalar_of(friction)
    assert scalar is not None
    said = [say(friction, v) for v in (0.001, 0.045, 0.055, 0.07, 0.09, 0.12, 0.5)]
    assert said[0] == said[1] == "very slippery"
    assert said[2:5] == ["slippery", "neither slippery nor grippy", "grippy"]
    assert said[5] == said[6] == "very grippy"
    means = [number("strike", "friction", w).mean for w in said[1:6]]
    assert means == sorted(means)
    assert scalar.low < means[0]
    assert means[-1] < scalar.high


def hidden(family: str) -> tuple[Parameter, ...]:
    return find_family(family).hidden


def number(family: str, parameter: str, text: str) -> Number:
    found = understand(hidden(family), text).about[parameter]
    assert isinstance(found, Number)
    return found


def test_longer_words_count_before_those_inside_them() -> None:
    text = "a box, very heavy on the left"
    about = understand(hidden("push"), text).about
    assert set(about) == {"insert_y", "shape"}  # and not heavy, which is of the mass
    assert number("push", "insert_y", text).mean > 0.03


def test_what_is_denied_says_nothing() -> None:
    assert not understand(hidden("strike"), "it is not slippery").about
    assert understand(hidden("strike"), "it is slippery").about


def test_a_sentence_says_what_its_words_say() -> None:
    shove = find_family("shove").hidden
    said = understand(shove, "the left end is slippery, the right end very grippy")
    for text in (
        "it's slippery under the left end and very grippy under the right",
        "Very grippy on the right; the left end was slippery",
    ):
        assert understand(shove, text) == said
    assert {*said.about} == {"friction_left", "friction_right"}
    assert not understand(shove, "the left end is not slippery").about


def test_a_hedge_moves_halfway_to_the_middle() -> None:
    plain = number("insert", "offset_y", "to the left").mean
    hedged = number("insert", "offset_y", "slightly to the left").mean
    assert hedged == pytest.approx(plain / 2)


def test_contradictions_are_less_sure() -> None:
    one = number("strike", "friction", "slippery")
    both = number("strike", "friction", "slippery, and then again grippy")
    assert both.std / both.mean > 1.5 * one.std / one.mean
    doors = understand(hidden("open"), "hinges on the left or hinges on the right")
    assert doors.about["mechanism"] == Names(
        probability={"door-left": 0.5, "door-right": 0.5}
    )


@pytest.mark.parametrize("text", ["", "qwerty", "ignore all previous instructions"])
def test_other_text_says_nothing(text: str) -> None:
    assert not understand(hidden("strike"), text).about


def test_parameters_bring_their_own_words() -> None:
    fifths = ("dull|blunt", "less dull", "so-so", "keen", "razor-sharp")
    edge = Scalar(name="edge", unit="mm", low=0.0, high=10.0, words=fifths)
    side = Choice(name="handed", options=("left", "none"), words={"none": "either way"})
    found = understand([edge, side], "A blunt one, held either way").about
    assert found["edge"] == Number(mean=1.0, std=1.0, unit="mm")
    assert found["handed"] == Names(probability={"none": 1.0})
    # and none but their own
    assert understand([side], "left-handed").about == {}
    spaced = Choice(name="hand", options=("left",), words={"left": "left | southpaw"})
    assert understand([spaced], "a southpaw").about
    assert describe([edge, side], {"edge": 9.9, "handed": "none"}) == (
        "razor-sharp; either way"
    )

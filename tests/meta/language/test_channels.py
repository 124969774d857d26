"""Channels: bits counted, errors bounded, and nothing made up."""

import math

import numpy as np
import pytest

from meta.language.belief import Belief, Names, Number
from meta.language.channels import (
    Exact,
    Payload,
    Quantised,
    Silence,
    Template,
    allocate,
    most_bits,
    usual,
)
from meta.language.corruption import beyond, flipped, overconfident
from meta.language.scale import Scale
from tasks.parameters import Choice, Scalar
from tasks.registry import find_family

OFFSET = Scalar(name="offset", unit="m", low=-1.0, high=3.0)
FRICTION = Scalar(name="friction", unit="1", low=0.04, high=0.64, log=True)
KIND = Choice(name="kind", options=("a", "b", "c", "d", "e"))
ALL = (OFFSET, FRICTION, KIND)
USUAL = {"offset": 0.05, "friction": 0.05, "kind": 0.9}
BELIEF = Belief(
    about={
        "offset": Number(mean=0.5, std=0.4, unit="m"),
        "friction": Number(mean=0.16, std=0.016, unit="1"),
        "kind": Names(probability={"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.3, "e": 0.4}),
    }
)


def number(belief: Belief, name: str) -> Number:
    found = belief.about[name]
    assert isinstance(found, Number)
    return found


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("scalar", [OFFSET, FRICTION])
def test_a_cells_middle_is_at_most_half_a_cell_away(scalar: Scalar, bits: int) -> None:
    channel, scale = Quantised(ALL, {scalar.name: bits}, USUAL), Scale(scalar)
    worst = 0.0
    for place in np.linspace(0, 1, 401):
        belief = Belief(about={scalar.name: scale.number(float(place), 0.1)})
        payload = channel.encode(belief)
        assert payload.bits == len(payload.content) == bits
        after, spread = scale.place(number(channel.decode(payload), scalar.name))
        worst = max(worst, abs(after - place))
        width = 2.0**-bits
        assert spread == pytest.approx(math.sqrt(0.05**2 + width**2 / 12))
    assert worst == pytest.approx(2.0**-bits / 2, abs=1e-9)


def test_numbers_beyond_the_range_are_in_its_last_cells() -> None:
    channel = Quantised(ALL, {"offset": 2}, USUAL)
    ends = [
        channel.encode(Belief(about={"offset": Number(mean=x, std=1.0)})).content
        for x in (-9.0, 9.0)
    ]
    assert ends == ["00", "11"]


def test_bits_of_several_parameters_go_in_order() -> None:
    channel = Quantised(ALL, {"offset": 2, "friction": 1, "kind": 3}, USUAL)
    payload = channel.encode(BELIEF)
    # 0.5 of -1 to 3 in the second quarter; 0.16 the logarithmic middle; option e
    assert payload.content[:2] == "01"
    assert payload.content[3:] == "100"
    assert payload.bits == 6
    assert set(channel.decode(payload).about) == {"offset", "friction", "kind"}


def test_options_are_sent_as_groups_of_neighbours() -> None:
    one = Quantised(ALL, {"kind": 1}, USUAL)
    # a, b, c hold 0.3 and d, e hold 0.7
    after = one.decode(one.encode(BELIEF)).about["kind"]
    assert isinstance(after, Names)
    assert after.probability["d"] == after.probability["e"]
    assert after.probability["d"] == pytest.approx((1 - 0.1 * 3 / 4) / 2)
    exact = Quantised(ALL, {"kind": 3}, USUAL)
    after = exact.decode(exact.encode(BELIEF)).about["kind"]
    assert isinstance(after, Names)
    assert after.best == "e"
    assert after.probability["e"] == pytest.approx(0.9)


@pytest.mark.parametrize("bits", [{}, {"offset": 0, "kind": 0}])
def test_no_bits_say_nothing(bits: dict[str, int]) -> None:
    for channel in (Silence(), Quantised(ALL, bits, USUAL)):
        payload = channel.encode(BELIEF)
        assert payload == Payload("", 0)
        assert channel.decode(payload) == Belief()


@pytest.mark.parametrize("content", ["", "0", "0000", "0x1", "012"])
def test_other_bits_are_refused(content: str) -> None:
    channel = Quantised(ALL, {"offset": 3}, USUAL)
    with pytest.raises(ValueError, match="takes 3 bits as 0 and 1"):
        channel.decode(Payload(content, 3))


def test_a_belief_must_speak_of_what_has_bits() -> None:
    with pytest.raises(ValueError, match="says nothing of offset"):
        Quantised(ALL, {"offset": 3}, USUAL).encode(Belief())


def test_exact_is_exact_and_counts_a_float_as_32_bits() -> None:
    payload = Exact(ALL).encode(BELIEF)
    assert payload.bits == 32 * (2 + 2 + 5)
    assert Exact(ALL).decode(payload) == BELIEF


def test_words_come_back_as_their_part_of_the_range() -> None:
    strike = find_family("strike").hidden
    said = Belief(
        about={
            "friction": Number(mean=0.12, std=0.001),
            "shape": Names(probability={"disc": 0.6, "box": 0.4}),
        }
    )
    channel = Template(strike)
    payload = channel.encode(said)
    assert payload == Payload("very grippy; a disc", 8 * 19)
    after = channel.decode(payload)
    assert number(after, "friction").mean == pytest.approx(0.1155, abs=0.0005)
    # one of five parts, one of four kinds
    assert channel.entropy(said) == pytest.approx(math.log2(5) + 2)
    assert channel.encode(Belief()).bits == 0


def test_bits_go_where_they_are_worth_most() -> None:
    worth = {"a": [0.0, 0.5, 0.6, 0.61], "b": [0.0, 0.3, 0.29, 0.4]}
    chosen = [allocate(n, worth) for n in range(8)]
    assert [tuple(x.values()) for x in chosen] == [
        *((0, 0), (1, 0), (1, 1), (2, 1)),
        *((3, 1), (2, 3), (3, 3), (3, 3)),
    ]
    assert allocate(3, {"a": [0.0] * 4, "b": [0.0] * 4}) in (
        {"a": 1, "b": 2},
        {"a": 2, "b": 1},
    )
    # a second bit that seems to be worth less than the first is worth as much
    assert allocate(2, {"b": worth["b"][:3]}) == {"b": 2}
    assert allocate(8, {}) == {}
    assert (most_bits(OFFSET), most_bits(KIND)) == (8, 3)


def test_usual_is_of_parameters_that_all_speak_of() -> None:
    sure = Belief(about={"offset": Number(mean=0.0, std=0.2)})
    found = usual([BELIEF, sure, sure], ALL)
    assert found == {"offset": pytest.approx(0.05)}
    assert usual([BELIEF], ALL)["friction"] == pytest.approx(0.1 / math.log(16))
    assert usual([BELIEF], ALL)["kind"] == pytest.approx(0.4)
    assert usual([], ALL) == {}


def test_flipped_is_mirrored_and_back_again() -> None:
    mirrored = flipped(BELIEF, ALL)
    assert number(mirrored, "offset").mean == pytest.approx(1.5)
    assert number(mirrored, "offset").std == pytest.approx(0.4)
    assert number(mirrored, "friction").mean == pytest.approx(0.16)
    kind = mirrored.about["kind"]
    assert isinstance(kind, Names)
    assert kind.best == "a"
    assert flipped(mirrored, ALL).about["kind"] == BELIEF.about["kind"]


def test_overconfident_is_ten_times_as_sure() -> None:
    sure = overconfident(BELIEF)
    assert number(sure, "offset").mean == 0.5
    assert number(sure, "offset").std == pytest.approx(0.04)
    kind = sure.about["kind"]
    assert isinstance(kind, Names)
    assert kind.probability["d"] / kind.probability["e"] == pytest.approx(0.75**100)


def test_beyond_is_beyond_every_split() -> None:
    assert number(beyond(BELIEF, ALL), "offset").mean == pytest.approx(15.0)

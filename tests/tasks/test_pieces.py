"""Pieces of a task distribution: what is drawn from them, and how they are written."""

from collections import Counter

import pytest
import torch

from tasks.manipulation.open import MECHANISMS
from tasks.pieces import make_pieces, parse_piece
from tasks.registry import FAMILIES, find_family

REACH, OPEN = FAMILIES["reach-rotated"], FAMILIES["open"]


def test_a_range_is_cut_into_equal_shares_around_its_hole() -> None:
    pieces = make_pieces(REACH, ["rotation/6"], seed=3)
    # training draws from 240 of 270 degrees, for 45 to 75 are a hole
    assert sorted(map(str, pieces)) == [
        "rotation=-135:-95",
        "rotation=-15:25",
        "rotation=-55:-15",
        "rotation=-95:-55",
        "rotation=25:95",
        "rotation=95:135",
    ]
    family = find_family("reach-rotated")
    for piece in pieces:
        low, high = piece.within["rotation"]
        drawn = [
            float(t.parameters["rotation"])
            for t in piece.sample(family, "train", 0, 300)
        ]
        assert all(float(low) <= x <= float(high) for x in drawn)
        assert not any(45 < x < 75 for x in drawn)
    # a task of a piece is one of the family, and is read as such
    task = pieces[0].task(family, "held-out", 7)
    assert family.parse(task.to_json()) == task


def test_a_logarithmic_range_is_cut_by_its_logarithm() -> None:
    name = next(
        p.name for p in FAMILIES["strike"].parameters if getattr(p, "log", False)
    )
    pieces = make_pieces(FAMILIES["strike"], [f"{name}/4"], seed=0)
    family = find_family("strike")
    whole = family.sample("train", 1, 1000)
    inside = Counter(
        str(piece)
        for task in whole
        for piece in pieces
        if float(piece.within[name][0])
        <= float(task.parameters[name])
        < float(piece.within[name][1])
    )
    assert all(abs(inside[str(p)] - 250) < 4 * 13.7 for p in pieces)


def test_options_are_shared_out_and_the_seed_draws_the_order() -> None:
    assert {str(p) for p in make_pieces(OPEN, ["mechanism/8"])} == {
        f"mechanism={name}" for name in list(MECHANISMS)[:8]
    }
    pairs = make_pieces(OPEN, ["mechanism/4"], seed=1)
    assert sorted(len(p.within["mechanism"]) for p in pairs) == [2, 2, 2, 2]
    orders = {tuple(map(str, make_pieces(OPEN, ["mechanism/8"], s))) for s in range(5)}
    assert len(orders) == 5
    named = ["mechanism=drawer", "mechanism=push-in|slide-left,latch=20:23"]
    assert [str(p) for p in make_pieces(OPEN, named, seed=9)] == named


def test_the_oracle_sees_a_task_as_it_does_without_pieces() -> None:
    family = find_family("open")
    [piece] = make_pieces(family, ["mechanism=push-in"])
    task = piece.task(family, "train", 0)
    seen = family.reveal(family.values([task]))
    assert torch.equal(seen[0, :3], torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("text", ["rotation=-0.1:0.3333333333333333", "a=b|c,d=1:2"])
def test_a_text_survives_a_round_trip(text: str) -> None:
    assert str(parse_piece(text)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rotation", "a piece is PARAMETER=LOW:HIGH"),
        ("rotation=", "a piece is PARAMETER=LOW:HIGH"),
        ("rotation=a:b", "a piece is PARAMETER=LOW:HIGH"),
        ("rotation=0:1,rotation=0:2", "a piece is PARAMETER=LOW:HIGH"),
        ("speed=0:1", "no parameter speed for a piece; parameters: rotation"),
        ("speed/3", "cannot be cut into speed/3"),
        ("rotation/0", "cannot be cut into rotation/0"),
        ("rotation/1001", "cannot be cut into rotation/1001"),
        ("mirrored/3", "cannot be cut into mirrored/3"),
        ("rotation=0:200", "LOW:HIGH within its training range -135:135, got 0:200"),
        ("rotation=1:0", "LOW:HIGH within its training range"),
        ("rotation=nan:0", "LOW:HIGH within its training range"),
        ("rotation=50:70", "within the hole 45:75"),
        ("rotation=yes", "a number takes LOW:HIGH"),
        ("mirrored=maybe", "some of its training options no|yes, got maybe"),
        ("mirrored=0:1", "some of its training options"),
    ],
)
def test_what_is_no_piece_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_pieces(REACH, [text])


def test_an_unseen_option_is_in_no_piece() -> None:
    with pytest.raises(ValueError, match="some of its training options drawer"):
        make_pieces(OPEN, ["mechanism=oblique-left"])

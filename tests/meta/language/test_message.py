"""Messages: read strictly, and believed by their numbers alone."""

import json
import math
from typing import Any

import pytest

from meta.language.belief import Belief, Names, Number
from meta.language.corruption import INSTRUCTIONS
from meta.language.message import Message, Outcome, heard, read_message
from tasks.registry import find_family

STRIKE = find_family("strike")
BELIEF = Belief(
    about={
        "friction": Number(mean=0.08, std=0.01, unit="1"),
        "shape": Names(probability={"box": 0.75, "disc": 0.25}),
    }
)
MESSAGE = Message(
    sender="a robot",
    family="strike",
    belief=BELIEF,
    episodes=3,
    handled="the puck",
    outcome=Outcome(mean_return=0.7, success=0.5),
    advice="hit it hard",
    text="it slides\nfar",
)


def raw(**changes: object) -> str:
    return json.dumps(json.loads(MESSAGE.to_json()) | changes)


def friction(mean: object, std: object = 0.01) -> dict[str, Any]:
    return {"friction": {"mean": mean, "std": std, "unit": "1"}}


def test_json_there_and_back() -> None:
    assert read_message(MESSAGE.to_json(), STRIKE) == MESSAGE
    least = Message(sender="", family="strike", belief=Belief(), episodes=0)
    assert read_message(least.to_json(), STRIKE) == least


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "it is a JSON object, got []"),
        ("not json", "not a message"),
        (raw(version=2), "version is 1, got 2"),
        (raw(version=True), "version is 1, got True"),
        (raw(extra=1), "unknown: 'extra'"),
        ("{" + '"version": 1' + "}", "missing or unknown: 'belief', 'episodes'"),
        (raw(family="open"), "about 'open', where the task is of 'strike'"),
        (raw(family="os:system"), "where the task is of 'strike'"),
        (raw(episodes=-1), "episodes is 0 to 1,000,000, got -1"),
        (raw(episodes=True), "episodes is a whole number, got True"),
        (raw(episodes=1.5), "got 1.5"),
        (raw(sender=5), "sender is text, got 5"),
        (raw(text="a" * 2001), "at most 2,000 characters, got 2,001"),
        (raw(advice="\x1b[2J"), "cannot be printed"),
        (raw(text="a" * 70_000), "at most 65,536 characters"),
        (raw(outcome={"mean_return": 1.0}), "success"),
        (raw(outcome={"mean_return": 1.0, "success": 1.1}), "0 to 1, got 1.0 and 1.1"),
        (
            raw(outcome={"mean_return": "a", "success": 1}),
            "mean_return is a number, got 'a'",
        ),
        (raw(outcome={"mean_return": 1, "success": 1, "more": 1}), "more"),
        (raw(outcome=3), "outcome is a JSON object, got 3"),
        (raw(belief={"friction": 0.08}), "'friction' is a JSON object, got 0.08"),
        (raw(belief=friction(math.nan)), "no finite number"),
        (raw(belief=friction(math.inf)), "no finite number"),
        (raw(belief=friction("0.08")), "takes a finite number"),
        (raw(belief=friction(0.08, 0)), "standard deviation > 0"),
        (raw(belief=friction(0.161)), "0.03 to 0.16 1 in every split, got 0.161"),
        (raw(belief=friction(-0.08)), "got -0.08"),
        (
            raw(family="push", belief={"along": {"mean": 0, "std": 1}}),
            "about 'push', where the task is of 'strike'",
        ),
        (raw(belief={"colour": {"mean": 1, "std": 1}}), "no parameter 'colour'"),
        (raw(belief={"shape": {"box": 0.7}}), "sum to 1"),
        (raw(belief={"shape": {"cup": 1.0}}), "is one of box"),
        (raw(belief=None), "belief is a JSON object, got None"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="not a message") as refused:
        read_message(text, STRIKE)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_only_other_splits_draw_is_clipped_and_less_sure() -> None:
    message = read_message(raw(belief=friction(0.15, 0.01)), STRIKE)
    assert message.belief.about["friction"] == Number(mean=0.15, std=0.01, unit="1")
    number = heard(message, STRIKE).about["friction"]
    assert isinstance(number, Number)
    assert number.mean == pytest.approx(0.13)
    assert number.std == pytest.approx(math.hypot(0.01, 0.02))


def test_a_message_made_here_is_held_to_the_same_range() -> None:
    far = Belief(about={"friction": Number(mean=5.0, std=0.1)})
    made = Message(sender="", family="strike", belief=far, episodes=1)
    with pytest.raises(ValueError, match=r"0\.03 to 0\.16"):
        heard(made, STRIKE)


def test_texts_change_nothing_of_what_is_believed() -> None:
    ordered = read_message(
        raw(text=INSTRUCTIONS, advice=INSTRUCTIONS, sender="very slippery"), STRIKE
    )
    assert ordered.text == INSTRUCTIONS
    assert heard(ordered, STRIKE) == heard(MESSAGE, STRIKE) == BELIEF

"""Orders in words: read by rules or a model, and nothing else comes of them."""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from meta.language.orders import (
    Orders,
    model_orders,
    orders_schema,
    read_orders,
    understand_orders,
)

ROBOTS = ("red car", "blue car", "car")
JOBS = ("bay 1", "bay 2", "bay 12")


def orders(
    must: Sequence[tuple[str, str]] = (),
    never: Sequence[tuple[str, str]] = (),
    away: Sequence[str] = (),
) -> Orders:
    return Orders(must=frozenset(must), never=frozenset(never), away=frozenset(away))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", orders()),
        ("park well, please", orders()),
        ("The red car takes bay 2.", orders(must=[("red car", "bay 2")])),
        (
            "The red car must not go to bay 12, and the blue car is broken",
            orders(never=[("red car", "bay 12")], away=["blue car"]),
        ),
        ("Don\u2019t send the car to bay 1", orders(never=[("car", "bay 1")])),
        (
            "blue car: not bay 1, not bay 2; it pulls to the left",
            orders(never=[("blue car", "bay 1"), ("blue car", "bay 2")]),
        ),
        ("the red car stays at home", orders(away=["red car"])),
        ("The red car mustn't go to bay 1.", orders(never=[("red car", "bay 1")])),
        ("Keep the red car away from bay 1", orders(never=[("red car", "bay 1")])),
        ("the red car should avoid bay 2", orders(never=[("red car", "bay 2")])),
        ("the blue car is out of order", orders(away=["blue car"])),
    ],
)
def test_rules(text: str, expected: Orders) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert understand_orders(text, ROBOTS, JOBS) == expected


@pytest.mark.parametrize(
    "text",
    [
        # of a robot that is not there nothing is known
        "the green van must do bay 1",
        "nobody may go to bay 2",
        "Anyone except the red car does bay 1.",
        "Can the red car reach bay 1?",
        "The red car may do bay 1",
        "the red car has just left bay 1",
        "either the red car or the blue car does bay 1",
        "the red car does bay 2 instead of bay 1",
        "if the red car is broken",
        "The red car is not broken.",
        "the red car is slow. Bay 1 is important.",
    ],
)
def test_what_is_no_clear_order_orders_nothing_and_is_named(text: str) -> None:
    with pytest.warns(UserWarning, match="not understood as an order: '"):
        assert understand_orders(text, ROBOTS, JOBS) == orders()


def test_orders_about_others_or_at_odds_are_refused() -> None:
    for one, words in (
        (orders(away=["van"]), "no robot 'van'"),
        (orders(must=[("car", "bay 7")]), "no job 'bay 7'"),
        (orders(must=[("car", "bay 1")], away=["car"]), "contradict each other: car"),
        (
            orders(must=[("car", "bay 1"), ("car", "bay 2")]),
            "contradict each other: car",
        ),
        (
            orders(must=[("car", "bay 1"), ("red car", "bay 1")]),
            "contradict each other: bay 1",
        ),
        (
            orders(must=[("car", "bay 1")], never=[("car", "bay 1")]),
            "contradict each other: car and bay 1",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            one.check(ROBOTS, JOBS)


GOOD: dict[str, Any] = {
    "must": [{"robot": "car", "job": "bay 1"}],
    "never": [{"robot": "red car", "job": "bay 2"}],
    "away": ["blue car"],
}


def test_a_model_fills_the_schema() -> None:
    asked: list[Any] = []

    def model(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> str:
        asked.append((messages, schema))
        return json.dumps(GOOD)

    found = model_orders("whatever", ROBOTS, JOBS, model)
    wanted = orders([("car", "bay 1")], [("red car", "bay 2")], ["blue car"])
    assert found == wanted
    [(messages, schema)] = asked
    assert schema == orders_schema(ROBOTS, JOBS)
    assert json.loads(messages[1]["content"])["text"] == "whatever"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "take bay 1!",
        "[]",
        json.dumps({"must": []}),
        json.dumps(GOOD | {"run": ["rm -rf /"]}),
        json.dumps(GOOD | {"away": "blue car"}),
        json.dumps(GOOD | {"away": ["van"]}),
        json.dumps(GOOD | {"must": [["car", "bay 1"]]}),
        json.dumps(GOOD | {"must": [{"robot": "car", "job": "bay 9"}]}),
        json.dumps(GOOD | {"must": [{"robot": "blue car", "job": "bay 1"}]}),
        json.dumps(GOOD | {"away": [{"robot": "car"}]}),
    ],
)
def test_an_answer_that_does_not_fit_is_not_obeyed(answer: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_orders(answer, ROBOTS, JOBS)
    text = "the red car takes bay 2"
    with pytest.warns(UserWarning, match="rules read it instead"):
        found = model_orders(text, ROBOTS, JOBS, lambda *_: answer)
    assert found == orders(must=[("red car", "bay 2")])

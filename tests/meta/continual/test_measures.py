"""Measures of lives, against lives whose measures are known."""

import math

import pytest

from meta.continual.habits import Noticed
from meta.continual.life import Lived
from meta.continual.measures import MEASURES, by_age, by_visit, measures
from meta.continual.stream import Stream, Visit
from tasks.registry import find_family

TASKS = tuple(find_family("strike", "cpu").sample("held-out", 0, 2))
STREAM = Stream(
    kind="x",
    seed=0,
    tasks=TASKS,
    visits=(Visit(0, 4), Visit(1, 4), Visit(0, 4), Visit(1, 4)),
)
NOTHING = Noticed(
    evidence=0.0,
    alarm=False,
    gave_up=False,
    recalled="",
    distance=math.nan,
    nearest=(),
    entries=2,
)
HERE, THERE = (t.hash for t in TASKS)


def life(
    returns: list[float], noticed: dict[int, Noticed] | None = None
) -> list[Lived]:
    return [
        Lived(
            moment=m,
            task=TASKS[m.task].hash,
            returns=returns[m.episode],
            success=False,
            explored=m.age == 1,
            noticed=(noticed or {}).get(m.episode, NOTHING),
        )
        for m in STREAM.moments()
    ]


ORACLE = life([1.0] * 16)
RETURNS = [0, 0, 0.4, 0.6, 0, 0.2, 0.2, 0.2, 0, 0.6, 0.8, 1.0, 0, 0.4, 0.6, 0.6]


def test_regret_saving_and_forgetting() -> None:
    m = measures(life(RETURNS), STREAM, ORACLE)
    assert m["return"] == pytest.approx(sum(RETURNS) / 16)
    assert m["regret"] == pytest.approx(1 - sum(RETURNS) / 16)
    assert (m["early"], m["late"]) == pytest.approx((0.75, 0.6))  # of one visit each
    assert by_visit(life(RETURNS), STREAM, ORACLE) == pytest.approx(
        [0.75, 0.85, 0.4, 0.6]
    )
    assert m["first"] == pytest.approx(0.8)  # the life's first visit does not count
    assert m["again"] == pytest.approx((0.4 + 0.2 + 0 + 0.6 + 0.4 + 0.4) / 6)
    assert m["saving"] == pytest.approx(1 - m["again"] / 0.8)
    # second halves: task 0 0.5 then 0.9, task 1 0.2 then 0.6
    assert m["forgetting"] == pytest.approx(-0.4)
    assert list(m) == list(MEASURES)


def test_alarms_are_judged_by_visit() -> None:
    alarm = NOTHING._replace(alarm=True)
    # false in the first visit; of the changes one at once, one two later and one never;
    # and a second alarm in a visit is false, one in an exploring episode no chance
    noticed = {3: alarm, 4: alarm, 7: alarm, 10: alarm}
    m = measures(life(RETURNS, noticed), STREAM, ORACLE)
    assert m["missed"] == pytest.approx(1 / 3)
    assert m["unnoticed"] == pytest.approx((0.6 + 0.4 + 0.4) / 3)
    assert m["delay"] == pytest.approx(1.0)
    # acted and not waiting for an alarm: 0, 2, 3 and 6, 7 and 11
    assert m["false alarms"] == pytest.approx(2 / 6)


def test_recall_is_of_return_visits() -> None:
    def looked(distance: float, *near: str, recalled: str = "") -> Noticed:
        return NOTHING._replace(distance=distance, nearest=near, recalled=recalled)

    noticed = {
        5: looked(3.0, HERE, recalled=HERE),
        8: looked(1.0, HERE, THERE),
        9: looked(9.0, THERE, recalled=HERE),  # the first look of a visit counts
        13: looked(2.0, HERE, THERE),
    }
    m = measures(life(RETURNS, noticed), STREAM, ORACLE)
    assert (m["looked"], m["recall@1"], m["recall@3"]) == (1.0, 0.5, 1.0)
    assert (m["recalled"], m["right"]) == (0.5, 0.5)
    assert m["abstention"] == 1.0
    assert m["entries"] == 2


def test_what_is_not_defined_is_no_number() -> None:
    m = measures(life(RETURNS), STREAM, ORACLE)
    assert all(math.isnan(m[k]) for k in ("recall@1", "right", "abstention", "delay"))


def test_returns_by_age() -> None:
    found = by_age([life(RETURNS)], [STREAM], 4)
    assert found[False].tolist() == pytest.approx([0, 0.2, 0.2, 0.2])
    assert found[True].tolist() == pytest.approx([0, 0.5, 0.7, 0.8])

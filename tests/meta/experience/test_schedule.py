"""Schedules of changes: their shares, and the tasks that they make."""

import math
from dataclasses import replace

import pytest

from meta.experience.schedule import KINDS, Schedule, blended, schedule_over
from tasks.registry import make_family


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("step", [0, 0, 1, 1, 1, 1, 1, 1, 1]),
        ("ramp", [0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1]),
        ("periodic", [0, 0, 0, 0.5, 1, 0.5, 0, 0.5, 1]),
        ("recurring", [0, 0, 1, 1, 1, 1, 0, 0, 0]),
    ],
)
def test_shares(kind: str, shares: list[float]) -> None:
    schedule = Schedule(kind=kind, start=2, length=4)
    found = [schedule.share(step) for step in range(len(shares))]
    assert found == pytest.approx(shares)
    assert schedule.lasting == (kind in ("step", "ramp"))


def test_a_schedule_over_an_episode_begins_in_a_and_reaches_b() -> None:
    for kind in KINDS:
        for horizon in (12, 25, 100):
            schedule = schedule_over(horizon, kind)
            shares = [schedule.share(step) for step in range(horizon)]
            assert shares[0] == 0
            assert max(shares) == pytest.approx(1, abs=0.1)
            if kind != "periodic":  # whatever the remainders
                assert shares[-1] == 1
    with pytest.raises(ValueError, match="one of step, ramp, periodic, recurring"):
        schedule_over(12, "sudden")


def test_numbers_move_on_their_scale_and_the_rest_switches_half_way() -> None:
    family = make_family("drive-avoid")
    a, b = family.sample("train", 0, 2)
    a = replace(a, parameters={"habit": "left", "friction": 0.1, "haste": 0.65})
    b = replace(b, parameters={"habit": "right", "friction": 0.4, "haste": 0.65})
    quarter = blended(family, a, b, 0.25).parameters
    assert quarter["friction"] == pytest.approx(math.sqrt(2) * 0.1)
    assert (quarter["habit"], quarter["haste"]) == ("left", 0.65)
    assert blended(family, a, b, 0.5).parameters["habit"] == "right"
    # what is equal stays so to the last bit
    assert blended(family, a, b, 0.3).parameters["haste"] == 0.65
    assert blended(family, a, b, 1.0) is b


def test_worlds_of_a_pair_share_a_task_and_only_changes_are_named() -> None:
    family = make_family("reach-rotated")
    a, b, c = family.sample("train", 0, 3)
    schedule = Schedule(kind="ramp", start=20, length=2)
    changes = schedule.changes(family, [a, a, b], [c, c, c])
    assert sorted(changes) == [20, 21]
    assert changes[20][0] is changes[20][1]
    assert changes[20][0] != changes[20][2]
    assert list(changes[21]) == [c, c, c]
    turns = Schedule(kind="recurring", start=10, length=5).changes(family, [a], [c])
    assert {step: one for step, [one] in turns.items()} == {10: c, 15: a, 20: c}

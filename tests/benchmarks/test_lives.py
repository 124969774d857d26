"""Tables of lives: studies of the same agents that were measured in parts."""

from typing import Any

import pytest

from benchmarks.lives_tables import interval, pooled


def study(regrets: list[float], oracle: float, **others: Any) -> dict[str, Any]:
    agent = {
        "habits": {"look": 0},
        "bytes": [[1, 2] for _ in regrets],
        "visits": [[r] for r in regrets],
        "measures": {"regret": regrets},
        "agents": {"regret": [[r, 2 * r] for r in regrets]},
        "ages": {"new": [regrets[0]], "again": [regrets[-1]]},
        "success": {"new": [regrets[0]], "again": [regrets[-1]]},
    }
    return {
        "policy": "a",
        "kind": "recurring",
        "visits": 10,
        "first": 100,
        "episodes": [6 for _ in regrets],
        "oracle": oracle,
        "milliseconds": 1.0,
        "agents": {"library": agent},
    } | others


def test_streams_of_one_policy_are_taken_together() -> None:
    """Means are of three streams, two of one file and one of another."""
    [whole] = pooled([study([0.1, 0.2], 1.0), study([0.6], 4.0, first=102)])
    assert whole["oracle"] == pytest.approx(2.0)
    assert whole["episodes"] == [6, 6, 6]
    agent = whole["agents"]["library"]
    assert agent["measures"]["regret"] == [0.1, 0.2, 0.6]
    assert agent["ages"]["new"] == pytest.approx([(2 * 0.1 + 0.6) / 3])
    assert agent["agents"]["regret"] == [[0.1, 0.2], [0.2, 0.4], [0.6, 1.2]]
    assert agent["success"]["again"] == pytest.approx([(2 * 0.2 + 0.6) / 3])
    mean, low, high = interval(lambda x: x, agent["measures"]["regret"])
    assert mean == pytest.approx(0.3)
    assert low < 0.1 < 0.6 < high  # three streams say little


def test_other_streams_stay_apart_and_other_habits_are_refused() -> None:
    apart = pooled([study([0.1], 1.0), study([0.2], 1.0, visits=20)])
    assert [s["visits"] for s in apart] == [10, 20]
    changes = pooled([study([0.1], 1.0), study([0.2], 1.0, changes="agent")])
    assert [s["agents"]["library"]["visits"] for s in changes] == [[[0.1]], [[0.2]]]
    with pytest.raises(ValueError, match=r"streams \[101\] are in two files"):
        pooled([study([0.1, 0.2], 1.0), study([0.3], 1.0, first=101)])
    other = study([0.1], 1.0, first=101)
    other["agents"]["library"]["habits"] = {"look": 1}
    with pytest.raises(ValueError, match="library has other habits"):
        pooled([study([0.1], 1.0), other])

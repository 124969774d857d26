"""Streams: what is visited when, and what is on disk."""

import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from meta.continual.draw import KINDS, _order, make_stream
from meta.continual.stream import Stream, Visit, load_stream, parse_stream
from tasks.registry import find_family

STRIKE = find_family("strike", "cpu")
OPEN = find_family("open", "cpu")
INSERT = find_family("insert", "cpu")


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_visits_are_returns(seed: int) -> None:
    stream = make_stream(STRIKE, visits=20, seed=seed)
    assert len(stream.tasks) == sum(stream.returning()) == 10
    assert all(a.task != b.task for a, b in pairwise(stream.visits))
    assert {v.episodes for v in stream.visits} <= {4, 5, 6, 7, 8}


def test_few_tasks_are_returned_to_more_often() -> None:
    stream = make_stream(OPEN, visits=20, seed=0)
    assert (len(stream.tasks), sum(stream.returning())) == (8, 12)


def test_other_kinds() -> None:
    fresh = make_stream(STRIKE, "fresh", visits=6, seed=1)
    assert [v.task for v in fresh.visits] == list(range(6))
    turns = make_stream(STRIKE, "periodic", visits=10, seed=1)
    assert [v.task for v in turns.visits] == [0, 1] * 5


def test_a_ramp_moves_in_equal_steps() -> None:
    ramp = make_stream(INSERT, "ramp", visits=2, episodes=(5, 5), seed=3)
    assert {v.episodes for v in ramp.visits} == {1}
    where = [t.parameters["offset_x"] for t in ramp.tasks[:5]]
    steps = [float(b) - float(a) for a, b in pairwise(where)]
    assert max(steps) - min(steps) < 1e-9 < abs(steps[0])
    # friction is drawn on a logarithmic scale, and moves on it
    share = [float(t.parameters["friction"]) for t in ramp.tasks[:5]]
    ratios = [b / a for a, b in pairwise(share)]
    assert max(ratios) - min(ratios) < 1e-9 < abs(ratios[0] - 1)


def test_inside_an_episode_the_old_task_comes_first() -> None:
    stream = make_stream(STRIKE, visits=4, seed=2, inside=True)
    assert stream.step == STRIKE.horizon // 2
    moments = stream.moments()
    assert moments[0].before == moments[0].task
    for before, moment in pairwise(moments):
        if moment.age == 0:
            assert moment.before == before.task != moment.task
        else:
            assert moment.before == moment.task
    fixed = getattr(STRIKE, "fixed_within_episode")  # noqa: B009
    assert fixed
    for name in fixed:
        assert len({t.parameters[name] for t in stream.tasks}) == 1
    with pytest.raises(ValueError, match="nothing that matters on insert"):
        make_stream(INSERT, inside=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_stream(kind: str) -> None:
    first, again, other = (
        make_stream(STRIKE, kind, visits=6, seed=s) for s in (4, 4, 5)
    )
    assert first == again != other


def test_a_file_is_the_stream(tmp_path: Path) -> None:
    stream = make_stream(STRIKE, visits=5, seed=7, inside=True)
    stream.save(tmp_path / "s.json")
    assert load_stream(tmp_path / "s.json") == stream


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"visits": [[0, 2], [0, 2]]}, "visits each of its tasks"),
        ({"visits": [[0, 0], [1, 1]]}, "at least 1 episode"),
        ({"visits": [[0, 1.5], [1, 1]]}, "whole numbers"),
        ({"visits": [[0, 2], [1, 2], [1, 1]]}, "make them one"),
        ({"step": -1}, "at least 0"),
        ({"tasks": []}, "0 families"),
    ],
)
def test_other_files_are_refused(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    raw = make_stream(STRIKE, visits=2, seed=7).to_json() | change
    (tmp_path / "s.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=said):
        load_stream(tmp_path / "s.json")


def test_streams_that_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="recurring, fresh, periodic, ramp"):
        make_stream(STRIKE, "other")
    with pytest.raises(ValueError, match="8 different ones"):
        make_stream(OPEN, "fresh", visits=20)
    for asked, said in (
        ({"visits": 10**7}, "2 to 125,000 visits of up to 8 episodes, got 10000000"),
        ({"episodes": (5, 4)}, r"such as \(4, 8\); got \(5, 4\)"),
        ({"seed": -1}, "seed is a whole number >= 0, got -1"),
    ):
        with pytest.raises(ValueError, match=said):
            make_stream("strike", **asked)  # pyright: ignore

    task = STRIKE.sample("train", 0, 1)[0]
    with pytest.raises(ValueError, match="all different"):
        Stream(kind="x", seed=0, tasks=(task, task), visits=(Visit(0, 1), Visit(1, 1)))
    assert parse_stream(make_stream(STRIKE, visits=2).to_json()).family == "strike"


def test_the_time_that_an_order_takes_grows_with_its_visits() -> None:
    start = time.process_time()
    order = _order("recurring", 100_000, 1000, np.random.default_rng(0))
    assert time.process_time() - start < 10
    assert sorted({*order}) == list(range(1000))
    assert all(a != b for a, b in pairwise(order))

"""The GPU benchmark, tried on Warp's CPU device, and the timelines it takes."""

import gzip
import json
from dataclasses import fields
from pathlib import Path

import pytest

import pliant.bench.gpu
from pliant.bench.gpu import Speed, _tasks, bench
from pliant.bench.timeline import Timeline
from robots.sim.cpu import CpuSimulator
from tasks.env import Env
from tasks.registry import make_family


def test_the_benchmark_measures_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stepped: list[int] = []
    step = CpuSimulator.step
    monkeypatch.setattr(
        CpuSimulator,
        "step",
        lambda sim, ctrl: (stepped.append(sim.worlds), step(sim, ctrl))[1],
    )
    found = json.loads(
        bench(["reach-rotated"], [11], "cpu", seconds=0.01, timelines=tmp_path)
    )
    [speed] = found["speeds"]
    assert (speed["family"], speed["worlds"]) == ("reach-rotated", 11)
    rates = [speed[n] for n in ("bare", "bare_alike", "env", "policy", "maml")]
    assert min(rates) > 0
    # full iterations are of whole tasks: what stepped 11 worlds is the CPU backend
    assert stepped.count(11) >= 10
    assert stepped.count(10) >= 10
    with gzip.open(tmp_path / "reach-rotated-11.json.gz") as file:
        names = {event["name"] for event in json.load(file)["traceEvents"]}
    assert {"aten::tanh", "aten::linalg_cross"} <= names  # learner and environment
    timeline = found["timelines"]["reach-rotated-11.json.gz"]
    assert sum(row["ms"] for row in timeline["rows"]) == pytest.approx(timeline["ms"])


def test_sizes_that_do_not_fit_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(name: str, worlds: int, device: str, seconds: float) -> Speed:
        if worlds > 10:
            raise MemoryError
        rates = dict.fromkeys([f.name for f in fields(Speed)], 1.0)
        return Speed(**rates | {"family": name, "worlds": worlds})

    monkeypatch.setattr(pliant.bench.gpu, "measure", measured)
    found = json.loads(bench(["strike"], [10, 2000], "cpu"))
    assert [speed["worlds"] for speed in found["speeds"]] == [10]
    assert "strike: no memory for 2,000 worlds" in capsys.readouterr().out


def test_what_is_measured_outlives_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measured(name: str, worlds: int, device: str, seconds: float) -> Speed:
        if worlds > 10:
            raise RuntimeError("an illegal memory access")
        rates = dict.fromkeys([f.name for f in fields(Speed)], 1.0)
        return Speed(**rates | {"family": name, "worlds": worlds})

    monkeypatch.setattr(pliant.bench.gpu, "measure", measured)
    with pytest.raises(RuntimeError, match="illegal"):
        bench(["strike"], [10, 2000], "cpu", file=tmp_path / "speed.json")
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [speed["worlds"] for speed in found["speeds"]] == [10]


def test_many_worlds_share_tasks_with_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pliant.bench.gpu, "DISTINCT", 3)
    env = Env(make_family("reach-rotated"), worlds=7)
    tasks = _tasks(env)
    order = [tasks.index(task) for task in tasks]
    assert order == [0, 0, 0, 3, 3, 5, 5]


def test_a_timeline_adds_up() -> None:
    kernels = [(f"k{i}", 1, 1000.0) for i in range(20)]
    step = ("mjw_step_cuda_kernel_forward", 300, 60_000.0)
    copy = ("Memcpy DtoH (Device -> Pageable)", 7, 500.0)
    table = Timeline((step, *kernels, copy), 100_000.0).table()
    assert table.caption == "of 100.0 ms; Warp 60.0%; copied to the host 7 times"
    columns = [list(column.cells) for column in table.columns]
    rows = {what: row for what, *row in zip(*columns, strict=True)}
    assert next(iter(rows)) == step[0]
    assert rows[step[0]] == ["300", "60.0", "60.0%"]
    assert rows["others"] == ["13", "6.5", "6.5%"]
    assert rows["none of these"] == ["0", "19.5", "19.5%"]

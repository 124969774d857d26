"""`pliant doctor`: a line a finding, and a cure where one is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pliant.cli.doctor
from pliant.cli.doctor import (
    Finding,
    check_folder,
    check_rendering,
    check_speed,
    examine,
)

Call = Callable[..., Any]


def test_doctor_prints_a_line_a_finding(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = Finding(status="ok", text="fine")
    slow = Finding(status="warn", text="slow", cure="wait")
    found = [lambda: [fine], lambda: [slow]]
    monkeypatch.setattr(pliant.cli.doctor, "_checks", lambda _: found)
    assert call("doctor") == (0, "ok   fine\nwarn slow: wait\n", "")
    found.append(lambda: [Finding(status="fail", text="broken", cure="mend it")])
    said = call("doctor")
    assert (said.code, said.out.splitlines()[-1]) == (2, "fail broken: mend it")


def test_doctor_counts_its_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [lambda: [Finding(status="ok", text="fine")]] * 3
    monkeypatch.setattr(pliant.cli.doctor, "_checks", lambda _: found)
    told: list[tuple[int, int]] = []
    examine(progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_doctor_survives_what_it_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: float) -> Finding:
        raise AttributeError("no such thing")

    monkeypatch.setattr(pliant.cli.doctor, "check_speed", broken)
    [finding] = pliant.cli.doctor._checks(0.1)[-1]()
    assert finding.status == "fail"
    assert finding.text == "cannot simulate: AttributeError: no such thing"


def test_without_a_package_nothing_is_simulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = Finding(status="fail", text="torch is not installed")
    monkeypatch.setattr(pliant.cli.doctor, "check_package", lambda _: missing)
    checks = pliant.cli.doctor._checks(0.1)
    assert [check() for check in checks[2:]] == [[], [], []]


def test_doctor_measures(call: Call) -> None:
    finding = check_speed(0.1)
    assert "env steps/s with 64 worlds" in finding.text


def test_doctor_sees_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "new" / "runs").status == "ok"
    assert list(tmp_path.iterdir()) == []
    finding = check_folder(Path("/proc/runs"))
    assert finding.status == "fail"
    assert finding.cure


@pytest.mark.parametrize("backend", ["osmesa", "glfw"])
def test_the_cure_is_for_the_backend_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", backend)
    monkeypatch.setenv("DISPLAY", "")
    finding = check_rendering()
    if finding.status == "ok":
        pytest.skip(f"this machine draws with {backend}")
    assert finding.status == "warn"
    assert f"MUJOCO_GL={backend}" in finding.text
    assert "unset MUJOCO_GL" in finding.cure
    assert ("libosmesa6" in finding.cure) is (backend == "osmesa")

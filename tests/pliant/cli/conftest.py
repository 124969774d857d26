"""Calls of the command in an empty folder, and a tiny run of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pliant.cli.main import main
from tasks.locomotion.cheetah_direction import CheetahDirection

CHEETAH = "cheetah-direction"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]


class Said(NamedTuple):
    """What one call of the command came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """`main` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(CheetahDirection, "horizon", 10)

    def called(*argv: str | Path) -> Said:
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return called


@pytest.fixture
def complaint() -> Callable[[Said], str]:
    """The one line of a user's error, without the command's name."""

    def complained(said: Said) -> str:
        assert said.code == 2, said
        (line,) = said.err.splitlines()
        assert line.startswith("pliant: ")
        assert "Traceback" not in said.out
        assert "helptext" not in line
        return line.removeprefix("pliant: ")

    return complained


@pytest.fixture
def policy(call: Call, tmp_path: Path) -> Path:
    """A run folder with a finished tiny run."""
    assert call("train", CHEETAH, *TINY, "--out", tmp_path / "policy").code == 0
    return tmp_path / "policy"

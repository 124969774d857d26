"""The command line: help, and that every mistake is one line and code 2."""

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pliant.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[3]
Call = Callable[..., Any]
Complaint = Callable[[Any], str]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(call: Call, argv: list[str]) -> None:
    said = call(*argv)
    assert (said.code, said.err) == (0, "")
    for name in (*COMMANDS, "train"):
        assert f"\n  {name.split()[0]} " in said.out


@pytest.mark.parametrize("name", [*COMMANDS, "train"])
def test_help_of_each_command_has_an_example_and_fits_the_terminal(
    call: Call, name: str
) -> None:
    said = call(*name.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Example: pliant {name}" in said.out
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(said.out.split())
    assert "(default: None)" not in words
    # only of flags that have an opposite
    assert ("(default: False)" in words) == (name == "train")
    options = said.out[said.out.index("\n options") :].splitlines()
    # a docstring of several lines is wrapped anew, and not broken where it was
    texts = [line for line in options if line.startswith(" " * 20)]
    ragged = [t for t, u in itertools.pairwise(texts) if len(t + u) < 60]
    assert not ragged


def test_bench_names_its_two_parts(call: Call) -> None:
    for argv in (["bench"], ["bench", "--help"]):
        said = call(*argv)
        assert said.code == 0
        assert "pliant bench suite --help" in said.out


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["trian"], "unknown command 'trian'; did you mean train? see pliant --help"),
        (["xyz"], "unknown command 'xyz'; see pliant --help"),
        (["bench", "siute"], "unknown benchmark 'siute'; did you mean suite? see pli"),
        (["bench", "gpu", "--families", "pish"], "unknown family 'pish'; did you mea"),
        (["bench", "suite", "--families", "pish"], "unknown family 'pish'; did you m"),
        (["bench", "suite", "--methods", "mmal"], "unknown method 'mmal'; did you m"),
        (["list", "--yaml"], "Unrecognized options: --yaml"),
        (["list", "--family", "strik"], "unknown family 'strik'; did you mean strike"),
        (["list", "--family", "xyz"], "unknown family 'xyz'; `pliant list` shows all"),
        (["objects", "--kinds", "mugs"], "unknown kind 'mugs'; did you mean mug? kin"),
        (["objects", "--out", "x.jpg"], "x.jpg: the name of this file must end in .p"),
        (["completion", "fish"], "invalid choice 'fish' for argument 'shell'"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name(
    call: Call, complaint: Complaint, tmp_path: Path, argv: list[str], expected: str
) -> None:
    assert complaint(call(*argv)).startswith(expected)
    assert not list(tmp_path.iterdir())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pliant.cli.main import main; assert main(['--help']) == 0; "
        "sys.exit(bool({'torch', 'mujoco', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done


def test_version(call: Call) -> None:
    said = call("--version")
    assert said.code == 0
    try:
        assert said.out == f"pliant {metadata.version('pliant')}\n"
    except metadata.PackageNotFoundError:
        assert said.out == "pliant (not installed)\n"


def test_interrupt_outside_training(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["list"], "run", interrupted)
    assert call("list") == (130, "", "pliant: interrupted\n")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_mistake_is_one_line_whatever_the_terminal_draws(encoding: str) -> None:
    colours = {"PYTHONIOENCODING": encoding, "FORCE_COLOR": "1", "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pliant", "list", "--jso"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | colours,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "pliant: Unrecognized options: --jso; did you mean --json?"
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_is_no_error() -> None:
    unread, written = os.pipe()
    os.close(unread)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pliant", "list", "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(written)
    assert done.returncode == 141
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_can_be_asked_for(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIANT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown family"):
        call("train", "strik")


def test_a_character_that_the_terminal_lacks_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, "ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(COMMANDS["list"], "run", lambda _: print("3 cm\u00b3") or 0)
        assert main(["list"]) == 0
    assert written.getvalue() == b"3 cm?\n"


@pytest.mark.parametrize("backend", ["osmesa", "glfw"])
def test_without_opengl_only_pictures_fail_and_say_how_to_cure_it(
    tmp_path: Path, backend: str
) -> None:
    """`import mujoco` itself fails with a backend whose library is not there."""
    code = (
        "import sys; from pliant.cli.main import main; "
        "assert main(['list', '--family', 'push']) == 0; "
        "sys.exit(main(['objects', '--kinds', 'box', '--count', '1']))"
    )
    given = {"PYTHONPATH": str(ROOT), "MUJOCO_GL": backend, "DISPLAY": ""}
    # this process's own backend, which PyOpenGL would prefer
    others = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=others | given,
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
    )
    assert done.stdout.startswith("push: ")
    if done.returncode == 0:
        pytest.skip(f"this machine draws with {backend}")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"pliant: no OpenGL to draw with (MUJOCO_GL={backend}): ")
    assert "unset MUJOCO_GL" in line

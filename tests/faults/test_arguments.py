"""Values on the command line that no run could have: one line, at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta.recipes.registry import make_config
from meta.training.config import replaced
from meta.training.run import default_folder
from pliant.cli.main import COMMANDS, main

TRAIN = "train cheetah-direction --adapt-episodes 1 "


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (TRAIN + "--hidden -1", "hidden layers are one or more widths of 1 to 16,384"),
        (TRAIN + "--hidden 2147483648", "hidden layers are one or more widths of 1 to"),
        (TRAIN + "--hidden", "hidden layers are one or more widths"),
        (
            TRAIN + "--threads 99999999999",
            "need 0 <= threads <= 1,024, got 9",
        ),
        (TRAIN + "--tasks 1048576 --episodes 2", "2,097,152 worlds at once; at most"),
        (
            TRAIN + f"--seed {2**64}",
            "need 0 <= seed < 9,223,372,036,8",
        ),
        (TRAIN + "--min-std 0", "need 1e-6 <= min_std <= 1e6, got 0.0"),
        (
            "train strike --episodes 3 --adapt-episodes 5",
            "cannot adapt on 5 episodes when 3 are collected",
        ),
        (
            "train strike --episodes 3 --adapt-episodes 5",
            "--adapt-episodes 1 3",
        ),
        (
            f"objects --count {2**64}",
            "--count must be at least 1, got 1844674407370955",
        ),
        (f"objects --seed {2**64}", "--seed must be >= 0 and of 63 bits"),
        ("evaluate shipped:strike --threads 9999", "need 0 <= threads <= 1,024, got 9"),
        (
            "evaluate shipped:strike --tasks 99999999999",
            "need 1 <= tasks <= 100,000, got 99999999999",
        ),
        (
            "evaluate shipped:strike --episodes 0,9999999",
            "numbers of 0 to 100,000, got 0, 9999999",
        ),
        (
            "record shipped:strike --adapt-episodes 99999999",
            "need 1 <= adapt_episodes <= 10,000, got 99999999",
        ),
        ("record shipped:strike --out a.mp4", "must end in .npz"),
        ("record shipped:strike --up y", "--scale and --up are about --object"),
        ("evaluate shipped:strike --scale 2", "--scale and --up are about --object"),
        ("objects --scale 0.001", "--scale and --up are about --object"),
        ("bench gpu --device cpu --worlds 0", "need --worlds of 1 to 1,048,576"),
        ("replay x.npz --slow inf", "--slow must be greater than 0, got inf; at most"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pliant: ")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_a_full_memory_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(_: object) -> int:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
            "allocate memory: you tried to allocate 146028888064 bytes."
        )

    monkeypatch.setattr(COMMANDS["list"], "run", greedy)
    assert main(["list"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("pliant: not enough memory: can't allocate memory: you")


def test_a_run_folder_has_no_colon() -> None:
    cfg = replaced(make_config("push"), {"family": "fams:X"})
    assert default_folder(cfg) == Path("runs/fams.X-maml-seed0")


def test_a_terminal_of_ascii_is_no_fault(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pliant", "list", "--family", "push"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")

"""`pliant live`: what it prints, keeps and refuses, and a life that was killed."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

import meta.continual.journal
from meta.continual.senses import fit_senses

POLICY = "shipped:open-explore"
SHORT = ["--visits", "3", "--episodes", "2,3", "--threads", "1"]
FITTING = "pliant: fitting the senses takes about a minute\n"
Call = Callable[..., Any]
Complaint = Callable[[Any], str]


@pytest.fixture(autouse=True)
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit the senses to few tasks: their quality is not what is tested here."""
    few = partial(fit_senses, tasks=20)
    monkeypatch.setattr(meta.continual.journal, "fit_senses", few)


@pytest.mark.slow
def test_a_life_is_told_and_kept(call: Call, tmp_path: Path) -> None:
    said = call("live", POLICY, *SHORT, "--out", "life")
    assert (said.code, said.err) == (0, FITTING)
    lines = said.out.splitlines()
    told = [line for line in lines if line.startswith("episode ")]
    assert "task A, first visit, explored" in told[0]
    assert len(list((tmp_path / "life/episodes").glob("*.npz"))) == len(told)
    assert f"{len(told)} episodes, 3 visits to 2 tasks" in said.out
    with Image.open(tmp_path / "life/life.png") as picture:
        assert picture.width > 1000
    again = call("live", POLICY, "--out", "life", "--resume")
    assert again.out == said.out


@pytest.mark.slow
def test_a_team_s_life_is_told_by_agent(call: Call, tmp_path: Path) -> None:
    argv = ("live", "shipped:shove-explore", *SHORT, "--changes", "agent")
    said = call(*argv, "--out", "life")
    assert (said.code, said.err) == (0, FITTING)
    told = [line for line in said.out.splitlines() if line.startswith("episode ")]
    episodes = len(list((tmp_path / "life/episodes").glob("*.npz")))
    assert [line.split()[4] for line in told] == ["left:", "right:"] * episodes
    for agent in ("left", "right"):
        assert f"{agent}: {episodes} episodes, 3 visits to 2 tasks" in said.out
    assert "all explored together in " in said.out
    again = call("live", "shipped:shove-explore", "--out", "life", "--resume")
    assert again.out == said.out


def test_output_that_is_piped_says_why_a_life_does_not_begin_at_once(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: object, **__: object) -> None:
        raise ValueError("cut short")

    monkeypatch.setattr(meta.continual.journal, "fit_senses", cut_short)
    said = call("live", POLICY, *SHORT, "--out", "life")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(FITTING)


def test_a_terminal_sees_why_a_life_does_not_begin_at_once(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: object, **__: object) -> None:
        raise ValueError("cut short")

    monkeypatch.setattr(meta.continual.journal, "fit_senses", cut_short)
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = call("live", POLICY, *SHORT, "--out", "life")
    assert said.code == 2
    before, _, after = said.err.partition("cut short")
    assert "fitting the senses" in before
    assert after


@pytest.mark.slow
def test_a_stream_of_ones_own(call: Call, tmp_path: Path) -> None:
    from meta.continual.draw import make_stream
    from tasks.registry import find_family

    family = find_family("open", "cpu")
    stream = make_stream(family, "periodic", visits=3, episodes=(1, 1))
    stream.save(tmp_path / "mine.json")
    argv = ["live", POLICY, "--stream", "mine.json", "--threads", "1"]
    said = call(*argv, "--recall", "none", "--notice", "change")
    assert said.code == 0
    assert "3 episodes, 3 visits to 2 tasks" in said.out
    assert (tmp_path / "runs/open-life-seed0/life.json").is_file()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--stream", "loop"], "recurring, fresh, periodic, ramp, or a file"),
        (["--episodes", "4"], "such as 4,8, got '4'"),
        (["--episodes", "0,4"], "at least 1, such as (4, 8); got (0, 4)"),
        (["--inside"], "nothing that matters on open can change inside"),
        (["--split", "helt-out"], "did you mean held-out"),
        (["--resume"], "no life to resume in"),
        (["--explore", "-1"], "need explore >= 0, got -1"),
        (["--explore", "0"], "nothing to adapt to: add --mistaken or --acted"),
        (["--changes", "agent"], "open is of one robot: leave changes at 'task'"),
    ],
)
def test_lives_that_cannot_be(
    argv: list[str], said: str, call: Call, complaint: Complaint
) -> None:
    assert said in complaint(call("live", POLICY, *argv))


def test_policies_that_no_agent_can_live_by(call: Call, complaint: Complaint) -> None:
    assert "does not adapt" in complaint(call("live", "shipped:open-dr", *SHORT))


@pytest.mark.proof
@pytest.mark.parametrize(
    ("policy", "visits", "kills"), [(POLICY, 100, 20), ("shipped:shove-explore", 30, 8)]
)
def test_a_life_killed_at_random_moments_goes_on(
    policy: str, visits: int, kills: int, tmp_path: Path
) -> None:
    """A hundred visits, killed twenty times: before the first episode, too.

    A life that comes to its end before it is killed is followed by another one. The
    one that is not killed takes no more memory at its end than early on.
    """
    chance = random.Random(0)

    def command(folder: Path) -> list[str]:
        size = ["--visits", f"{visits}", "--threads", "1", "--out", str(folder)]
        resumed = ["--resume"] if (folder / "life.json").exists() else []
        return [sys.executable, "-m", "pliant", "live", policy, *size, *resumed]

    def told(folder: Path) -> tuple[str, list[int]]:
        """Let it live to its end, and look at its memory after each episode."""
        life = subprocess.Popen(command(folder), stdout=subprocess.PIPE, text=True)
        process, lines, taken = psutil.Process(life.pid), list[str](), list[int]()
        assert life.stdout
        for line in life.stdout:
            lines.append(line.replace(str(folder), "life"))
            if line.startswith("episode "):
                taken.append(process.memory_info().rss)
        assert life.wait() == 0
        return "".join(lines), taken

    whole = tmp_path / "whole"
    began = time.monotonic()
    expected, taken = told(whole)
    spent = time.monotonic() - began
    early, late = (max(taken[i : i + 50]) for i in (50, len(taken) - 50))
    assert late - early < 8 * 2**20, f"from {early:,} to {late:,} bytes"
    lives = [tmp_path / "0"]
    for _ in range(kills):
        if (lives[-1] / "life.png").exists():
            lives.append(tmp_path / str(len(lives)))
            # as it was when its senses had just been fitted
            (lives[-1] / "episodes").mkdir(parents=True)
            for name in ("senses.safetensors", "life.json"):
                shutil.copy(whole / name, lives[-1] / name)
        life = subprocess.Popen(command(lives[-1]), stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, spent / 3))
        life.send_signal(signal.SIGKILL)
        life.wait()
    for folder in lives:
        assert told(folder)[0] == expected
        for path in sorted([*whole.rglob("*.safetensors"), *whole.rglob("*.npz")]):
            assert (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_options_that_would_be_ignored_are_refused(
    call: Call, tmp_path: Path, complaint: Complaint
) -> None:
    from meta.continual.draw import make_stream

    make_stream("open", visits=2, episodes=(1, 1)).save(tmp_path / "mine.json")
    said = call("live", POLICY, "--stream", "mine.json", "--visits", "3", "--inside")
    assert "file of a stream says --visits, --inside: leave" in complaint(said)


@pytest.mark.slow
def test_a_life_goes_on_by_the_habits_that_it_began_with(
    call: Call, complaint: Complaint
) -> None:
    assert call("live", POLICY, *SHORT, "--sure", "0.7", "--out", "life").code == 0
    same = ("live", POLICY, *SHORT, "--out", "life", "--resume")
    assert call(*same, "--sure", "0.7").code == 0
    assert "other --sure" in complaint(call(*same, "--sure", "0.8"))

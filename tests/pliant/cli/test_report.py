"""`pliant record --report`: what was inferred, in words, kept and shown with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageDraw

import pliant
import pliant.reporting
from meta.evaluation.calibration import fit_evidence
from meta.recording.trajectory import Recording
from meta.training.trained import Trained
from pliant.views.paragraph import Paragraph
from pliant.views.style import typeface
from pliant.views.video import write_strip

POLICY = "shipped:strike-rma"
Call = Callable[..., Any]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(policy: Trained, **options: Any) -> object:
        return fit_evidence(policy, tasks=60, imagined=128, threads=1, **options)

    monkeypatch.setattr(pliant.reporting, "fit_evidence", quickly)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is written on pictures from now on."""
    written: list[str] = []
    original = ImageDraw.ImageDraw.text

    def text(self: Any, xy: Any, text: str, *args: Any, **kwargs: Any) -> None:
        written.append(text)
        original(self, xy, text, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return written


@pytest.mark.usefixtures("quick")
def test_what_was_inferred_is_said_kept_and_drawn(
    call: Call, texts: list[str], tmp_path: Path
) -> None:
    options = ["--adapt-episodes", "1", "--seed", "3", "--out", "a.npz"]
    said = call("record", POLICY, "--report", *options)
    assert (said.code, said.err) == (0, "")
    recording = pliant.load_recording(tmp_path / "a.npz")
    assert isinstance(recording, Recording)
    assert recording.report.startswith("After 1 episode: friction 0.0")
    assert recording.report in said.out
    write_strip(recording, tmp_path / "a.png", moments=2, width=200)
    assert recording.report.split() == [
        word
        for line in texts
        if line in recording.report and len(line) > 5
        for word in line.split()
    ]
    plain = call("record", POLICY, *options)
    assert "After" not in plain.out
    other = pliant.load_recording(tmp_path / "a.npz")
    assert isinstance(other, Recording)
    assert other.report == ""
    assert (other.after.states == recording.after.states).all()


def test_what_infers_nothing_is_refused_before_anything_is_recorded(
    call: Call, tmp_path: Path
) -> None:
    said = call("record", "shipped:strike", "--report")
    assert said.code == 2
    [line] = said.err.splitlines()
    assert "got MAML-PPO, and not one of rma, sysid or explore" in line
    assert list(tmp_path.iterdir()) == []


def test_other_words_are_shown_in_its_place_unless_they_cannot_be(
    tmp_path: Path,
) -> None:
    words = "shipped:open-explore: mechanism drawer (100% sure)"
    made = pliant.record(POLICY, adapt_episodes=1, report=words)
    assert isinstance(made, Recording)
    assert made.report == words
    for wrong in ("two\nlines", "a" * 2001, "\x1b[31mred"):
        with pytest.raises(ValueError, match="a report is one line of at most 2,000"):
            pliant.record(POLICY, adapt_episodes=1, report=wrong)
        object.__setattr__(made, "report", wrong)
        made.save(tmp_path / "bad.npz")
        with pytest.raises(ValueError, match="not a valid recording: a report is one"):
            pliant.load_recording(tmp_path / "bad.npz")


def test_lines_hold_all_words_in_order_and_are_no_wider_than_they_may() -> None:
    text = "After 5 episodes: " + "friction 0.0585 ± 0.0036, insert y 0.00345 m, " * 9
    made = Paragraph(text, 300.0, 15.0)
    assert " ".join(made.lines).split() == text.split()
    assert len(made.lines) > 5
    assert max(map(typeface(15.0).getlength, made.lines)) <= 300
    assert made.height > 15 * len(made.lines)
    assert Paragraph("", 300.0, 15.0).height == 0

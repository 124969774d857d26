"""`pliant lie`: what it prints, writes and refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.locomotion.cheetah_direction import CheetahDirection

CHEETAH = "cheetah-direction"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]
PLACE = "before\n<!-- suite:lies -->\nold\n<!-- suite:end -->\nafter\n"
Call = Callable[..., Any]
Complaint = Callable[[Any], str]


@pytest.fixture
def oracle(call: Call) -> str:
    argv = ["train", CHEETAH, *TINY, "--method", "oracle", "--out", "oracle"]
    assert call(*argv).code == 0
    return "oracle"


def test_each_hidden_parameter_has_its_row(
    call: Call, oracle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheetahDirection, "scenery", ("direction",))
    document = tmp_path / "page.md"
    document.write_text(PLACE)
    sizes = ["--tasks", "4", "--shuffles", "2", "--threads", "1"]
    files = ["--json", "lies.json", "--into", "page.md"]
    said = call("lie", CHEETAH, "--oracle", oracle, *sizes, *files)
    assert (said.code, said.err) == (0, "")
    found = json.loads((tmp_path / "lies.json").read_text())[CHEETAH]
    assert [x["parameter"] for x in found["lies"]] == ["direction", "mass"]
    assert (found["shuffles"], found["tasks"]) == (2, 4)
    assert found["policies"]["oracle"][0]["source"] == "oracle"
    direction, mass = found["lies"]
    assert (direction["varies"], mass["varies"], mass["loss"]["value"]) == (
        True,
        False,
        0,
    )
    # one training seed: its interval is marked as that of the tasks alone
    row = f"| {CHEETAH} | mass |"
    [line] = [x for x in document.read_text().splitlines() if x.startswith(row)]
    assert line.endswith("| 0.000 (tasks 0.000, 0.000) | does not vary |")
    assert "old" not in document.read_text()
    assert "does not vary" in said.out


def test_a_wrong_mark_is_cautioned_of(
    call: Call, oracle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import meta.evaluation.lie

    argv = ["lie", CHEETAH, "--oracle", oracle, "--tasks", "2", "--shuffles", "1"]
    # the least that can matter is so far off that nothing does
    monkeypatch.setattr(meta.evaluation.lie, "MATTERS", 1e9)
    words = " ".join(call(*argv).out.split())
    assert "CAUTION: direction is not marked as scenery in the family cheetah" in words
    monkeypatch.setattr(CheetahDirection, "scenery", ("direction",))
    monkeypatch.setattr(meta.evaluation.lie, "MATTERS", -1e9)
    words = " ".join(call(*argv).out.split())
    assert "CAUTION: direction is marked as scenery in the family cheetah" in words


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("lie strik", "unknown family 'strik'; did you mean strike"),
        ("lie strike --split neu", "unknown split 'neu'; "),
        (
            "lie insert --split unseen",
            "unknown split 'unseen'; splits: train, held-out",
        ),
        (
            "lie strike --oracle shipped:push-oracle",
            "shipped:push-oracle is of family p",
        ),
        ("lie strike --oracle shipped:strike-dr", "shipped:strike-dr was trained with"),
        ("lie strike --oracle shipped:x", "unknown policy 'shipped:x'"),
        ("lie strike --shuffles 0", "lies are dealt out at least once, got 0 shuffles"),
        ("lie strike --tasks 0", "need 1 <= tasks <= 100,000, got 0"),
        ("lie strike --json no/x", "no/x: No such file or directory"),
        (
            "lie strike --into page.md",
            "page.md has no place for a table: a line <!-- su",
        ),
    ],
)
def test_mistakes_are_one_line_before_anything_is_measured(
    call: Call,
    complaint: Complaint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: str,
    expected: str,
) -> None:
    import meta.evaluation.lie

    def never(*_: object) -> None:
        raise AssertionError("simulated in spite of the mistake")

    monkeypatch.setattr(meta.evaluation.lie, "Bench", never)
    (tmp_path / "page.md").write_text("no place\n")
    assert complaint(call(*argv.split())).startswith(expected)

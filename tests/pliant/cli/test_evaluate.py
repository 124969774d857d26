"""`pliant evaluate`, `record`, `replay` and `export`: policies and what they do."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import meta.evaluation.baselines
import pliant.cli.evaluate
import pliant.cli.objects
import pliant.cli.replay
from meta.evaluation.finetuned import TRIALS
from meta.training.trained import load_trained
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.registry import FAMILIES, entered

CHEETAH = "cheetah-direction"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]
TRAIN = ["train", CHEETAH, *TINY]
Call = Callable[..., Any]
Complaint = Callable[[Any], str]


@pytest.fixture
def refused(
    call: Call, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """What `main` complains of, without having measured anything."""
    import meta.evaluation.evaluate
    import meta.recording.taping

    def never(*_: object) -> None:
        raise AssertionError("simulated in spite of the mistake")

    monkeypatch.setattr(meta.evaluation.evaluate, "Bench", never)
    monkeypatch.setattr(meta.recording.taping, "collect", never)
    return lambda *argv: complaint(call(*argv))


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("evaluate", "name at least one policy: pliant evaluate POLICY..."),
        ("evaluate shipped:x", "unknown policy 'shipped:x'; `pliant list` shows all"),
        ("evaluate strike", "no policy at 'strike'; did you mean shipped:strike?"),
        ("evaluate x", "no policy at 'x': give a run folder"),
        (
            "evaluate shipped:strike --beside shipped:reach-rotated-dr",
            "policy and baselin",
        ),
        (
            "evaluate shipped:strike --beside shipped:strike",
            "shipped:strike was trained",
        ),
        (
            "evaluate shipped:strike --split heldout",
            "unknown split 'heldout'; did you mea",
        ),
        ("evaluate shipped:strike --episodes -1", "episodes to adapt on are differen"),
        (
            "evaluate shipped:strike --change step --episodes 0,1",
            "--change measures all episodes until a method has only",
        ),
        ("evaluate shipped:strike --episodes 1,b", "--episodes takes whole numbers"),
        ("evaluate shipped:strike --tasks 0", "need 1 <= tasks <= 100,000, got 0"),
        ("evaluate shipped:strike --seed -1", "need 0 <= seed < "),
        ("evaluate shipped:strike --json no/x", "no/x: No such file or directory"),
        ("evaluate shipped:strike --report /dev/null", "/dev/null: Not a directory"),
        ("evaluate shipped:strike --device cuda", "device cuda: torch finds no CUDA"),
        ("record", "Missing from pliant record"),
        (
            "record shipped:strik-dr",
            "unknown policy 'shipped:strik-dr'; did you mean ship",
        ),
        (
            "record shipped:strike --split new",
            "unknown split 'new'; splits: train, held",
        ),
        ("record shipped:strike --seed -1", "need 0 <= seed < "),
        ("record shipped:strike --out no/x", "no/x: No such file or directory"),
        ("record shipped:strike --out .", ".: Is a directory"),
        ("replay", "Missing from pliant replay"),
        ("replay x.npz", "x.npz: No such file or directory"),
        ("replay x.npz --mp4 x.avi", "x.avi: the name of this file must end in .mp4"),
        ("replay x.npz --png x.jpg", "x.jpg: the name of this file must end in .png"),
        ("replay x.npz --slow 0", "--slow must be greater than 0, got 0.0"),
        (
            "record shipped:strike --out /dev/null",
            "/dev/null is no regular file, and wo",
        ),
        ("replay x.npz --mp4 no/x.mp4", "no/x.mp4: No such file or directory"),
    ],
)
def test_a_mistake_is_found_before_anything_is_measured(
    refused: Callable[..., str], argv: str, expected: str
) -> None:
    assert refused(*argv.split()).startswith(expected)


def test_a_family_without_shipped_baselines_says_how_to_train_them(
    refused: Callable[..., str], policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta.evaluation.baselines, "shipped_policies", lambda *_: [])
    assert refused("evaluate", policy) == (
        f"no dr-memory baseline ships for {CHEETAH}; train one with: "
        f"pliant train {CHEETAH} --method dr-memory, then give --beside FOLDER"
    )


def test_a_class_that_no_name_finds_needs_no_shipped_baselines() -> None:
    """It is a user's own, though its name has no module in it."""
    trained = load_trained("shipped:reach-rotated")
    # made here, it is not what would be imported by its name
    kind = type("Note", (ReachRotated,), {"name": "note", "__module__": "__main__"})
    assert entered(kind) == "note"
    own = replace(trained, cfg=replace(trained.cfg, family="note"))
    del FAMILIES["note"]
    assert meta.evaluation.baselines.with_shipped(own, [], alone=True) == {}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How much a command said was done, and of how much."""
    heard: list[tuple[int, int]] = []

    @contextmanager
    def bar(_: str) -> Generator[Callable[[int, int], None]]:
        yield lambda *done: heard.append(done)

    for command in (pliant.cli.evaluate, pliant.cli.replay, pliant.cli.objects):
        monkeypatch.setattr(command, "progress_bar", bar)
    return heard


def test_evaluate_a_run_beside_its_own_baselines(
    call: Call, policy: Path, tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    for method in ("dr", "oracle"):
        assert call(*TRAIN, "--method", method, "--out", method).code == 0
    sizes = ["--tasks", "2", "--episodes", "0,1", "--threads", "1"]
    baselines = ["--beside", "dr", "oracle", "--alone"]
    files = ["--json", "curve.json", "--report", "report"]
    said = call("evaluate", policy, *sizes, *baselines, *files)
    assert (said.code, said.err) == (0, "")
    for row in ("random", "DR", "after 1 episode", "oracle"):
        assert row in said.out
    result = json.loads((tmp_path / "curve.json").read_text())
    assert [point["episodes"] for point in result["curve"]] == [0, 1]
    for method in ("dr", "oracle"):
        assert [p["source"] for p in result["policies"][method]] == [method]
    assert (tmp_path / "report/curve.png").read_bytes().startswith(b"\x89PNG")
    # the step sizes that are tried; policy, DR, DR with memory, which ships, and that
    # fine-tuned, scratch, oracle, random
    assert told == [(i, TRIALS + 7) for i in range(1, TRIALS + 8)]
    told.clear()
    few = ["--tasks", "2", "--threads", "1"]
    assert call("evaluate", policy, *few, *baselines, "--change", "step").code == 0
    assert told == [(i, TRIALS + 5) for i in range(1, TRIALS + 6)]


def test_record_and_replay(
    call: Call,
    complaint: Complaint,
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: list[tuple[int, int]],
) -> None:
    said = call("record", policy, "--adapt-episodes", "2")
    name = f"{CHEETAH}-held-out-0.npz"
    assert said.code == 0
    assert said.out.startswith(f"recorded {name}: return ")
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(display, raising=False)
    assert "no display" in complaint(call("replay", name))
    for option, start in (("--png", b"\x89PNG"), ("--mp4", b"\0\0\0 ftyp")):
        out = f"x.{option[2:]}"
        said = call("replay", name, option, out, "--slow", "4")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"wrote {out}: return ")
        assert (tmp_path / out).read_bytes().startswith(start)
    assert told[-1] == (11, 11)  # of the video
    assert call("replay", name, "--mp4", "fast.mp4").code == 0
    slow, fast = ((tmp_path / f"{x}.mp4").read_bytes() for x in ("x", "fast"))
    assert slow != fast
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert complaint(call("replay", name)).startswith(f"{name} is truncated or no rec")


def test_export(call: Call, complaint: Complaint, policy: Path, tmp_path: Path) -> None:
    run = f"shipped:{CHEETAH}"
    out = tmp_path / "own.safetensors"
    assert call("export", run, out).out.startswith("wrote ")
    assert load_trained(str(out)).checksum == load_trained(run).checksum
    assert complaint(call("export", run, "own.npz")).startswith(
        "own.npz: the name of this file must end in .saf"
    )
    missing = tmp_path / "none" / "own.safetensors"
    assert complaint(call("export", run, missing)).startswith(str(missing))
    assert complaint(call("export", "nowhere", out)).startswith("no policy at 'nowh")
    assert load_trained(str(out)).iteration == load_trained(run).iteration


def test_objects_are_counted_as_they_are_made(
    call: Call, tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    said = call("objects", "--kinds", "box", "--count", "2")
    assert said.out == "wrote objects.png: 2 objects\n"
    assert told == [(0, 3), (1, 3), (2, 3)]
    assert (tmp_path / "objects.png").read_bytes().startswith(b"\x89PNG")

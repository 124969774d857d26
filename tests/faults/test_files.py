"""Files that are no files, too large, or crafted: one line, and nothing is lost."""

import io
import json
import os
import resource
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import meta.machine.versions
import meta.recording.trajectory
import pliant.bench.suite
from meta.machine import files
from meta.machine.files import read_json, write_atomically
from meta.recording.taping import record
from meta.recording.trajectory import load_recording
from meta.training.checkpoint import resume_trainer
from meta.training.format import read, write
from meta.training.run import CONFIG, METRICS, VERSIONS
from meta.training.trained import CHECKPOINT, load_trained, locate
from pliant.cli.main import main
from pliant.views.ffmpeg import encode
from tasks.strict_json import parse_json

SHIPPED = "shipped:cheetah-direction"
TINY = ["--tasks=1", "--episodes=1", "--hidden", "2", "--threads=1", "--iterations=1"]
TRAIN = ["train", "cheetah-direction", *TINY, "--adapt-episodes", "1"]
Fixture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a recording."""
    path = tmp_path_factory.mktemp("recording") / "one.npz"
    record(load_trained(SHIPPED), adapt_episodes=1).save(path)
    return path.read_bytes()


def refused(capsys: Fixture, *argv: str) -> str:
    """Run a command that must refuse, and return its one line."""
    assert main(argv) == 2, argv
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.startswith("pliant: ")
    return line


# -- where files are written -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize(
    "command",
    [
        ["record", SHIPPED, "--out", "x.npz"],
        ["export", SHIPPED, "x.safetensors"],
        ["replay", "one.npz", "--png", "x.png"],
        ["replay", "one.npz", "--mp4", "x.mp4"],
        ["objects", "--kinds", "box", "--out", "x.png"],
        ["list", "--family", "push", "--pictures", "x.png"],
        ["evaluate", SHIPPED, "--json", "x.json"],
        ["evaluate", SHIPPED, "--report", "x/report.md"],
        ["bench", "gpu", "--json", "x.json"],
        ["bench", "suite", "--into", "x.md"],
    ],
)
def test_what_is_no_file_is_never_replaced(
    capsys: Fixture, kind: str, command: list[str]
) -> None:
    path = Path(command[-1])
    path.parent.mkdir(exist_ok=True)
    make: Callable[..., Any] = os.mkfifo if kind == "pipe" else path.symlink_to
    make(path if kind == "pipe" else "elsewhere")
    report = "--report" in command
    line = refused(capsys, *command[:-1], str(path.parent if report else path))
    assert f"{path} is no regular file" in line
    assert path.is_symlink() if kind == "link" else path.is_fifo()
    assert not Path("elsewhere").exists()


@pytest.mark.parametrize("name", [CONFIG, METRICS, VERSIONS, CHECKPOINT])
def test_a_run_waits_for_no_pipe(capsys: Fixture, name: str) -> None:
    Path("run").mkdir()
    os.mkfifo(Path("run") / name)
    line = refused(capsys, *TRAIN, "--out", "run", "--overwrite")
    assert f"{name} is no regular file" in line or "is not empty and no run" in line


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_asking_for_the_revision_writes_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta.machine.versions, "__file__", str(here / "a/b/c.py"))
    git = ["git", "-C", str(here), "-c", "user.name=x", "-c", "user.email=x"]
    Path("file").write_text("")
    for rest in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *rest], check=True)
    os.utime("file", (1, 1))  # the index is out of date
    before = Path(".git/index").read_bytes()
    assert meta.machine.versions.versions()["git_dirty"] is False
    assert Path(".git/index").read_bytes() == before


def test_a_failed_write_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("x.json")
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: 'x\.json'"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(Path().iterdir()) == [path]


@contextmanager
def small_files(size: int = 2048) -> Generator[None]:
    """Make longer files impossible to write [bytes], as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "command",
    [
        ["record", SHIPPED, "--adapt-episodes", "1", "--out", "x.npz"],
        ["export", SHIPPED, "x.safetensors"],
        ["replay", "one.npz", "--png", "x.png"],
        [*TRAIN, "--out", "run"],
    ],
)
def test_a_full_disk_is_one_line_and_loses_nothing(
    capsys: Fixture, whole: bytes, command: list[str]
) -> None:
    path = Path(command[-1])
    Path("one.npz").write_bytes(whole)
    if path.suffix:
        path.write_bytes(b"old")
    with small_files():
        assert main(command) == 2
    # training says how far it has come, before
    *_, said = capsys.readouterr().err.splitlines()
    assert said == f"pliant: {path}: File too large"
    assert not path.suffix or path.read_bytes() == b"old"
    assert not list(Path().rglob(".*"))


def test_a_video_that_cannot_be_written_is_one_line_and_no_file(
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, draw = Path("x.mp4"), np.random.default_rng(0)
    path.write_bytes(b"old")
    page = Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with small_files(), pytest.raises(OSError, match=r"says ffmpeg: 'x\.mp4'"):
        encode(path, repeat(page, 50), 25.0)
    assert capfd.readouterr() == ("", "")
    assert path.read_bytes() == b"old"
    assert list(Path().iterdir()) == [path]


def test_what_a_killed_writer_left_is_in_no_ones_way() -> None:
    Path(".x.partial.json").symlink_to("elsewhere")
    write_atomically(Path("x.json"), b"new")
    assert [p.name for p in Path().iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- suite:table -->\nall of the rest\n",
        "<!-- suite:end -->\n<!-- suite:table -->\nall of the rest\n",
        "<!-- suite:table -->\n<!-- suite:details -->\n<!-- suite:end -->\n",
        "no mark\n",
    ],
)
def test_a_document_whose_marks_are_wrong_is_refused_before_anything(
    capsys: Fixture, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pliant.bench.suite, "run_suite", never)
    Path("doc.md").write_text(text)
    line = refused(capsys, "bench", "suite", "--into", "doc.md")
    assert "doc.md" in line
    assert Path("doc.md").read_text() == text


# -- files that are read ---------------------------------------------------------------


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(
    capsys: Fixture, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    monkeypatch.setattr(meta.recording.trajectory, "LARGEST", 2**24)
    Path("x.npz").write_bytes(whole)
    with zipfile.ZipFile("x.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("unused.npy", bytes(2**24))
    assert Path("x.npz").stat().st_size < 2**20
    line = refused(capsys, "replay", "x.npz", "--png", "x.png")
    assert "bytes; at most 16,777,216 are read" in line
    line = refused(capsys, "replay", "/dev/zero", "--png", "x.png")
    assert line == "pliant: /dev/zero is no regular file"


def test_an_array_larger_than_its_member_is_refused(whole: bytes) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    )
    Path("x.npz").write_bytes(whole)
    with zipfile.ZipFile("x.npz", "a") as archive:
        archive.writestr("frames.npy", content.getvalue())
    with pytest.raises(ValueError, match=r"shape \(1099511627776,\) and 0 bytes"):
        load_recording(Path("x.npz"))


def test_another_array_in_a_recording_is_no_fault(whole: bytes) -> None:
    frames = io.BytesIO()
    np.save(frames, np.zeros((2, 3, 3), np.uint8))
    Path("x.npz").write_bytes(whole)
    with zipfile.ZipFile("x.npz", "a") as archive:
        archive.writestr("before_frames.npy", frames.getvalue())
    assert load_recording(Path("x.npz"))


@pytest.mark.parametrize(
    "command",
    [
        ["replay", "pipe"],
        ["evaluate", "pipe"],
        ["evaluate", "run"],
        ["record", "run"],
        [*TRAIN, "--out", "run", "--resume"],
    ],
)
def test_a_pipe_is_not_waited_for(capsys: Fixture, command: list[str]) -> None:
    os.mkfifo("pipe")
    Path("run").mkdir()
    os.mkfifo(f"run/{CHECKPOINT}")
    refused(capsys, *command)


def test_a_file_of_any_size_is_not_read_whole(capsys: Fixture) -> None:
    with Path("huge.safetensors").open("wb") as file:
        file.truncate(2**40)
    assert "at most 1,073,741,824 are" in refused(capsys, "record", "huge.safetensors")


Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors, dict[str, str]], object]


def configured(**changes: object) -> Change:
    def change(_: Tensors, about: dict[str, str]) -> None:
        about["config"] = json.dumps(json.loads(about["config"]) | changes)

    return change


def cast(dtype: torch.dtype) -> Change:
    return lambda tensors, _: tensors.update(
        {k: v.to(dtype) for k, v in tensors.items()}
    )


CRAFTED: dict[str, Change] = {
    "float64": cast(torch.float64),
    "integers": cast(torch.int64),
    "no tensor": lambda tensors, _: tensors.clear(),
    "no configuration": lambda _, about: about.pop("config"),
    "no iteration": lambda _, about: about.pop("iteration"),
    "iteration": lambda _, about: about.update(iteration="many"),
    "huge iteration": lambda _, about: about.update(iteration="9" * 5000),
    "null": lambda _, about: about.update(config="null"),
    "list": lambda _, about: about.update(config="[1]"),
    "deep": lambda _, about: about.update(config="[" * 100_000),
    "infinite": configured(initial_std=float("inf")),
    "large": lambda _, about: about.update(
        config=about["config"].replace('"iterations": ', '"iterations": 1' + 400 * "0")
    ),
    "family null": configured(family=None),
    "family list": configured(family=["push"]),
    "method null": configured(method=None),
    "learner null": configured(learner=None),
    "learner list": configured(learner=[]),
    "seed null": configured(seed=None),
    "tasks a fraction": configured(tasks=1.5),
    "tasks true": configured(tasks=True),
    "hidden null": configured(hidden=None),
    "hidden text": configured(hidden="64"),
    "hidden fractions": configured(hidden=[1.5]),
    "hidden huge": configured(hidden=[2**40]),
    "another family": configured(family="push"),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_checkpoint_is_one_line(capsys: Fixture, what: str) -> None:
    tensors, about = read(locate(SHIPPED))
    del about["sha256"]
    CRAFTED[what](tensors, about)
    write(Path("x.safetensors"), tensors, about)
    for command in (["record", "x.safetensors"], ["evaluate", "x.safetensors"]):
        assert "x.safetensors" in refused(capsys, *command)


def test_numbers_that_numpy_lacks_are_one_line(capsys: Fixture) -> None:
    tensors, about = read(locate(SHIPPED))
    cast(torch.bfloat16)(tensors, about)
    save_file(tensors, "x.safetensors", about)
    assert "BFloat16" in refused(capsys, "record", "x.safetensors")


ADAM: dict[str, Change] = {
    "shape": lambda t, _: t.update({"adam/0.exp_avg": torch.zeros(1)}),
    "name": lambda t, _: t.update({"adam/0.other": torch.zeros(1)}),
    "no index": lambda t, _: t.update({"adam/exp_avg": torch.zeros(1)}),
    "index": lambda t, _: t.update({"adam/9999.step": torch.zeros(())}),
    "missing": lambda t, _: t.pop("adam/0.step"),
}


@pytest.mark.parametrize("what", ADAM)
def test_a_crafted_optimiser_is_one_line(what: str) -> None:
    assert main([*TRAIN, "--out", "run"]) == 0
    path = Path("run") / CHECKPOINT
    tensors, about = read(path)
    del about["sha256"]
    ADAM[what](tensors, about)
    write(path, tensors, about)
    with pytest.raises(ValueError, match=r"the optimiser in .* does not fit"):
        resume_trainer(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "Infinity", "NaN", "1e400", "1" * 400, "", "{"],
)
def test_json_that_no_program_wrote_is_one_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (the parser's own words)
        parse_json(text)
    Path("x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json is no JSON: "):
        read_json(Path("x.json"))

"""Broken files and strange command lines: exit code 0 or 2, one line, soon.

Valid files are mutated, their JSON also with a right checksum, and command lines made
up of every option and of values for none. The tests try a few of each, always the same;
by itself this file goes on for as long as one likes:

    python tests/test_fuzz.py --seconds 600 --seed 1
"""

import argparse
import contextlib
import dataclasses
import io
import json
import math
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import coacd
import numpy as np
import pytest
import torch
import trimesh

import meta.evaluation.evaluate
import meta.evaluation.mid_episode
import meta.recording.recorded
import meta.training.run
import pliant.bench.gpu
import pliant.bench.suite
import pliant.cli.doctor
import pliant.views.solid_sheet
import pliant.views.task_sheet
import pliant.views.viewer
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.recording.footage import Footage, Take
from meta.recording.recorded import load_recording
from meta.recording.replay import verify
from meta.recording.taping import record
from meta.recording.trajectory import Recording
from meta.training.checkpoint import resume_trainer
from meta.training.format import read, write
from meta.training.run import CONFIG, METRICS, VERSIONS
from meta.training.trained import CHECKPOINT, load_trained
from pliant.cli.errors import MENDABLE
from pliant.cli.main import COMMANDS, main
from pliant.views.tables import write_tables
from pliant.views.video import write_strip
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.objects.mesh_file import load_solid
from tasks.registry import FAMILIES, make_family

FAMILY = "cheetah-direction"
SLOW = 20
"""Longest time for one input [s]."""
MEMORY = 4 * 2**30
"""Most that the address space may grow by [bytes]."""
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]
ODD: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 0.5, 2**31, -(2**63), 2**63, 10**30, 1e308, "", "x", "a:b"),
    *([], {}, [[]], [None], {"a": 1}, "x" * 10_000, float("inf"), float("nan")),
)
WORDS = (
    *("", "-1", "0", "1", "2", "3.5", "nan", "inf", "1e400", "9" * 30, "4294967296"),
    *("a:b", ".x:y", "runs/a:B", "shipped:strike", "shipped:", "strike", "push", "dr"),
    *("held-out", "unseen", "0,1", "1,,2", "none", "box", "/dev/null", "/dev/zero"),
    *("pipe", "missing/x.png", "x.png", "x.npz", "x.safetensors", "x.json", "x.mp4"),
    *(
        ".",
        "..",
        "~",
        "-",
        "--",
        "\u00e9\u4e2d",
        "a\nb",
        "%s",
        "{}",
        "'",
        "auto",
        "cuda",
    ),
)
ENDS = (0, 0.06)
CUBE = "".join(f"v {x} {y} {z}\n" for x in ENDS for y in ENDS for z in ENDS)
FACES = ("1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4")
XML = """<mujoco><worldbody><body name="b"><geom type="box" size=".03 .03 .03"/>
<geom type="cylinder" size=".02 .02" pos="0 0 .05"/></body></worldbody></mujoco>"""
URDF = """<robot name="r"><link name="l"><inertial><mass value=".1"/><inertia ixx="1e-4"
iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial><collision><geometry>
<box size=".06 .06 .06"/></geometry></collision></link></robot>"""
OBJECTS = ("obj", "xml", "urdf", "stl", "ply", "glb")
Case = Callable[[random.Random], None]


class Reached(Exception):  # noqa: N818  (no error)
    """A command has accepted its options and begins its work, which is left out."""


class Late(BaseException):
    """One input takes too long."""


def reached(*_: Any, **__: Any) -> Any:
    raise Reached


# -- inputs ----------------------------------------------------------------------------


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Change a few places of a file."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(data) + 1)
        other = draw.randrange(len(data) + 1)
        match draw.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << draw.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[other : other + draw.randrange(1, 64)]
            case 3:
                del data[at : at + draw.randrange(1, 64)]
            case 4:
                numbers = list(re.finditer(rb"[-+.\d]+", bytes(data[:100_000])))
                if numbers:
                    found = draw.choice(numbers)
                    new = draw.choice((b"nan", b"-1", b"1e999", b"9" * 25, b"0", b""))
                    data[found.start() : found.end()] = new
            case _:
                data[at:at] = draw.randbytes(draw.randrange(1, 16))
    return bytes(data)


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: a container and an index or key of it."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from nodes(value[key])


def spoilt(value: Any, draw: random.Random) -> Any:
    """Replace or remove a part of a JSON value."""
    whole = [json.loads(json.dumps(value))]
    container, key = draw.choice(list(nodes(whole)))
    if isinstance(container, dict) and draw.random() < 0.3:
        del container[key]
    else:
        container[key] = draw.choice(ODD)
    return whole[0]


def spoilt_text(text: str, draw: random.Random) -> str:
    """Spoil JSON, mostly so that it is JSON still."""
    if draw.random() < 0.1:
        return draw.choice(("[" * 50_000, "null", "", "[]", "3", '{"a":' * 50_000))
    if draw.random() < 0.2:
        return mutated(text.encode(), draw).decode(errors="replace")
    return json.dumps(spoilt(json.loads(text), draw))


def spoil_archive(path: Path, draw: random.Random) -> None:
    """Spoil the JSON in a recording or footage, or one of its arrays."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    text = arrays.pop("about").item()
    about = json.loads(text)
    if "task" in about and draw.random() < 0.5:
        text = json.dumps(about | {"task": spoilt_text(about["task"], draw)})
    else:
        text = spoilt_text(text, draw)
    if draw.random() < 0.3:
        name = draw.choice(list(arrays))
        arrays[name] = draw.choice((np.zeros(3), arrays[name][:1], np.array("x")))
    with path.open("wb") as file:
        np.savez(file, about=np.array(text), **arrays)


def film() -> Footage:
    """Return footage of a family that is simulated elsewhere."""
    take = Take(
        pictures=np.zeros((3, 24, 32, 3), np.uint8),
        rewards=np.ones(4),
        success=True,
        adapt_episodes=0,
    )
    return Footage(
        **dict.fromkeys(("family", "summary", "split", "policy"), "x"),
        parameters={"speed": 1.0, "side": "left"},
        units={"speed": "m/s"},
        every=2,
        fps=10.0,
        before=take,
        after=take,
    )


class Inputs:
    """Valid files in a folder, and what is tried with each kind.

    Args:
        folder: an empty one.
        whole: number of files of objects that are read first, as they are.
    """

    def __init__(self, folder: Path, *, whole: int) -> None:
        self.folder, self.run = folder, folder / "run"
        assert called(["train", FAMILY, *TINY, "--out", str(self.run)]) == 0
        policy = load_trained(str(self.run))
        self.recording = folder / "one.npz"
        record(policy, adapt_episodes=1).save(self.recording)
        cfg = EvaluationCfg(tasks=2, episodes=(0, 1), measure_episodes=1, threads=1)
        dr, oracle = (load_trained(f"shipped:{FAMILY}-{m}") for m in ("dr", "oracle"))
        result = meta.evaluation.evaluate.evaluate(
            [policy], cfg, floor=[dr], oracle=[oracle], rivals=[]
        )
        self.results = result.to_json()
        self.task = make_family(FAMILY).sample("train", 0, 1)[0].to_json()
        faces = "".join(f"f {face}\n" for face in FACES)
        (folder / "cube.obj").write_text(CUBE + faces)
        (folder / "cube.xml").write_text(XML)
        (folder / "cube.urdf").write_text(URDF)
        for kind in ("stl", "ply", "glb"):
            trimesh.creation.box((0.06, 0.06, 0.06)).export(folder / f"cube.{kind}")
        self.footage = folder / "film.npz"
        film().save(self.footage)
        os.mkfifo(folder / "pipe")
        # whole, they are read
        self.replayed(self.recording)
        load_recording(self.footage)
        for kind in OBJECTS[:whole]:
            load_solid(folder / f"cube.{kind}")
        make_family(FAMILY).parse(self.task)
        (folder / "results.json").write_text(self.results)
        write_tables({"results": folder / "results.json"}, folder)
        self.kept = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def restore(self) -> None:
        for path, content in self.kept.items():
            path.write_bytes(content)

    def cases(self) -> dict[str, Case]:
        return {
            "checkpoint": self.checkpoint,
            "sealed checkpoint": self.sealed,
            "recording": self.bytes_of_a_recording,
            "recording's JSON": self.json_of_a_recording,
            "footage": self.some_footage,
            "run folder": self.run_folder,
            "task": self.a_task,
            "object": self.an_object,
            "results": self.suite_results,
            "command line": self.command_line,
        }

    def checkpoint(self, draw: random.Random) -> None:
        path = self.run / CHECKPOINT
        path.write_bytes(mutated(self.kept[path], draw))
        load_trained(str(path))

    def sealed(self, draw: random.Random) -> None:
        path = self.run / CHECKPOINT
        tensors, about = read(path)
        del about["sha256"]
        match draw.randrange(3):
            case 0:
                about["config"] = spoilt_text(about["config"], draw)
            case 1:
                about[draw.choice(list(about))] = str(draw.choice(ODD))
            case _:
                name = draw.choice(list(tensors))
                shape = draw.choice(((), (0,), (1,), (3, 3)))
                kind = draw.choice((torch.float32, torch.float64, torch.int8))
                tensors[name] = torch.zeros(shape, dtype=kind)
        write(path, tensors, about)
        load_trained(str(path))
        resume_trainer(path)

    def bytes_of_a_recording(self, draw: random.Random) -> None:
        self.recording.write_bytes(mutated(self.kept[self.recording], draw))
        self.replayed(self.recording)

    def json_of_a_recording(self, draw: random.Random) -> None:
        spoil_archive(self.recording, draw)
        self.replayed(self.recording)

    def some_footage(self, draw: random.Random) -> None:
        if draw.random() < 0.5:
            self.footage.write_bytes(mutated(self.kept[self.footage], draw))
        else:
            spoil_archive(self.footage, draw)
        self.replayed(self.footage)

    def replayed(self, path: Path) -> None:
        """Do with a recording what its replay does."""
        read = load_recording(path)
        if isinstance(read, Recording):
            verify(read)
        else:
            write_strip(read, self.folder / "film.png")

    def run_folder(self, draw: random.Random) -> None:
        path = self.run / draw.choice((CONFIG, METRICS, VERSIONS))
        text = self.kept[path].decode()
        new = mutated(text.encode(), draw)
        if path.name != METRICS and draw.random() < 0.7:
            new = spoilt_text(text, draw).encode()
        path.write_bytes(new)
        if draw.random() < 0.5:
            (self.run / CHECKPOINT).unlink()
        options = ["--out", str(self.run), "--resume", "--iterations", "2"]
        with patch.object(meta.training.run.Run, "log", reached):
            assert_fine(["train", FAMILY, *options])

    def a_task(self, draw: random.Random) -> None:
        make_family(FAMILY).parse(spoilt_text(self.task, draw))

    def an_object(self, draw: random.Random) -> None:
        path = self.folder / f"cube.{draw.choice(OBJECTS)}"
        path.write_bytes(mutated(self.kept[path], draw))
        load_solid(path)

    def suite_results(self, draw: random.Random) -> None:
        path = self.folder / "results.json"
        path.write_text(spoilt_text(self.results, draw))
        write_tables({"results": path}, self.folder)

    def command_line(self, draw: random.Random) -> None:
        name = draw.choice((*COMMANDS, "train"))
        argv = name.split()
        if name == "train":
            argv.append(draw.choice((*FAMILIES, *WORDS)))
            names = meta.training.run.TrainCfg.__dataclass_fields__
            options = (*names, "out", "resume", "clip", "epochs", "adapt_episodes")
        else:
            options = [f.name for f in dataclasses.fields(COMMANDS[name])]  # pyright: ignore
        for _ in range(draw.randrange(4) if options else 0):
            argv.append(f"--{draw.choice(options).replace('_', '-')}")
            argv += draw.choices(WORDS, k=draw.choice((0, 1, 1, 1, 2)))
        if draw.random() < 0.5:
            argv.insert(len(name.split()), draw.choice(WORDS))
        with contextlib.ExitStack() as stack:
            for module, work in HEAVY:
                stack.enter_context(patch.object(module, work, reached))
            assert_fine(argv)


HEAVY = (
    (meta.training.run, "train"),
    (meta.evaluation.evaluate, "evaluate"),
    (meta.evaluation.mid_episode, "recoveries"),
    (meta.recording.recorded, "record"),
    (pliant.bench.suite, "run_suite"),
    (pliant.bench.gpu, "bench"),
    (pliant.cli.doctor, "examine"),
    (pliant.views.solid_sheet, "draw_sheet"),
    (pliant.views.task_sheet, "draw_tasks"),
    (pliant.views.viewer, "show"),
)
"""Work that takes long or opens a window, as commands find it."""


# -- the property ----------------------------------------------------------------------


def called(argv: list[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return main(argv)


def assert_fine(argv: list[str]) -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = called(argv)
    lines = [line for line in said.getvalue().splitlines() if "pliant: " in line]
    assert code in (0, 2), (code, said.getvalue())
    assert "Traceback" not in said.getvalue()
    assert len(lines) == 1 or code == 0, said.getvalue()


@contextlib.contextmanager
def bounded() -> Generator[None]:
    """Limit memory, and the time of what is done within."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SLOW)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def little_memory() -> Generator[None]:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def fuzz(
    seed: int, *, seconds: float = math.inf, inputs: float = math.inf, whole: int = 2
) -> tuple[Counter[str], list[str]]:
    """Try inputs; return how many of each kind, and those that failed."""
    tried, failed = Counter[str](), list[str]()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(patch.object(CheetahDirection, "horizon", 4))
        stack.enter_context(patch.object(sys, "stdin", io.StringIO()))
        # minutes in C, which no signal ends
        stack.enter_context(patch.object(coacd, "run_coacd", reached))
        files = Inputs(folder, whole=whole)
        stack.enter_context(little_memory())
        cases, end, index = list(files.cases().items()), time.monotonic() + seconds, 0
        while time.monotonic() < end and index < inputs:
            name, case = cases[index % len(cases)]
            files.restore()
            try:
                with bounded(), contextlib.redirect_stderr(io.StringIO()):
                    case(random.Random(f"{seed} {index}"))
            except Late:
                failed.append(f"{name}, seed '{seed} {index}': over {SLOW} s")
            except Reached:
                pass
            except MENDABLE as error:
                if "\n" in str(error) or isinstance(error, MemoryError):
                    failed.append(f"{name}, seed '{seed} {index}': {error!r}")
            except Exception:
                last = traceback.format_exc(limit=-3)
                failed.append(f"{name}, seed '{seed} {index}':\n{last}")
            tried[name] += 1
            index += 1
    return tried, failed


@pytest.mark.slow
def test_nothing_is_a_traceback() -> None:
    tried, failed = fuzz(0, inputs=50)
    assert not failed, "\n".join(failed)
    assert set(tried.values()) == {5}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    count, faults = fuzz(given.seed, seconds=given.seconds, whole=6)
    print("\n".join(faults))
    print(f"{sum(count.values())} inputs ({dict(count)}), {len(faults)} failed")
    sys.exit(bool(faults))

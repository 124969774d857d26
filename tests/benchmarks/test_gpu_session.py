"""The GPU session, with a fake in place of every command that it runs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.gpu_session import __main__ as command
from benchmarks.gpu_session import figures, plan, session
from benchmarks.gpu_session.plan import GPU, REHEARSAL, Step
from benchmarks.gpu_session.process import Asked, Ended, run
from benchmarks.gpu_session.session import Session
from benchmarks.gpu_session.summary import BEGIN, END, filled, summary

FAKE = """\
import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[1:]
names = [w.removeprefix("benchmarks.gpu_session.") for w in words]
what = names[0] if names[0] != "pliant" else f"{names[1]} {names[2]}"
notes = Path(os.environ["FAKE"])
file = notes.parent / "out/session.json"
steps = json.loads(file.read_text())["steps"] if file.exists() else []
known = [step["name"] for step in steps]
with notes.open("a") as file:
    file.write(json.dumps({"words": words, "known": known, "pid": os.getpid()}) + "\\n")
if what == os.environ.get("CRASH"):
    sys.exit("the first line\\nno such thing")
if what == os.environ.get("HANG"):
    time.sleep(600)


def after(option):
    return Path(words[words.index(option) + 1])


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))


match what:
    case "machine":
        write(Path(words[2]), {"device": os.environ.get("CARD", "a card"), "cpus": 2})
    case "kernels":
        write(Path(words[3]), {"seconds": 1.0})
    case "pytest":
        write(after("--junitxml"), "<testsuites><testcase name='t'/></testsuites>")
    case "bench gpu":
        write(after("--json"), {"speeds": []})
    case _ if what.startswith("export"):
        write(Path(words[3]), "policy")
    case _:
        out = after("--out")
        out.mkdir(exist_ok=True)
        write(out / "config.json", {"tasks": 4, "episodes": 5, "iterations": 50})
        stop = []
        signal.signal(signal.SIGINT, lambda *_: stop.append(1))
        last = 10**6 if what == os.environ.get("ENDLESS") else 6
        for i in range(1, last + 1):
            row = {"iteration": i, "env_steps": 100.0 * i, "faults": 0.0}
            row |= {"return_pre": 0.0, "return_post": 50.0 * i, "success_post": 0.5}
            with (out / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\\n")
            with (out / "timing.jsonl").open("a") as file:
                file.write(json.dumps({"seconds": 2.0}) + "\\n")
            if stop:
                write(out / "checkpoint.safetensors", "whole")
                sys.exit(130)
            time.sleep(0.02)
        write(out / "checkpoint.safetensors", "whole")
"""
SMALL = replace(
    REHEARSAL,
    compiled=("push", "strike"),
    target=200.0,
    slow=1.0,
)
ORDER = [
    "kernels",
    "parity",
    "bench cheetah-direction",
    "bench push",
    "bench strike",
    "timeline",
    "train cheetah-direction",
    "train ProMP",
    "train insert",
    "export insert",
    "train reach-rotated",
    "export reach-rotated",
]


@pytest.fixture(autouse=True)
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the fake in the place of all commands; return where it notes its calls."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setattr(plan, "PYTHON", (sys.executable, str(script)))
    monkeypatch.setattr(plan, "PLIANT", (sys.executable, str(script), "pliant"))
    monkeypatch.setenv("FAKE", str(tmp_path / "notes"))
    return tmp_path / "notes"


def go(out: Path, seconds: float = 100.0, steps: Sequence[Step] = ()) -> int:
    with session.owned(out):
        one = Session(out=out, seconds=seconds, patience=2.0)  # ends 10 s before
        with one.asked.listening():
            return one.go(plan.machine(SMALL, out), steps or plan.plan(SMALL, out))


def few(out: Path) -> list[Step]:
    """The parity tests, and two families that are trained and exported."""
    return [s for s in plan.plan(SMALL, out) if s.name in ("parity", *ORDER[8:])]


def calls(notes: Path) -> list[dict]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def statuses(out: Path) -> dict[str, str]:
    found = json.loads((out / "session.json").read_text())
    return {step["name"]: step["status"] for step in found["steps"]}


def test_every_step_is_kept_before_the_next_begins(tmp_path: Path, fake: Path) -> None:
    out = tmp_path / "out"
    assert go(out) == 0
    assert list(statuses(out)) == ORDER
    known = [call["known"] for call in calls(fake)]
    # two kernels side by side, after the machine; the others one by one
    assert known == [[], [], [], *(ORDER[:n] for n in range(1, len(ORDER)))]
    steps = {s["name"]: s for s in session.read(out)["steps"]}
    assert steps["train cheetah-direction"]["figures"]["reached"] == {
        "iteration": 6,
        "env_steps": 600.0,
        "seconds": 12.0,
    }
    assert steps["export insert"]["figures"] == {
        "file": "insert.safetensors",
        "bytes": 6,
    }
    assert "a return of" not in (out / "session.md").read_text()
    assert "200 after adapting: reached after 12 s" in (out / "session.md").read_text()


def test_training_ends_at_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDLESS", "train cheetah-direction")
    out = tmp_path / "out"
    assert go(out) == 0
    assert statuses(out)["train cheetah-direction"] == "reached"
    assert (out / "cheetah-direction/checkpoint.safetensors").read_text() == "whole"


def test_no_time_left_ends_a_training_with_a_checkpoint(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDLESS", "train insert")
    out, start = tmp_path / "out", time.monotonic()
    assert go(out, 15.0, few(out)) == 0
    assert time.monotonic() - start < 15.0
    assert statuses(out) == {
        "parity": "done",
        "train insert": "out of time",
        "export insert": "skipped",
        "train reach-rotated": "skipped",
        "export reach-rotated": "skipped",
    }
    assert (out / "insert/checkpoint.safetensors").read_text() == "whole"
    assert session.read(out)["steps"][1]["figures"]["iterations"] > 6
    assert not any(psutil.pid_exists(call["pid"]) for call in calls(fake))


def test_a_step_leaves_later_ones_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def ran(commands: dict[Path, list[str]], *, seconds: float, **_: object) -> Ended:
        given.append(seconds)
        if len(given) == 1:
            [ask] = commands.values()
            Path(ask[-1]).write_text('{"device": "a card", "cpus": 2}')
        return Ended(status="done", codes=(0,), seconds=0.0)

    monkeypatch.setattr(session, "run", ran)
    go(tmp_path, 210.0)
    # 200 s and 10 to end in; 20 for the timeline and 45 for cheetah's training
    kernels, parity, bench = 200 - 65, 90, 75
    training = [200, 30] * 2
    expected = [60, kernels, parity, *[bench] * 3, 60, 100, 200, *training]
    assert given == pytest.approx(expected, abs=2.0)
    given.clear()
    go(tmp_path / "short", 65.0)
    # only the last of these has the time that it needs
    ways = [statuses(tmp_path / "short")[name] for name in ORDER[:7]]
    assert ways == [*["skipped"] * 6, "done"]


def test_a_step_that_crashes_is_recorded_and_the_next_begins(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASH", "train insert")
    out = tmp_path / "out"
    assert go(out) == 1
    ways = statuses(out)
    assert ways["train insert"] == "failed"
    assert ways["export insert"] == "skipped"
    assert ways["export reach-rotated"] == "done"
    step = session.read(out)["steps"][8]
    assert step["codes"] == [1]
    assert step["log"] == [
        "train-insert.log: exit code 1",
        "the first line",
        "no such thing",
    ]


def test_a_second_session_does_what_the_first_did_not(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("CRASH", "pytest")
    monkeypatch.setenv("ENDLESS", "train insert")
    assert go(out, 15.0, few(out)) == 1
    fake.unlink()
    monkeypatch.delenv("CRASH")
    monkeypatch.delenv("ENDLESS")
    assert go(out, steps=few(out)) == 0
    said = [" ".join(call["words"]) for call in calls(fake)]
    assert [s.split()[0] for s in said[:2]] == [
        "benchmarks.gpu_session.machine",
        "pytest",
    ]
    assert [s.split()[1] for s in said[2:]] == ["train", "export"] * 2
    assert said[2].endswith("--resume")
    assert not said[4].endswith("--resume")
    assert statuses(out) == dict.fromkeys(["parity", *ORDER[8:]], "done")
    fake.unlink()
    assert go(out) == 0  # all steps: those that are missing
    assert len(calls(fake)) == 1 + 2 + 3 + 1 + 2
    assert list(statuses(out)) == ORDER
    monkeypatch.setenv("CARD", "another card")
    before = (out / "session.json").read_bytes()
    with pytest.raises(ValueError, match="a session of another machine or revision"):
        go(out)
    assert (out / "session.json").read_bytes() == before


def test_without_its_machine_nothing_is_begun(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASH", "machine")
    assert go(tmp_path / "out") == 1
    assert len(calls(fake)) == 1
    assert statuses(tmp_path / "out") == {"machine": "failed"}


def test_two_sessions_cannot_write_into_one_folder(tmp_path: Path) -> None:
    with (
        session.owned(tmp_path),
        pytest.raises(ValueError, match="another session is writing into"),
    ):
        go(tmp_path)


SESSION = """\
import sys
from pathlib import Path
from benchmarks.gpu_session import __main__ as command, plan
plan.PYTHON = (sys.executable, sys.argv[1])
plan.PLIANT = (*plan.PYTHON, "pliant")
sys.argv = ["gpu_session", "--device", "cpu", "--out", sys.argv[2], "--seconds", "5000"]
sys.exit(command.main())
"""


def begun(tmp_path: Path, notes: Path, what: str) -> tuple[subprocess.Popen, int]:
    """A session in a process of its own, and its child that hangs or does not end."""
    script = str(tmp_path / "fake.py")
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION, script, str(tmp_path / "out")],
        cwd=session.ROOT,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = (
            [c for c in calls(notes) if what in c["words"]] if notes.exists() else []
        )
        if found:
            return process, found[0]["pid"]
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"no {what}")


def test_a_killed_session_leaves_no_child(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDLESS", "train insert")
    process, child = begun(tmp_path, fake, "insert")
    assert psutil.pid_exists(child)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=10) == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)
    # and what was done is there
    assert list(statuses(tmp_path / "out")) == ORDER[:8]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_session_ends_its_child_and_sums_up(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("ENDLESS", "train insert")
    process, child = begun(tmp_path, fake, "insert")
    metrics = tmp_path / "out/insert/metrics.jsonl"
    while not metrics.exists():
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number
    assert not psutil.pid_exists(child)
    out = tmp_path / "out"
    assert statuses(out)["train insert"] == "interrupted"
    assert statuses(out)["train reach-rotated"] == "skipped"
    assert (out / "insert/checkpoint.safetensors").exists()
    assert "| train insert | interrupted |" in (out / "session.md").read_text()


def test_the_stubborn_are_killed_with_their_children(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, time\n"
        "for n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)\n"
    )
    ended = run(
        {tmp_path / "log": [sys.executable, "-c", code]},
        seconds=2.0,
        folder=tmp_path,
        environment=dict(os.environ),
        asked=Asked(),
        patience=0.3,
    )
    assert (ended.status, ended.codes) == ("out of time", (-signal.SIGKILL,))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def test_in_the_background_children_still_hear_an_interrupt(tmp_path: Path) -> None:
    # as a shell without job control starts what is to run in the background
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = run(
            {tmp_path / "log": ["sleep", "600"]},
            seconds=0.5,
            folder=tmp_path,
            environment=dict(os.environ),
            asked=Asked(),
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.codes == (-signal.SIGINT,)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nothing has waited for yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_full_disk_leaves_the_last_whole_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = few(tmp_path)
    assert go(tmp_path, steps=steps[:1]) == 0
    before = (tmp_path / "session.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        go(tmp_path, steps=steps)
    assert (tmp_path / "session.json").read_bytes() == before


def test_figures_that_cannot_be_read_fail_their_step(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    broken = Step(
        name="broken",
        commands={"broken": ["sh", "-c", f"echo '{{' > {file}"]},
        limit=10.0,
        figures=lambda: figures.stored(file),
    )
    absent = Step(name="absent", commands={"absent": ["/no/such"]}, limit=10.0)
    with session.owned(tmp_path):
        one = Session(out=tmp_path, seconds=60.0)
        assert one.go(plan.machine(SMALL, tmp_path), [broken, absent]) == 1
    rows = session.read(tmp_path)["steps"]
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert "its figures cannot be read" in rows[0]["log"][-1]
    assert "/no/such" in rows[1]["log"][-1]


def test_a_document_is_filled_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(f"a\n{BEGIN}\nold\nold\n{END}\nz\n")
    assert filled(path, "new") == f"a\n{BEGIN}\nnew\n{END}\nz\n"


@pytest.mark.parametrize(
    "text",
    [
        "nothing here\n",
        f"a\n{BEGIN}\nold\nz\n",
        f"a\n{END}\nold\n{BEGIN}\nz\n",
        f"a\n{BEGIN}\n{BEGIN}\nold\n{END}\nz\n",
    ],
)
def test_a_document_without_one_whole_place_is_refused(
    tmp_path: Path,
    text: str,
    fake: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "doc.md"
    path.write_text(text)
    words = ["gpu_session", "--out", str(tmp_path / "out"), "--into", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    assert command.main() == 2
    assert "doc.md needs one line <!-- gpu:begin -->" in capsys.readouterr().err
    assert path.read_text() == text
    assert not fake.exists()  # before anything was begun


def test_what_is_there_is_summed_up_without_a_session(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, path = tmp_path / "out", tmp_path / "doc.md"
    go(out)
    fake.unlink()
    path.write_text(f"{BEGIN}\n{END}\n")
    words = ["gpu_session", "--out", str(out), "--as-is", "--into", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    assert command.main() == 0
    assert not fake.exists()
    assert "| train insert | done |" in path.read_text()


def test_too_little_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gpu_session", "--out", str(tmp_path / "out"), "--seconds", "20"]
    monkeypatch.setattr(sys, "argv", words)
    assert command.main() == 2
    assert "seconds must be over 20, which" in capsys.readouterr().err


def test_parity_says_how_far_off_each_test_was(tmp_path: Path) -> None:
    file = tmp_path / "parity.xml"
    file.write_text(
        "<testsuites><testsuite>"
        "<testcase name='test_one_physics_step_agrees[push]'><properties>"
        "<property name='median' value='2e-06'/>"
        "<property name='median allowed' value='1e-05'/>"
        "</properties><failure>off</failure></testcase>"
        "<testcase name='other'><skipped/></testcase><testcase name='fine'/>"
        "</testsuite></testsuites>"
    )
    found = figures.parity(file)
    name = "test_one_physics_step_agrees[push]"
    assert (found["tests"], found["passed"], found["skipped"]) == (3, 1, 1)
    assert found["failed"] == [name]
    assert found["deviations"] == {name: {"median": 2e-6, "median allowed": 1e-5}}
    text = summary({"machine": {}, "steps": [row("parity", found)]})
    assert "| push | a physics step | median 2.0e-06 (allowed 1e-05) |" in text


def row(name: str, found: dict) -> dict:
    return {"name": name, "status": "done", "seconds": 1.0, "figures": found}


def test_a_target_is_that_of_five_iterations_and_half_a_line_is_none(
    tmp_path: Path,
) -> None:
    lines = [json.dumps({"return_post": r}) for r in (900.0, 0.0, 0.0, 0.0, 0.0, 501.0)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines[:5]) + '\n{"return_po')
    assert figures.reached(tmp_path, 180.0)
    assert not figures.reached(tmp_path, 180.1)
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines[1:]) + "\n")
    assert not figures.reached(tmp_path, 101.0)
    assert figures.reached(tmp_path, 100.2)


def test_a_timeline_and_speeds_become_tables() -> None:
    speed = {"family": "push", "worlds": 4096, "second_build_s": 1.5} | dict.fromkeys(
        ("bare", "bare_alike", "env", "policy", "maml", "cpu_env", "kb_per_world"), 1e4
    )
    parts = [{"what": f"k{i}", "calls": 10, "ms": 10.0 - i} for i in range(10)]
    timeline = {"ms": 100.0, "physics": 0.6, "copies": 7, "rows": parts}
    steps = [
        row("bench push", {"speeds": [speed]}),
        row("timeline", {"speeds": [speed], "timelines": {"push.json.gz": timeline}}),
    ]
    text = summary({"machine": {}, "steps": steps})
    assert text.count("| push | 4,096 | 10,000 |") == 1
    assert "`push.json.gz`: 100 ms, of which the physics 60%; copied" in text
    assert "| `k0` | 10 | 10.00 | 10.0% |" in text
    assert "`k8`" not in text
    assert "| `k9` |" in text


def test_the_order_of_a_session_on_a_gpu(tmp_path: Path) -> None:
    steps = plan.plan(GPU, tmp_path)
    first = ["train reach-rotated", "export reach-rotated"]
    assert [s.name for s in steps[:10]] == [
        *ORDER[:4],
        "bench insert",
        *ORDER[5:8],
        *first,
    ]
    text = {s.name: " ".join(*s.commands.values()) for s in steps[1:]}
    assert "--worlds 512,4096,32768" in text["bench push"]
    assert "--tasks 819 --episodes 5" in text["train push"]
    assert all(
        "cuda" in t for n, t in text.items() if n.split()[0] in ("bench", "train")
    )


@pytest.mark.proof
def test_a_family_is_trained_and_exported_by_pliant_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    steps = plan.plan(replace(SMALL, trained=("reach-rotated",)), tmp_path)[-2:]
    with session.owned(tmp_path):
        one = Session(out=tmp_path, seconds=900.0)
        assert one.go(plan.machine(SMALL, tmp_path), steps) == 0
    training, exported = session.read(tmp_path)["steps"]
    assert training["figures"]["worlds"] == 20
    assert training["figures"]["iterations"] == 3
    assert exported["figures"]["bytes"] > 10_000

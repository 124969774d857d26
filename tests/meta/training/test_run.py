"""Run folders: what is in them; neither kill, Ctrl-C nor a full disk loses it."""

import errno
import io
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import meta.training.run
from meta.learner import Metrics
from meta.training.config import TrainCfg
from meta.training.progress import Progress, Stop
from meta.training.run import (
    CONFIG,
    METRICS,
    TIMING,
    VERSIONS,
    Run,
    default_folder,
    train,
)
from meta.training.tensorboard import EventFile
from meta.training.trained import CHECKPOINT, load_trained
from meta.training.trainer import Trainer
from tasks.locomotion.cheetah_direction import CheetahDirection

TINY = TrainCfg(
    family="cheetah-direction",
    method="maml",
    iterations=5,
    tasks=2,
    episodes=2,
    hidden=(4,),
    threads=1,
    checkpoint_every=2,
)
SIZES = "--tasks=2 --episodes=2 --hidden 4 --threads=1 --iterations=12"
ARGUMENTS = ["train", TINY.family, *shlex.split(SIZES), "--checkpoint-every=3"]
ROOT = Path(meta.training.run.__file__).parents[2]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheetahDirection, "horizon", 10)


def quiet() -> Console:
    return Console(file=io.StringIO())


def run(cfg: TrainCfg, folder: Path, **options: bool) -> meta.training.run.Finished:
    return train(cfg, folder, console=quiet(), **options)


def rows(folder: Path, name: str = METRICS) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def same_state(one: Path, other: Path) -> bool:
    a, b = (load_trained(str(folder)).theta for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def pliant(*arguments: str, file_limit: int | None = None) -> subprocess.Popen[str]:
    """The real command; `file_limit` [bytes] makes longer files impossible to write."""

    def limit() -> None:
        if file_limit is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pliant", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def wait_for_lines(process: subprocess.Popen[str], folder: Path, lines: int) -> None:
    metrics = folder / METRICS
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < lines:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def interrupting(number: int, at: int) -> Callable[[Trainer], Metrics]:
    """`Trainer.step` during which a signal arrives."""
    step = Trainer.step

    def interrupted(trainer: Trainer) -> Metrics:
        if trainer.iteration == at:
            signal.raise_signal(number)
        return step(trainer)

    return interrupted


# -- what a run leaves behind --------------------------------------------------------


@pytest.mark.usefixtures("short")
def test_folder_holds_what_was_asked_and_what_came_out(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    assert run(TINY, folder).iteration == 5
    names = {p.name for p in folder.iterdir() if not p.name.startswith("events.out")}
    assert names == {CONFIG, VERSIONS, METRICS, TIMING, CHECKPOINT}
    assert json.loads((folder / CONFIG).read_text())["learner"]["inner_steps"] == 1
    (start,) = json.loads((folder / VERSIONS).read_text())
    assert start["iteration"] == 0
    assert start["torch"] == torch.__version__
    assert {"mujoco", "numpy", "python", "git_revision", "git_dirty"} <= set(start)
    assert [row["iteration"] for row in rows(folder)] == [1, 2, 3, 4, 5]
    assert {"return_pre", "return_post", "success_post", "env_steps"} <= set(
        rows(folder)[0]
    )
    assert all(row["env_steps_per_s"] > 0 for row in rows(folder, TIMING))
    assert load_trained(str(folder)).iteration == 5


@pytest.mark.usefixtures("short")
def test_metrics_hold_no_clock(tmp_path: Path) -> None:
    run(TINY, tmp_path / "a")
    run(TINY, tmp_path / "b")
    assert (tmp_path / "a" / METRICS).read_bytes() == (
        tmp_path / "b" / METRICS
    ).read_bytes()


@pytest.mark.usefixtures("short")
def test_tensorboard_reads_the_same_numbers(tmp_path: Path) -> None:
    # stopped after a checkpoint, so that the second file repeats nothing
    run(replace(TINY, iterations=2), tmp_path)
    run(TINY, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("return_post")
    assert [e.step for e in events] == [1, 2, 3, 4, 5]
    expected = [row["return_post"] for row in rows(tmp_path)]
    assert [e.value for e in events] == pytest.approx(expected)


@pytest.mark.usefixtures("short")
def test_tensorboard_forgets_what_a_killed_run_did_after_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def killed(trainer: Trainer) -> Metrics:
        if trainer.iteration == 3:
            raise RuntimeError("as if killed")
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", killed)
    with pytest.raises(RuntimeError, match="as if killed"):
        run(TINY, tmp_path)
    monkeypatch.setattr(Trainer, "step", step)
    assert len(rows(tmp_path)) == 3
    run(TINY, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("return_post")
    assert [e.step for e in events] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("short")
def test_checkpoints_come_as_often_as_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = meta.training.run.save_checkpoint

    def spy(path: Path, trainer: Trainer) -> None:
        saved.append(trainer.iteration)
        save(path, trainer)

    monkeypatch.setattr(meta.training.run, "save_checkpoint", spy)
    run(TINY, tmp_path)
    assert saved == [2, 4, 5]


def test_default_folder() -> None:
    expected = Path("runs/cheetah-direction-maml-seed3")
    assert default_folder(replace(TINY, seed=3)) == expected


# -- going on ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    process = pliant(*ARGUMENTS, "--out", str(folder))
    assert process.wait(60) == 0, process.communicate()
    process.communicate()
    return folder


def test_run_killed_twice_and_resumed_equals_the_uninterrupted_one(
    tmp_path: Path, uninterrupted: Path
) -> None:
    folder = tmp_path / "killed"
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for kill in range(2):
        resume = ["--resume"] if kill else []
        process = pliant(*ARGUMENTS, "--out", str(folder), *resume)
        # at least one iteration past what the start before it reached
        wait_for_lines(process, folder, rng.randint(1 + 4 * kill, 4 + 4 * kill))
        time.sleep(rng.random() * 0.1)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"seed {seed}: ended too early"
    process = pliant(*ARGUMENTS, "--out", str(folder), "--resume")
    assert process.wait(60) == 0, process.communicate()
    process.communicate()
    for name in (METRICS, CONFIG):
        left, right = (f / name for f in (folder, uninterrupted))
        assert left.read_bytes() == right.read_bytes(), f"seed {seed}: {name}"
    assert same_state(folder, uninterrupted), f"seed {seed}"
    assert len(rows(folder, TIMING)) == 12


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("method", ["maml", "dr"])
def test_resumed_anywhere_equals_uninterrupted(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = replace(TINY.learner, inner_steps=int(method == "maml"))
    cfg = replace(TINY, method=method, learner=inner, checkpoint_every=1)
    run(cfg, tmp_path / "whole")
    step = Trainer.step
    for stop in range(1, 5):
        folder = tmp_path / str(stop)

        def fail(self: Trainer, stop: int = stop) -> Metrics:
            if self.iteration == stop:
                raise FloatingPointError("power cut")
            return step(self)

        monkeypatch.setattr(Trainer, "step", fail)
        with pytest.raises(FloatingPointError):
            run(cfg, folder)
        monkeypatch.setattr(Trainer, "step", step)
        run(cfg, folder, resume=True)
        assert rows(folder) == rows(tmp_path / "whole")
        assert same_state(folder, tmp_path / "whole")


@pytest.mark.usefixtures("short")
def test_resume_cuts_what_was_written_after_the_checkpoint(tmp_path: Path) -> None:
    run(replace(TINY, iterations=3), tmp_path)
    whole = (tmp_path / METRICS).read_bytes()
    with (tmp_path / METRICS).open("ab") as file:
        file.write(b'{"iteration": 4, "return_pre": 0.0}\n{"iterat')
    run(replace(TINY, iterations=3), tmp_path, resume=True)
    assert (tmp_path / METRICS).read_bytes() == whole


@pytest.mark.usefixtures("short")
def test_resume_before_the_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    run(TINY, tmp_path / "whole")
    run(TINY, tmp_path / "early")
    (tmp_path / "early" / CHECKPOINT).unlink()
    told = Console(file=io.StringIO(), width=200)
    train(TINY, tmp_path / "early", resume=True, console=told)
    said = told.file.getvalue()  # pyright: ignore
    assert said.startswith(f"no iteration of {tmp_path / 'early'} was saved: it starts")
    assert rows(tmp_path / "early") == rows(tmp_path / "whole")


@pytest.mark.usefixtures("short")
def test_resume_records_each_start(tmp_path: Path) -> None:
    run(replace(TINY, iterations=3), tmp_path)
    run(TINY, tmp_path, resume=True)
    starts = json.loads((tmp_path / VERSIONS).read_text())
    assert [start["iteration"] for start in starts] == [0, 3]
    assert json.loads((tmp_path / CONFIG).read_text())["iterations"] == 5


@pytest.mark.usefixtures("short")
def test_resume_of_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    assert run(TINY, tmp_path, resume=True).iteration == 5
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.usefixtures("short")
def test_resume_refuses_metrics_that_were_shortened(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    lines = (tmp_path / METRICS).read_text().splitlines(keepends=True)
    (tmp_path / METRICS).write_text("".join(lines[:3]))
    with pytest.raises(ValueError, match="has 3 lines, fewer than the 5 iterations"):
        run(TINY, tmp_path, resume=True)


@pytest.mark.usefixtures("short")
def test_resume_refuses_another_configuration(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    with pytest.raises(ValueError, match="other values of episodes, seed; only iter"):
        run(replace(TINY, seed=1, episodes=3), tmp_path, resume=True)


@pytest.mark.usefixtures("short")
def test_resume_refuses_fewer_iterations_than_are_done(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    before = (tmp_path / CONFIG).read_bytes()
    done = TINY.iterations
    with pytest.raises(ValueError, match=f"has {done} iterations already: .* to 1$"):
        run(replace(TINY, iterations=1), tmp_path, resume=True)
    assert (tmp_path / CONFIG).read_bytes() == before


# -- never over someone's data -------------------------------------------------------


@pytest.mark.usefixtures("short")
def test_a_run_is_replaced_only_if_asked(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    kept = tmp_path / "notes.txt"
    kept.write_text("mine")
    with pytest.raises(ValueError, match="holds a run already: --resume"):
        run(TINY, tmp_path)
    run(replace(TINY, iterations=2, seed=1), tmp_path, overwrite=True)
    assert len(rows(tmp_path)) == len(rows(tmp_path, TIMING)) == 2
    assert len(list(tmp_path.glob("events.out*"))) == 1
    assert kept.read_text() == "mine"


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not empty and no run"):
        run(TINY, tmp_path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "not JSON"])
def test_a_config_that_is_no_runs_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG).write_text(text)
    for way in ({}, {"overwrite": True}):
        with pytest.raises(ValueError, match="not empty and no run"):
            run(TINY, tmp_path, **way)
    assert (tmp_path / CONFIG).read_text() == text


@pytest.mark.usefixtures("short")
def test_a_run_of_another_family_says_how_it_is_continued(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    other = replace(TINY, family="reach-rotated")
    said = f"is of {TINY.family}, not reach-rotated: it is continued by pliant train"
    with pytest.raises(ValueError, match=said):
        run(other, tmp_path, resume=True)


def test_nothing_is_left_of_a_run_that_cannot_start(tmp_path: Path) -> None:
    learner = replace(TINY.learner, rate=float("inf"))
    with pytest.raises(ValueError, match="rate"):
        run(replace(TINY, learner=learner), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_resume_of_nothing(tmp_path: Path) -> None:
    """A folder that is missing, empty, or somebody's; nothing is written there."""
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty", "."):
        with pytest.raises(ValueError, match="no run to resume in"):
            run(TINY, tmp_path / name, resume=True)
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


@pytest.mark.usefixtures("short")
def test_two_processes_never_write_one_run(tmp_path: Path) -> None:
    with (
        Run(tmp_path, TINY),
        pytest.raises(ValueError, match="trained by another process"),
    ):
        run(TINY, tmp_path, resume=True)
    run(TINY, tmp_path, resume=True)


# -- stopped by a person -------------------------------------------------------------


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_ends_after_the_iteration_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupting(number, at=2))
        done = run(TINY, tmp_path / "stopped")
    assert (done.iteration, done.signal) == (3, number)
    assert load_trained(str(tmp_path / "stopped")).iteration == 3
    assert signal.getsignal(number) is before
    run(TINY, tmp_path / "stopped", resume=True)
    run(TINY, tmp_path / "whole")
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_a_second_signal_interrupts() -> None:
    said: list[str] = []
    with Stop(said.append) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert len(said) == 1


def test_ctrl_c_on_the_command(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--iterations", "10000", "--out", str(tmp_path / "r")]
    process = pliant(*arguments)
    wait_for_lines(process, tmp_path / "r", 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"--out {tmp_path / 'r'} --resume" in out
    assert "Traceback" not in err
    done = load_trained(str(tmp_path / "r")).iteration
    assert done == len(rows(tmp_path / "r"))


# -- a full disk ---------------------------------------------------------------------


@pytest.mark.proof
def test_file_limit_on_the_command(tmp_path: Path, uninterrupted: Path) -> None:
    """The checkpoint fits; the metrics do not: every write is really refused there."""
    size = (uninterrupted / CHECKPOINT).stat().st_size
    metrics = (uninterrupted / METRICS).stat().st_size
    long = ["--iterations", str(12 * size // metrics + 100)]
    arguments = [*ARGUMENTS, *long, "--out", str(tmp_path / "full")]
    process = pliant(*arguments, file_limit=size + 100)
    out, err = process.communicate(timeout=240)
    last = err.strip().splitlines()[-1]
    assert process.returncode == 2, (out, err)
    assert last.startswith(f"pliant: {tmp_path / 'full'}: File too large")
    assert "continue with --resume" in last
    assert "Traceback" not in err
    saved = load_trained(str(tmp_path / "full")).iteration
    assert saved % 3 == 0
    assert saved <= len(rows_whole(tmp_path / "full"))


def rows_whole(folder: Path) -> list[bytes]:
    return (folder / METRICS).read_bytes().split(b"\n")[:-1]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("what", ["save_checkpoint", "_append"])
def test_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    # prolonged, as the other: a longer run has another schedule from there on
    for name in ("whole", "full"):
        run(replace(TINY, iterations=2), tmp_path / name)
    run(TINY, tmp_path / "whole", resume=True)
    before = (tmp_path / "full" / CHECKPOINT).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(meta.training.run, what, full)
        with pytest.raises(OSError, match=r"No space left.*--resume") as caught:
            run(TINY, tmp_path / "full", resume=True)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "full" / CHECKPOINT).read_bytes() == before
    run(TINY, tmp_path / "full", resume=True)
    assert rows(tmp_path / "full") == rows(tmp_path / "whole")


@pytest.mark.usefixtures("short")
def test_what_fails_in_its_first_step_leaves_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    once = replace(TINY, iterations=1)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda _: 1 / 0)
        for folder, options in (("own", {}), ("mine", {"overwrite": True})):
            if options:
                (tmp_path / folder / METRICS).touch()
            with pytest.raises(ZeroDivisionError):
                run(once, tmp_path / folder, **options)
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "notes.txt"]
    run(once, tmp_path / "own")


@pytest.mark.usefixtures("short")
def test_what_fails_later_or_when_resumed_leaves_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def failing(trainer: Trainer) -> Metrics:
        return step(trainer) if not trainer.iteration else {"none": 1 / 0}

    def interrupted(trainer: Trainer) -> Metrics:
        raise KeyboardInterrupt

    for how, kind in ((failing, ZeroDivisionError), (interrupted, KeyboardInterrupt)):
        folder = tmp_path / how.__name__
        monkeypatch.setattr(Trainer, "step", how)
        with pytest.raises(kind):
            run(TINY, folder)
        monkeypatch.setattr(Trainer, "step", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(TINY, folder, resume=True)
        assert (folder / CONFIG).exists()


# -- progress ------------------------------------------------------------------------


METRICS_SHOWN: Metrics = {
    "return_pre": -1.5,
    "return_post": 12.25,
    "success_pre": 0.1,
    "success_post": 0.5,
    "faults": 0.0,
}


def test_progress_on_a_terminal_shows_time_left_and_numbers() -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=80)
    longest = replace(TINY, family="cheetah-direction", method="maml-plain")
    with Progress(longest, 0, console) as progress:
        progress.show(2, METRICS_SHOWN, 12_345.6, milestone=False)
    text = drawn.getvalue()
    for part in (
        "cheetah-direction maml-plain",
        "2/5",
        ":",
        "-1.50",
        "12.25",
        "0.10",
        "0.50",
        "12,346 env steps/s",
    ):
        assert part in text


def test_progress_elsewhere_is_a_line_a_milestone() -> None:
    written = io.StringIO()
    with Progress(TINY, 0, Console(file=written, width=40)) as progress:
        for iteration in range(1, 6):
            due = iteration == 2
            progress.show(iteration, METRICS_SHOWN, 1.0, milestone=due)
    lines = written.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["2/5", "5/5"]


def test_many_faults_are_cautioned_of_at_the_end() -> None:
    for each, said in ((0, ""), (4, "CAUTION: of 16 episodes a fault ended 8, and")):
        written = io.StringIO()
        with Progress(TINY, 3, Console(file=written, width=200)) as progress:
            for iteration in (4, 5):
                shown = METRICS_SHOWN | {"faults": float(each)}
                progress.show(iteration, shown, 1.0, milestone=False)
        last = written.getvalue().splitlines()[-1]
        assert last.startswith(said or "5/5")


def test_that_episodes_fault_from_the_first_on_is_said_at_once() -> None:
    written = io.StringIO()
    with Progress(TINY, 3, Console(file=written, width=200)) as progress:
        for iteration, faults in ((4, 8.0), (5, 8.0)):
            shown = METRICS_SHOWN | {"faults": faults}
            progress.show(iteration, shown, 1.0, milestone=False)
    first, *_ = lines = written.getvalue().splitlines()
    assert first.startswith("CAUTION: of 8 episodes of iteration 4 a fault ended 8")
    assert sum("of iteration" in line for line in lines) == 1


def test_other_threads_and_versions_are_said(short: None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(replace(TINY, iterations=1), folder)
    starts = json.loads((folder / "versions.json").read_text())
    assert starts[0]["torch_threads"] == torch.get_num_threads()
    told = io.StringIO()
    for threads in (torch.get_num_threads(), 7):
        starts[-1]["torch_threads"] = threads
        (folder / "versions.json").write_text(json.dumps(starts))
        told = io.StringIO()
        cfg = replace(TINY, iterations=2 if threads != 7 else 3)
        train(cfg, folder, resume=True, console=Console(file=told, width=200))
        assert ("numbers will differ" in told.getvalue()) is (threads == 7)
        starts = json.loads((folder / "versions.json").read_text())
    assert f"torch_threads 7, now {torch.get_num_threads()}" in told.getvalue()


def test_a_clock_set_back_hides_no_steps(
    short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, step in ((3, 1), (2, 2), (1, 3)):
        monkeypatch.setattr("time.time_ns", lambda day=day: day * 10**15)
        events = EventFile(tmp_path, first_step=step)
        events.add(step, {"value": 1.0})
        events.close()
    found = EventAccumulator(str(tmp_path)).Reload().Scalars("value")
    assert [e.step for e in found] == [1, 2, 3]

"""The command line: what it prints, and that every mistake is one line and code 2."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
import torch

import meta.evaluation.baselines
import meta.training.run
import pliant.cli.doctor
import pliant.cli.main
from meta.learner import Metrics
from meta.training.run import CONFIG, METRICS
from meta.training.trained import CHECKPOINT, load_trained
from meta.training.trainer import Trainer
from pliant.cli.doctor import Finding, check_folder, check_rendering, check_speed
from pliant.cli.main import COMMANDS, main
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.registry import FAMILIES

CHEETAH = "cheetah-direction"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]
TRAIN = ["train", CHEETAH, *TINY]


@dataclass(frozen=True)
class Said:
    """What one call of the command came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """`main` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheetahDirection, "horizon", 10)

    def called(*argv: str | Path) -> Said:
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return called


def complaint(said: Said) -> str:
    """The one line of a user's error."""
    assert said.code == 2, said
    (line,) = said.err.splitlines()
    assert line.startswith("pliant: ")
    assert "Traceback" not in said.out
    assert "helptext" not in line
    return line.removeprefix("pliant: ")


@pytest.fixture
def policy(call: Call, tmp_path: Path) -> Path:
    """A run folder with a finished tiny run."""
    assert call(*TRAIN, "--out", tmp_path / "policy").code == 0
    return tmp_path / "policy"


# -- help ----------------------------------------------------------------------------


def test_help_names_every_command(call: Call) -> None:
    said = call("--help")
    assert (said.code, said.err) == (0, "")
    for name in (*COMMANDS, "train"):
        assert f"\n  {name} " in said.out


@pytest.mark.parametrize("name", [*COMMANDS, "train"])
def test_help_of_each_command_has_an_example(call: Call, name: str) -> None:
    said = call(name, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Example: pliant {name}" in said.out


def test_help_of_train_shows_the_defaults_of_family_and_method(call: Call) -> None:
    shown = call("train", CHEETAH, "--method", "dr", "--help").out
    assert "cheetah-direction with dr" in " ".join(shown.split())
    assert "(default: dr)" in shown
    assert "--family" not in shown


def test_every_setting_can_be_overridden(call: Call) -> None:
    from dataclasses import fields

    from meta.learners.maml_cfg import MamlCfg
    from meta.learners.rma_cfg import RmaCfg
    from meta.training.config import TrainCfg

    shown = call("train", CHEETAH, "--help").out
    told = call("train", CHEETAH, "--method", "rma", "--help").out
    for kinds, text in (((TrainCfg, MamlCfg), shown), ((MamlCfg, RmaCfg), told)):
        names = {f.name for kind in kinds for f in fields(kind)}
        for name in names - {"family", "learner", "teacher"}:
            assert f"--{name.replace('_', '-')}" in text
    assert "--teacher-share" not in shown


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pliant.cli.main import main; assert main(['--help']) == 0; "
        "sys.exit(bool({'torch', 'mujoco', 'numpy'} & set(sys.modules)))"
    )
    root = str(Path(pliant.cli.main.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": root},
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


# -- list ----------------------------------------------------------------------------


def test_list_json_holds_every_family(call: Call) -> None:
    said = call("list", "--json")
    listed = json.loads(said.out)
    assert said.code == 0
    assert {f["name"] for f in listed["families"]} == set(FAMILIES)
    for family in listed["families"]:
        assert set(family["splits"]) >= {"train", "held-out", "extrapolation"}
        assert family["summary"]
        assert any(p["hidden"] for p in family["parameters"])
        for parameter in family["parameters"]:
            assert set(parameter["ranges"]) == set(family["splits"])
    assert all(name.startswith("shipped:") for name in listed["policies"])


def test_list_ranges_are_where_tasks_are_drawn_from(call: Call) -> None:
    for family in json.loads(call("list", "--json").out)["families"]:
        for split in family["splits"]:
            tasks = FAMILIES[family["name"]]().sample(split, 0, 30)
            for parameter in family["parameters"]:
                ranges = parameter["ranges"][split]
                for task in tasks:
                    value = task.parameters[parameter["name"]]
                    inside = (
                        value in ranges
                        if isinstance(value, str)
                        else any(low <= value <= high for low, high in ranges)
                    )
                    assert inside, (family["name"], split, parameter, value)


def test_list_for_people(call: Call) -> None:
    out = call("list").out
    for name in FAMILIES:
        assert f"{name}: " in out
    assert "friction [1], hidden: " in out
    assert "shipped policies: " in out


# -- train ---------------------------------------------------------------------------


def test_train_and_what_next(call: Call, tmp_path: Path) -> None:
    said = call(*TRAIN, "--seed", "7")
    folder = Path("runs") / f"{CHEETAH}-maml-seed7"
    assert said.code == 0
    assert f"pliant evaluate {folder}" in said.out
    cfg = load_trained(str(tmp_path / folder)).cfg
    assert (cfg.seed, cfg.tasks, cfg.episodes, cfg.hidden) == (7, 1, 2, (3,))


@pytest.mark.parametrize("method", [("--method", "dr"), ("--method=oracle",)])
def test_method_decides_the_other_defaults(
    call: Call, tmp_path: Path, method: tuple[str, ...]
) -> None:
    assert call(*TRAIN, *method, "--out", "run").code == 0
    cfg = load_trained(str(tmp_path / "run")).cfg
    assert cfg.method == method[-1].removeprefix("--method=")
    assert cfg.learner.inner_steps == 0


def test_learner_settings(call: Call, tmp_path: Path) -> None:
    given = ["--learned-advantage", "--clip", "0.25", "--adapt-episodes", "1", "2"]
    assert call(*TRAIN, *given, "--out", "run").code == 0
    learner = load_trained(str(tmp_path / "run")).cfg.learner
    assert (learner.learned_advantage, learner.clip) == (True, 0.25)
    assert learner.adapt_episodes == (1, 2)


def test_resume_remembers_what_is_not_given_again(call: Call, policy: Path) -> None:
    resumed = call("train", CHEETAH, "--out", policy, "--resume", "--iterations", "3")
    assert resumed.code == 0
    trained = load_trained(str(policy))
    assert (trained.iteration, trained.cfg.tasks, trained.cfg.hidden) == (3, 1, (3,))


def test_resume_trusts_the_checkpoint_over_the_readable_config(
    call: Call, policy: Path
) -> None:
    text = (policy / CONFIG).read_text().replace('"tasks": 1', '"tasks": 2')
    (policy / CONFIG).write_text(text)
    assert call("train", CHEETAH, "--out", policy, "--resume").code == 0
    assert json.loads((policy / CONFIG).read_text())["tasks"] == 1


def test_interrupted_says_how_to_go_on(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    step = Trainer.step

    def interrupted(trainer: Trainer) -> Metrics:
        signal.raise_signal(signal.SIGINT)
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", interrupted)
    said = call(*TRAIN, "--iterations", "5", "--out", "run")
    assert said.code == 130
    assert said.out == (
        "stopped at iteration 1 of 5; go on with: "
        f"pliant train {CHEETAH} --out run --resume\n"
    )


def test_interrupt_outside_training(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["list"], "run", interrupted)
    assert call("list") == Said(130, "", "pliant: interrupted\n")


# -- mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "no command given; commands: bench, doctor, eval"),
        (["trian"], "unknown command 'trian'; commands: "),
        (["list", "--yaml"], "Unrecognized options: --yaml"),
        (["train"], "name the family first: pliant train FAMILY"),
        (["train", "--seed", "1", CHEETAH], "name the family first"),
        (["train", "strik"], "unknown family 'strik'; families: cheetah-direction, "),
        ([*TRAIN, "--tasks", "0"], "tasks must be at least 1, got 0"),
        ([*TRAIN, "--episodes", "-1"], "episodes must be at least 1, got -1"),
        ([*TRAIN, "--seed", "-1"], "seed and threads must be >= 0, got -1 and 1"),
        (
            [*TRAIN, "--tasks", "ten"],
            "Error parsing --tasks: invalid literal for int()",
        ),
        (
            [*TRAIN, "--tasks", "1.5"],
            "Error parsing --tasks: invalid literal for int()",
        ),
        ([*TRAIN, "--tasks"], "Missing value for argument '--tasks'"),
        ([*TRAIN, "--rate", "nan"], "Invalid learning rate: nan"),
        (
            [*TRAIN, "--rate", "-1"],
            "need inner_rate, inner_kl and unadapted >= 0, rate",
        ),
        ([*TRAIN, "--task", "3"], "Unrecognized options: --task, 3 Perhaps you meant"),
        ([*TRAIN, "extra"], "Unrecognized options: extra"),
        ([*TRAIN, "--family", "strike"], "Unrecognized options: --family"),
        ([*TRAIN, "--method", "ppo"], "invalid choice 'ppo' for argument '--method'"),
        ([*TRAIN, "--device", "cuda"], "device cuda: torch finds no CUDA device here"),
        ([*TRAIN, "--resume"], "no run to resume: there is no folder runs/cheetah"),
        ([*TRAIN, "--resume", "--overwrite"], "resume and overwrite exclude each oth"),
        ([*TRAIN, "--out", "/dev/null"], "/dev/null: "),
        ([*TRAIN, "--out", "/dev/null/run"], "/dev/null/run: Not a directory"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    call: Call, tmp_path: Path, argv: list[str], expected: str
) -> None:
    assert complaint(call(*argv)).startswith(expected)
    # the engine logs its own warnings into the working directory
    assert {p.name for p in tmp_path.iterdir()} <= {"MUJOCO_LOG.TXT"}


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_mistake_is_one_line_whatever_the_terminal_draws(encoding: str) -> None:
    root = str(Path(pliant.cli.main.__file__).parents[2])
    colours = {"PYTHONIOENCODING": encoding, "FORCE_COLOR": "1", "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, "-m", "pliant.cli.main", "list", "--jso"],
        env=os.environ | {"PYTHONPATH": root} | colours,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "pliant: Unrecognized options: --jso Perhaps you meant: --json Print"
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_an_existing_run_is_not_overwritten(call: Call, policy: Path) -> None:
    before = (policy / CHECKPOINT).read_bytes()
    said = call(*TRAIN, "--seed", "1", "--out", policy)
    assert complaint(said).startswith(f"{policy} holds a run already: --resume contin")
    assert (policy / CHECKPOINT).read_bytes() == before
    assert call(*TRAIN, "--seed", "1", "--out", policy, "--overwrite").code == 0
    assert (policy / CHECKPOINT).read_bytes() != before


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["strike"], "is of cheetah-direction, not strike"),
        ([CHEETAH, "--tasks", "2"], "was started with other values of tasks; only"),
        ([CHEETAH, "--method", "dr"], "was started with other values of method; on"),
    ],
)
def test_resume_as_another_run(
    call: Call, policy: Path, argv: list[str], expected: str
) -> None:
    said = call("train", *argv, "--out", policy, "--resume")
    assert expected in complaint(said)


def test_resume_from_a_damaged_checkpoint(call: Call, policy: Path) -> None:
    path = policy / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    metrics = (policy / METRICS).read_bytes()
    said = call("train", CHEETAH, "--out", policy, "--resume", "--iterations", "2")
    assert complaint(said) == f"{path} is corrupt: its checksum does not match"
    path.write_bytes(content[:100])
    said = call("train", CHEETAH, "--out", policy, "--resume", "--iterations", "2")
    assert complaint(said).startswith(f"{path} is truncated or no checkpoint: ")
    assert (policy / METRICS).read_bytes() == metrics


def test_full_disk(call: Call, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(meta.training.run, "save_checkpoint", full)
    said = call("train", CHEETAH, "--out", policy, "--resume", "--iterations", "2")
    line = said.err.splitlines()[-1]
    assert said.code == 2
    assert line == (
        f"pliant: {policy}: No space left on device; the last checkpoint is intact, "
        "continue with --resume"
    )


def test_divergence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(_: Trainer) -> Metrics:
        raise FloatingPointError("the meta-gradient's norm is nan")

    monkeypatch.setattr(Trainer, "step", diverged)
    assert "the meta-gradient's norm is nan" in complaint(call(*TRAIN))


def test_out_of_memory(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(_: Trainer) -> Metrics:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(Trainer, "step", greedy)
    assert complaint(call(*TRAIN)) == "not enough memory: Unable to allocate 7 TiB"


def test_out_of_the_devices_memory(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(_: Trainer) -> Metrics:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"
            " of 79.10 GiB of which 1.10 GiB is free."
        )

    monkeypatch.setattr(Trainer, "step", greedy)
    assert complaint(call(*TRAIN)) == (
        "not enough memory: CUDA out of memory. Tried to allocate 2.00 GiB"
    )


def test_a_closed_pipe_is_no_error() -> None:
    root = str(Path(pliant.cli.main.__file__).parents[2])
    unread, written = os.pipe()
    os.close(unread)
    done = subprocess.run(
        [sys.executable, "-m", "pliant.cli.main", "list", "--json"],
        env=os.environ | {"PYTHONPATH": root},
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


# -- evaluate, record, replay --------------------------------------------------------


@pytest.fixture
def refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `main` complains of, without having measured anything."""
    import meta.evaluation.evaluate
    import meta.recording.trajectory

    def never(*_: object) -> None:
        raise AssertionError("simulated in spite of the mistake")

    monkeypatch.setattr(meta.evaluation.evaluate, "Bench", never)
    monkeypatch.setattr(meta.recording.trajectory, "collect", never)
    return lambda *argv: complaint(call(*argv))


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("evaluate", "name at least one policy: pliant evaluate POLICY..."),
        ("evaluate shipped:x", "no shipped policy 'x'; shipped: cheetah-direction"),
        ("evaluate x", "no policy at 'x': give a run folder"),
        (
            "evaluate shipped:strike --beside shipped:reach-rotated-dr",
            "policy and baselin",
        ),
        (
            "evaluate shipped:strike --beside shipped:strike",
            "shipped:strike was trained",
        ),
        ("evaluate shipped:strike --split new", "family 'strike' has no split 'new'"),
        ("evaluate shipped:strike --episodes -1", "episodes to adapt on must be"),
        ("evaluate shipped:strike --episodes 1,b", "--episodes takes whole numbers"),
        ("evaluate shipped:strike --tasks 0", "tasks and measured episodes must be"),
        ("evaluate shipped:strike --seed -1", "seed and threads must be >= 0, got -1"),
        ("evaluate shipped:strike --json no/x", "no/x: No such file or directory"),
        ("evaluate shipped:strike --report /dev/null", "/dev/null: Not a directory"),
        ("evaluate shipped:strike --device cuda", "device cuda: torch finds no CUDA"),
        ("record", "Missing from pliant record"),
        ("record shipped:x", "no shipped policy 'x'"),
        ("record shipped:strike --split new", "family 'strike' has no split 'new'"),
        ("record shipped:strike --seed -1", "need seed >= 0 and adapt_episodes >= 1"),
        ("record shipped:strike --out no/x", "no/x: No such file or directory"),
        ("record shipped:strike --out .", ".: Is a directory"),
        ("replay", "Missing from pliant replay"),
        ("replay x.npz", "x.npz: No such file or directory"),
        ("replay x.npz --mp4 x.avi", "--mp4 takes a file name ending in .mp4, got x.a"),
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
        f"no dr baseline ships for {CHEETAH}; train one with: "
        f"pliant train {CHEETAH} --method dr, then give --beside FOLDER"
    )


def test_evaluate_a_run_beside_its_own_baselines(
    call: Call, policy: Path, tmp_path: Path
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


def test_record_and_replay(
    call: Call, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = call("record", policy, "--adapt-episodes", "2")
    name = f"{CHEETAH}-held-out-0.npz"
    assert said.code == 0
    assert said.out.startswith(f"recorded {name}: return ")
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(display, raising=False)
    assert "no display" in complaint(call("replay", name))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert complaint(call("replay", name)).startswith(f"{name} is truncated or no rec")


def test_export(call: Call, policy: Path, tmp_path: Path) -> None:
    run = f"shipped:{CHEETAH}"
    out = tmp_path / "own.safetensors"
    assert call("export", run, out).out.startswith("wrote ")
    assert load_trained(str(out)).checksum == load_trained(run).checksum
    assert complaint(call("export", run, "own.npz")).startswith("the policy becomes a ")
    missing = tmp_path / "none" / "own.safetensors"
    assert complaint(call("export", run, missing)).startswith(str(missing))
    assert complaint(call("export", "nowhere", out)).startswith("no policy at 'nowh")
    assert load_trained(str(out)).iteration == load_trained(run).iteration


# -- doctor --------------------------------------------------------------------------


def test_doctor_prints_a_line_a_finding(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Finding(status="ok", text="fine"),
        Finding(status="warn", text="slow", cure="wait"),
    ]
    monkeypatch.setattr(pliant.cli.doctor, "_findings", lambda _: iter(found))
    assert call("doctor") == Said(0, "ok   fine\nwarn slow: wait\n", "")
    found.append(Finding(status="fail", text="broken", cure="mend it"))
    said = call("doctor")
    assert (said.code, said.out.splitlines()[-1]) == (2, "fail broken: mend it")


def test_doctor_measures(call: Call) -> None:
    finding = check_speed(0.1)
    assert "env steps/s with 64 worlds" in finding.text


def test_doctor_sees_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "new" / "runs").status == "ok"
    assert list(tmp_path.iterdir()) == []
    finding = check_folder(Path("/proc/runs"))
    assert finding.status == "fail"
    assert finding.cure


def test_doctor_survives_a_broken_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    finding = check_rendering()
    assert finding.status == "warn"
    assert "install EGL" in finding.cure

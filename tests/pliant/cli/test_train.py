"""`pliant train`: what it makes of its options, and how a run can end."""

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import meta.training.run
from meta.learner import Metrics
from meta.recipes.registry import make_config
from meta.training.config import replaced
from meta.training.run import CONFIG, METRICS
from meta.training.trained import CHECKPOINT, load_trained
from meta.training.trainer import Trainer
from pliant.cli.train import _parse, _with_few

CHEETAH = "cheetah-direction"
TINY = ["--tasks=1", "--episodes=2", "--hidden", "3", "--threads=1", "--iterations=1"]
TRAIN = ["train", CHEETAH, *TINY]
Call = Callable[..., Any]
Complaint = Callable[[Any], str]


def test_help_of_train_shows_the_defaults_of_family_and_method(call: Call) -> None:
    shown = call("train", CHEETAH, "--method", "dr", "--help").out
    assert "cheetah-direction with dr" in " ".join(shown.split())
    assert "(default: dr)" in shown
    assert "--family" not in shown


def test_help_of_train_shows_the_defaults_of_flags_that_are_on_or_off(
    call: Call,
) -> None:
    shown = call("train", CHEETAH, "--help").out
    by_name = {o.split()[0]: " ".join(o.split()) for o in shown.split("\n  --")}
    assert "(default: True)" in by_name["learn-rates,"]
    assert "(default: False)" in by_name["first-order,"]
    assert "default" not in by_name["resume"]
    assert "default" not in by_name["overwrite"]


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


def test_train_and_what_next(call: Call, tmp_path: Path) -> None:
    said = call(*TRAIN, "--seed", "7")
    folder = Path("runs") / f"{CHEETAH}-maml-seed7"
    assert said.code == 0
    assert said.out.startswith(f"1 iteration in {folder}; next: pliant evaluate ")
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


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["train"], "name the family first: pliant train FAMILY"),
        (["train", "--seed", "1", CHEETAH], "name the family first"),
        (
            ["train", "strik"],
            "unknown family 'strik'; did you mean strike? `pliant list",
        ),
        (
            ["train", "points.py"],
            "unknown family 'points.py'; `pliant list` shows all, and one of yours",
        ),
        ([*TRAIN, "--tasks", "0"], "need 1 <= tasks <= 1,048,576, got 0"),
        ([*TRAIN, "--episodes", "-1"], "need 1 <= episodes <= 1,048,576, got -1"),
        (
            [*TRAIN, "--seed", "-1"],
            "need 0 <= seed < 9,223,372,036,854,775,808, got -1",
        ),
        (
            [*TRAIN, "--tasks", "ten"],
            "Error parsing --tasks: invalid literal for int()",
        ),
        (
            [*TRAIN, "--tasks", "1.5"],
            "Error parsing --tasks: invalid literal for int()",
        ),
        ([*TRAIN, "--tasks"], "Missing value for argument '--tasks'"),
        ([*TRAIN, "--rate", "nan"], "need rate > 0, got nan"),
        (
            [*TRAIN, "--rate", "-1"],
            "need rate > 0, got -1.0",
        ),
        (
            [*TRAIN, "--task", "3"],
            "Unrecognized options: --task, 3; did you mean --tasks?",
        ),
        ([*TRAIN, "extra"], "Unrecognized options: extra"),
        ([*TRAIN, "--family", "strike"], "Unrecognized options: --family"),
        ([*TRAIN, "--method", "ppo"], "unknown method 'ppo'; methods: maml, "),
        ([*TRAIN, "--method=oracel"], "unknown method 'oracel'; did you mean oracle? "),
        (
            [*TRAIN, "--method", "maml-plain", "--learned-advantage"],
            "--learned-advantage is of --method maml, not of others",
        ),
        (
            [*TRAIN, "--method", "dr-memory", "--learned-advantage"],
            "--learned-advantage is of --method maml, not of others",
        ),
        ([*TRAIN, "--inner-steps", "0"], "with --inner-steps 0 maml never adapts: tha"),
        (
            [*TRAIN, "--critic", "all"],
            "critic all is about teams, and family cheetah-direction has one robot: ",
        ),
        (
            [*TRAIN, "--method", "explore", "--critic", "all"],
            "critic all is about teams",
        ),
        (
            [*TRAIN, "--roles", "own"],
            "roles own is about teams, and family cheetah-direction has one robot: lea",
        ),
        ([*TRAIN, "--device", "cuda"], "device cuda: torch finds no CUDA device here"),
        ([*TRAIN, "--resume"], "no run to resume in runs/cheetah"),
        ([*TRAIN, "--resume", "--overwrite"], "--resume and --overwrite exclude each"),
        ([*TRAIN, "--out", "/dev/null"], "/dev/null: "),
        ([*TRAIN, "--out", "/dev/null/run"], "/dev/null/run: Not a directory"),
        (
            [*TRAIN, "--resume", "--out", __file__],
            f"{__file__} is a file, and a run is kept in a folder: name that of the "
            "run (--out); a file alone cannot be trained on",
        ),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    call: Call, complaint: Complaint, tmp_path: Path, argv: list[str], expected: str
) -> None:
    assert complaint(call(*argv)).startswith(expected)
    # the engine logs its own warnings into the working directory
    assert {p.name for p in tmp_path.iterdir()} <= {"MUJOCO_LOG.TXT"}


def test_a_mistake_points_to_the_help_of_its_method(
    call: Call, complaint: Complaint
) -> None:
    said = complaint(call(*TRAIN, "--method", "rl2", "--outer-baseline", "network"))
    assert said.endswith(f"see pliant train {CHEETAH} --method rl2 --help")
    assert complaint(call(*TRAIN, "extra")).endswith(
        f"see pliant train {CHEETAH} --help"
    )


def test_an_existing_run_is_not_overwritten(
    call: Call, complaint: Complaint, policy: Path
) -> None:
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
        ([CHEETAH, "--clip", "0.1"], "was started with other values of clip; only"),
    ],
)
def test_resume_as_another_run(
    call: Call, complaint: Complaint, policy: Path, argv: list[str], expected: str
) -> None:
    said = call("train", *argv, "--out", policy, "--resume")
    assert expected in complaint(said)


def test_resume_from_a_damaged_checkpoint(
    call: Call, complaint: Complaint, policy: Path
) -> None:
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


def test_divergence(
    call: Call, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(_: Trainer) -> Metrics:
        raise FloatingPointError("the meta-gradient's norm is nan")

    monkeypatch.setattr(Trainer, "step", diverged)
    assert "the meta-gradient's norm is nan" in complaint(call(*TRAIN))


def test_out_of_memory(
    call: Call, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(_: Trainer) -> Metrics:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(Trainer, "step", greedy)
    assert complaint(call(*TRAIN)) == "not enough memory: Unable to allocate 7 TiB"


def test_out_of_the_devices_memory(
    call: Call, complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(_: Trainer) -> Metrics:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"
            " of 79.10 GiB of which 1.10 GiB is free."
        )

    monkeypatch.setattr(Trainer, "step", greedy)
    assert complaint(call(*TRAIN)) == (
        "not enough memory: CUDA out of memory. Tried to allocate 2.00 GiB"
    )


@pytest.mark.parametrize(
    ("method", "episodes", "adapting"),
    [
        ("maml", 2, (1, 2)),
        ("maml", 4, (1, 2, 3)),
        ("explore", 2, (1, 2)),
        ("dr", 2, ()),
    ],
)
def test_fewer_episodes_than_by_default_are_adapted_on(
    method: str, episodes: int, adapting: tuple[int, ...]
) -> None:
    cfg = make_config("strike", method)
    found = replaced(cfg, {"episodes": episodes})
    assert found.learner.adapt_episodes == adapting
    argv = ["--episodes", str(episodes), "--method", method]
    asked = _parse(_with_few(cfg, argv), argv, "strike")
    assert asked.cfg == found


def test_no_episodes_at_all_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"need 1 <= episodes <= .*, got 0"):
        replaced(make_config("strike"), {"episodes": 0})

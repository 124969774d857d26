"""Checkpoints: what is saved is what is loaded, and anything else is refused."""

import errno
import json
import os
import pickle
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from meta.learners.maml_cfg import MamlCfg
from meta.machine.files import write_atomically
from meta.recipes.registry import make_config
from meta.registry import METHODS
from meta.training.build import make_trainer, make_training
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import TrainCfg, replaced
from meta.training.format import parse_config, seal
from meta.training.trained import (
    CHECKPOINT,
    checkpoint_config,
    checksum,
    export_policy,
    load_trained,
)
from meta.training.trainer import Trainer

TINY = TrainCfg(
    family="cheetah-direction",
    method="maml",
    iterations=2,
    tasks=1,
    episodes=2,
    hidden=(3,),
    threads=1,
)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    trained = make_trainer(TINY)
    trained.step()
    return trained


@pytest.fixture(scope="module")
def whole(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / CHECKPOINT
    save_checkpoint(path, trainer)
    return path.read_bytes()


@pytest.fixture
def path(whole: bytes, tmp_path: Path) -> Path:
    path = tmp_path / CHECKPOINT
    path.write_bytes(whole)
    return path


def test_round_trip(path: Path, trainer: Trainer) -> None:
    loaded = load_trained(str(path))
    assert loaded.cfg == checkpoint_config(path) == TINY
    assert (loaded.iteration, loaded.env_steps) == (1, trainer.env_steps)
    assert loaded.theta.keys() == trainer.theta.keys()
    for name, value in trainer.theta.items():
        assert torch.equal(loaded.theta[name], value), name
        assert loaded.theta[name].dtype == value.dtype, name


def test_resume_restores_the_optimiser(path: Path, trainer: Trainer) -> None:
    resumed = resume_trainer(path)
    saved = trainer.optimizer.state_dict()["state"]
    state = resumed.optimizer.state_dict()["state"]
    assert saved.keys() == state.keys() != set()
    for index, entry in saved.items():
        for name, value in entry.items():
            assert torch.equal(state[index][name], value), (index, name)


def test_a_folder_names_its_checkpoint(path: Path) -> None:
    assert load_trained(str(path.parent)).iteration == 1


def test_loading_twice_gives_independent_tensors(path: Path) -> None:
    first, second = load_trained(str(path)), load_trained(str(path))
    name = next(k for k in first.theta if k.startswith("policy/"))
    first.theta[name].zero_()
    assert second.theta[name].any()


def test_an_exported_policy_is_the_policy_but_does_not_resume(
    tmp_path: Path, path: Path, whole: bytes
) -> None:
    run, path = path, tmp_path / "policy.safetensors"
    export_policy(str(run), path)
    assert path.stat().st_size < 0.6 * len(whole)
    policy, exported = load_trained(str(run)), load_trained(str(path))
    assert (exported.cfg, exported.iteration) == (policy.cfg, policy.iteration)
    assert exported.env_steps == policy.env_steps
    assert exported.theta.keys() == policy.theta.keys()
    assert all(torch.equal(exported.theta[k], v) for k, v in policy.theta.items())
    again = tmp_path / "again.safetensors"
    export_policy(str(path), again)
    assert checksum(again) == checksum(path)
    with pytest.raises(ValueError, match="holds a policy only and cannot be resumed"):
        resume_trainer(path)


def test_an_exported_policy_has_no_value_network(tmp_path: Path) -> None:
    robust = replace(TINY, method="dr-sb3", learner=MamlCfg(inner_steps=0))
    run, path = tmp_path / CHECKPOINT, tmp_path / "policy.safetensors"
    save_checkpoint(run, make_training(robust))
    export_policy(str(run), path)
    before, after = (load_file(p).keys() for p in (run, path))
    assert any(name.startswith("theta/critic/") for name in before)
    assert {name.partition("/")[0] for name in after} == {"theta"}
    assert not any("critic" in name for name in after)


@pytest.mark.parametrize(
    ("method", "roles"),
    [("oracle", "shared"), ("oracle", "own"), ("explore", "shared"), ("rma", "own")],
)
def test_an_exported_policy_has_no_critic(
    tmp_path: Path, method: str, roles: str
) -> None:
    asked = {"tasks": 2, "episodes": 1, "hidden": (3,), "threads": 1, "roles": roles}
    asked |= {"adapt_episodes": (1,), "outer_baseline": "network"}
    cfg = replaced(make_config("shove", method), asked)
    run, path = tmp_path / CHECKPOINT, tmp_path / "policy.safetensors"
    save_checkpoint(run, make_training(cfg))
    export_policy(str(run), path)
    before, after = load_trained(str(run)), load_trained(str(path))
    left = before.theta.keys() - after.theta.keys()
    named = {name.split("/")[-2] for name in left}
    assert named == {"critic", "worth"}
    assert all(torch.equal(before.theta[k], v) for k, v in after.theta.items())
    with pytest.raises(ValueError, match="holds a policy only and cannot be resumed"):
        resume_trainer(path)


# -- damaged files -------------------------------------------------------------------


def refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        load_trained(str(path))
    except ValueError as error:
        # the message names the file
        return str(path) in str(error)
    return False


def test_every_truncation_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / CHECKPOINT
    lengths = {0, 1, 7, 8, 9, 100, len(whole) - 1}
    lengths |= {len(whole) * i // 40 for i in range(40)}
    for length in sorted(lengths):
        assert refused(path, whole[:length]), length


def test_appended_bytes_are_refused(tmp_path: Path, whole: bytes) -> None:
    assert refused(tmp_path / CHECKPOINT, whole + b"\0")


def test_every_bit_flip_is_refused(tmp_path: Path, whole: bytes) -> None:
    """All of them in the header by chance, and in the tensors by chance."""
    path = tmp_path / CHECKPOINT
    header = 8 + int.from_bytes(whole[:8], "little")
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    places = [*range(8), *rng.sample(range(8, header), 250)]
    places += rng.sample(range(header, len(whole)), 100)
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        assert refused(path, bytes(flipped)), f"seed {seed}, byte {place}"


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('iteration":"1"', 'iteration":"7"'),
        ('env_steps":"400"', 'env_steps":"800"'),
        (r"\"seed\": 0", r"\"seed\": 1"),
        (r"\"rate\": 0.001", r"\"rate\": 0.009"),
    ],
)
def test_changed_metadata_is_refused(
    tmp_path: Path, whole: bytes, said: str, instead: str
) -> None:
    assert said.encode() in whole
    content = whole.replace(said.encode(), instead.encode())
    path = tmp_path / CHECKPOINT
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is corrupt: its checksum does not match"):
        load_trained(str(path))


def test_swapped_tensors_are_refused(tmp_path: Path, trainer: Trainer) -> None:
    """A checksum over contents in order of name sees which tensor holds them."""
    a, b = torch.zeros(2), torch.ones(2)
    assert seal({"a": a, "b": b}, {}) != seal({"a": b, "b": a}, {})
    assert seal({"a": torch.zeros(4)}, {}) != seal({"a": torch.zeros(2, 2)}, {})


# -- other files ---------------------------------------------------------------------


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="has format None, expected pliant-1 or"):
        load_trained(str(path))


def test_no_pickle_is_ever_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.mkdir, (tmp_path / "exploded",)

    path = tmp_path / "policy.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="truncated or no checkpoint"):
        load_trained(str(path))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("spec", ["missing", "missing.safetensors", "."])
def test_nothing_there(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"no policy at '{spec}': give a run folder"):
        load_trained(spec)


@pytest.mark.parametrize("name", ["shipped:nonsense", "shipped:", "shipped:../../x"])
def test_unknown_shipped_policy(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"no shipped policy .*; (did you mean|see pliant list)"
    ):
        load_trained(name)


def test_a_checkpoint_of_another_size_does_not_fit(path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit its configuration"):
        resume_trainer(path, replace(TINY, hidden=(4,)))


# -- configurations ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["cheetah-direction", "strike", "reach-rotated"])
def test_configuration_survives_json(family: str, method: str) -> None:
    cfg = make_config(family, method)
    assert parse_config(json.dumps(asdict(cfg))) == cfg


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting"),
        ("[]", "not a training configuration"),
        ("{}", "not a training configuration"),
        ('{"learner": 3}', "not a training configuration"),
        ('{"method": "maml", "learner": {"magic": 1}}', "unknown settings: magic"),
        ('{"method": "magic", "learner": {}}', "unknown method 'magic'"),
        ('{"learner": {}}', "not a training configuration"),
    ],
)
def test_configuration_that_is_none(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_config(text)


def test_configuration_with_a_number_as_text() -> None:
    raw = asdict(TINY) | {"tasks": "many"}
    with pytest.raises(ValueError, match="not a training configuration"):
        parse_config(json.dumps(raw))


# -- writing -------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = os if failing == "fsync" else Path
    monkeypatch.setattr(target, failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == [CHECKPOINT]


def test_an_interrupted_write_leaves_the_old_file(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == whole


def test_files_are_as_readable_as_others(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode

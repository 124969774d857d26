"""Recordings: what is saved is what is loaded, and it is what was simulated."""

import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from meta.learners.maml_cfg import MamlCfg
from meta.recording.replay import verify, world_of
from meta.recording.taping import record
from meta.recording.trajectory import Recording, load_recording
from meta.training.build import make_learner
from meta.training.config import TrainCfg
from meta.training.trained import Trained, load_trained
from tasks.env import Env
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.registry import FAMILIES, make_family

ARRAYS = ("states", "controls", "actions", "rewards")
K = 2


def make_trained(family: str, method: str = "maml") -> Trained:
    """A policy that was never trained, but acts."""
    cfg = TrainCfg(
        family=family,
        method=method,  # pyright: ignore[reportArgumentType]
        learner=MamlCfg(inner_steps=int(method == "maml")),
        iterations=1,
        tasks=1,
        episodes=2,
        hidden=(4,),
    )
    made = make_family(family)
    env = Env(made, worlds=made.team, oracle=method == "oracle", threads=1)
    learner = make_learner(cfg)
    theta = learner.initial(env.obs_dim)
    rng = torch.Generator().manual_seed(1)
    for name, value in theta.items():
        if name.startswith("policy/mean"):
            value += 0.5 * torch.randn(value.shape, generator=rng)
    return Trained(
        cfg=cfg, learner=learner, theta=theta, iteration=1, env_steps=1, source="here"
    )


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(make_trained("strike"), seed=3, adapt_episodes=K)


@pytest.fixture
def path(recording: Recording, tmp_path: Path) -> Path:
    path = tmp_path / "one.npz"
    recording.save(path)
    return path


def same(one: Recording, other: Recording) -> bool:
    about = [(r.task, r.model_hash, r.policy) for r in (one, other)]
    return about[0] == about[1] and all(
        all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ARRAYS)
        and (a.success, a.adapt_episodes, a.seed)
        == (b.success, b.adapt_episodes, b.seed)
        for a, b in zip(one.episodes, other.episodes, strict=True)
    )


def changed(recording: Recording, **arrays: Any) -> Recording:
    return replace(recording, after=replace(recording.after, **arrays))


@pytest.fixture(scope="module", params=["step", "ramp"])
def of_a_change(request: pytest.FixtureRequest) -> Recording:
    trained = make_trained("reach-rotated")
    return record(trained, seed=2, adapt_episodes=K, change=request.param)


def test_a_change_is_recorded_and_simulated_again(
    of_a_change: Recording, tmp_path: Path
) -> None:
    """Bit for bit, and not without the change."""
    of_a_change.save(tmp_path / "one.npz")
    loaded = load_recording(tmp_path / "one.npz")
    assert same(loaded, of_a_change)
    assert loaded.changes == of_a_change.changes
    assert len(loaded.changes) in (1, 12)
    assert loaded.changes[max(loaded.changes)] != loaded.task
    assert verify(loaded) == 0


def test_a_change_of_a_team_mate_is_simulated_again() -> None:
    made = record(load_trained("shipped:shove-dr"), change="step")
    assert len(made.changes) == 1
    assert verify(made) == 0
    assert verify(replace(made, changes={})) > 1e-3


def test_a_change_of_friction_is_simulated_again() -> None:
    """Friction is in the model, where reach-rotated changes the control alone."""
    made = record(load_trained("shipped:drive-slide-dr"), change="ramp")
    assert verify(made) == 0
    assert verify(replace(made, changes={})) > 1e-3


# -- recording -----------------------------------------------------------------------


def test_round_trip(path: Path, recording: Recording) -> None:
    assert same(load_recording(path), recording)
    recording.save(str(path))
    assert same(load_recording(path), recording)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_replays_bit_for_bit(family: str, tmp_path: Path) -> None:
    made = record(make_trained(family), split="extrapolation", adapt_episodes=K)
    made.save(tmp_path / "it.npz")
    loaded = load_recording(tmp_path / "it.npz")
    assert verify(loaded) == 0
    for e in loaded.episodes:
        assert 1 < len(e.rewards) <= make_family(family).horizon
        assert e.states[:, 1:].std(axis=0).any(), "nothing moved"


def test_episodes_are_those_of_the_environment(recording: Recording) -> None:
    env = Env(make_family(recording.task.family), worlds=1, threads=1)
    env.assign([recording.task])
    for e in recording.episodes:
        env.reset(torch.Generator().manual_seed(e.seed))
        step = None
        for i, action in enumerate(e.actions):
            step = env.step(torch.tensor(action[None], dtype=torch.float32))
            assert step.reward.item() == e.rewards[i]
            assert env.sim.state().tobytes() == e.states[i + 1].tobytes()  # pyright: ignore
        assert step is not None
        assert step.success.item() == e.success


def test_a_team_is_recorded_whole() -> None:
    """The actions of its agents side by side, and the mean of their rewards."""
    made = record(make_trained("shove"), adapt_episodes=K)
    family = make_family("shove")
    env = Env(family, worlds=2, threads=1)
    env.assign(family.of_team(made.task))
    env.reset(torch.Generator().manual_seed(made.after.seed))
    for action, reward in zip(made.after.actions, made.after.rewards, strict=True):
        step = env.step(torch.tensor(action[:, None], dtype=torch.float32))
        assert float(step.reward.mean()) == pytest.approx(reward, abs=1e-7)
    assert made.after.actions.shape == (family.horizon, 2)
    assert np.ptp(made.after.actions[0]) > 0


def test_the_policy_acts_by_its_mean(recording: Recording) -> None:
    trained = make_trained("strike")
    act = trained.learner.act(trained.theta, trained.learner.begin(trained.theta, 1))
    env = Env(make_family("strike"), worlds=1, threads=1)
    env.assign([recording.task])
    obs = env.reset(torch.Generator().manual_seed(recording.before.seed))
    for action in recording.before.actions:
        mean = act(obs).mean
        assert np.array_equal(mean[0].detach().double().numpy(), action)
        obs = env.step(mean.detach()).obs


def test_before_and_after_differ_from_the_same_start(recording: Recording) -> None:
    before, after = recording.episodes
    assert np.array_equal(before.states[0], after.states[0])
    assert not np.array_equal(before.actions, after.actions)
    assert (before.adapt_episodes, after.adapt_episodes) == (0, K)


def test_the_same_seed_gives_the_same_recording(recording: Recording) -> None:
    trained = make_trained("strike")
    assert same(record(trained, seed=3, adapt_episodes=K), recording)
    other = record(trained, seed=4, adapt_episodes=K, task=recording.task)
    assert other.task == recording.task
    assert not np.array_equal(other.before.states[0], recording.before.states[0])


@pytest.mark.parametrize("method", ["dr", "oracle"])
def test_a_policy_that_does_not_adapt_gives_one_episode_twice(method: str) -> None:
    made = record(make_trained("cheetah-direction", method))
    assert [e.adapt_episodes for e in made.episodes] == [0, 0]
    assert np.array_equal(made.before.states, made.after.states)
    assert verify(made) == 0


class Diverging(CheetahDirection):
    """A cheetah that its motors tear apart."""

    name = "diverging"

    def compile(self) -> mujoco.MjModel:
        model = super().compile()
        model.actuator_gear[:] *= 1e9
        return model


def test_an_episode_that_a_fault_ends_replays_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, Diverging.name, Diverging)
    made = record(make_trained(Diverging.name), adapt_episodes=K)
    steps = len(made.before.rewards)
    assert 0 < steps < Diverging.horizon
    assert len(made.before.states) == steps + 1
    assert not made.before.success
    # that of the last step too, though the frozen state has the one before
    assert np.array_equal(made.before.controls, made.before.actions.clip(-1, 1))
    assert verify(made) == 0


def test_what_cannot_be_recorded_is_refused() -> None:
    trained = make_trained("cheetah-direction")
    with pytest.raises(ValueError, match="need 1 <= adapt_episodes <= 10,000, got 0"):
        record(trained, adapt_episodes=0)
    with pytest.raises(ValueError, match=r"need 0 <= seed < .*, got -1"):
        record(trained, seed=-1)
    with pytest.raises(ValueError, match="no split 'nowhere'"):
        record(trained, split="nowhere")
    [strange] = make_family("reach-rotated").sample("train", 0, 1)
    with pytest.raises(ValueError, match="tasks of reach-rotated"):
        record(trained, task=strange)


# -- replaying another thing than was recorded ---------------------------------------


@pytest.mark.parametrize("name", ["states", "controls"])
def test_a_changed_number_is_found(name: str, recording: Recording) -> None:
    array = getattr(recording.after, name).copy()
    array[4, 2] += 1e-9
    assert 0 < verify(changed(recording, **{name: array})) < 1e-3


def test_a_changed_start_is_found(recording: Recording) -> None:
    states = recording.after.states.copy()
    states[0, 2] += 1e-9
    assert verify(changed(recording, states=states)) > 0


def test_another_world_is_refused(recording: Recording) -> None:
    with pytest.raises(ValueError, match="not the one that was recorded"):
        verify(replace(recording, model_hash="0" * 64))
    name = "mass"
    parameters = {**recording.task.parameters, name: 0.5}
    task = replace(recording.task, parameters=parameters)
    with pytest.raises(ValueError, match="not the one that was recorded"):
        world_of(replace(recording, task=task))


def test_other_substeps_are_another_world(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = FAMILIES[recording.task.family]
    monkeypatch.setattr(kind, "substeps", kind.substeps + 1)
    with pytest.raises(ValueError, match="not the one that was recorded"):
        verify(recording)


def test_states_of_another_size_are_refused(recording: Recording) -> None:
    with pytest.raises(ValueError, match="a state and a control of strike have"):
        verify(changed(recording, states=recording.after.states[:, :-1]))


# -- damaged files -------------------------------------------------------------------


def refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        load_recording(path)
    except ValueError as error:
        # one line that names the file
        return str(error).startswith(str(path)) and "\n" not in str(error)
    return False


def test_every_truncation_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for size in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        assert refused(path, whole[:size]), size


def test_a_flipped_bit_is_refused_or_harmless(path: Path, recording: Recording) -> None:
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(100):
        spoilt = bytearray(whole)
        spoilt[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        # what the format does not read, such as a date, may differ
        assert refused(path, bytes(spoilt)) or same(load_recording(path), recording)


def test_other_files_are_refused(path: Path) -> None:
    array, pickled, other = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3))
    np.savez(pickled, about=np.array([{}], dtype=object))
    np.savez(other, about=np.array("{}"))
    for content in (array, pickled, other):
        assert refused(path, content.getvalue())
    assert refused(path, b"")
    assert refused(path, b"PK\x03\x04 no zip")


Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def spoil(path: Path, change: Change) -> bytes:
    """The file with its arrays and its metadata changed, and whole otherwise."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays.pop("about").item())
    change(arrays, about)
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **arrays)
    return content.getvalue()


SPOILT: dict[str, Change] = {
    "no states": lambda arrays, about: arrays.pop("before_states"),
    "too few states": lambda arrays, about: arrays.update(
        before_states=arrays["before_states"][:-1]
    ),
    "not finite": lambda arrays, about: arrays["after_rewards"].fill(np.nan),
    "integers": lambda arrays, about: arrays.update(
        after_rewards=arrays["after_rewards"].astype(int)
    ),
    "another shape": lambda arrays, about: arrays.update(
        after_controls=arrays["after_controls"][..., None]
    ),
    "nothing": lambda arrays, about: arrays.update(
        {k: v[:0] for k, v in arrays.items() if k.startswith("before")}
    ),
    "another format": lambda arrays, about: about.update(format="pliant-recording-0"),
    "no episode": lambda arrays, about: about.pop("after"),
    "no task": lambda arrays, about: about.update(task="{}"),
    "another family": lambda arrays, about: about.update(
        task=about["task"].replace("strike", "juggle")
    ),
    "another task": lambda arrays, about: about.update(
        task=about["task"].replace('"mass": ', '"mass": 1')
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_an_invalid_recording_is_refused(what: str, path: Path) -> None:
    assert not refused(path, spoil(path, lambda arrays, about: None))
    assert refused(path, spoil(path, SPOILT[what]))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_recording(tmp_path / "none.npz")


def test_a_state_of_another_size_cannot_be_set(recording: Recording) -> None:
    _, sim = world_of(recording)
    with pytest.raises(ValueError, match=r"state takes values of shape \(1, "):
        sim.set_state(recording.after.states[:2])

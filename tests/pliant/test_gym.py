"""The families as Gymnasium and its users see them."""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import (
    NormalizeObservation,
    RecordEpisodeStatistics,
    RecordVideo,
)
from stable_baselines3.common.env_checker import check_env as check_sb3

from pliant.gym import TaskEnv, TaskVectorEnv
from tasks.env import Env
from tasks.registry import FAMILIES, make_family

IDS = sorted(i for i in gymnasium.registry if str(i).startswith("pliant/"))
STRIKE = "pliant/Strike-v0"


def test_every_family_is_registered() -> None:
    assert len(IDS) == sum(not kind.agents for kind in FAMILIES.values())
    assert {STRIKE, "pliant/ReachRotated-v0", "pliant/CheetahDirection-v0"} <= set(IDS)


# what an observation may be at most nobody knows, as in Gymnasium's own of MuJoCo
@pytest.mark.filterwarnings("ignore:.*A Box observation space m")
@pytest.mark.parametrize("name", IDS)
def test_the_checkers_of_gymnasium_and_stable_baselines_pass(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=name != STRIKE)
    check_sb3(env.unwrapped, warn=False)
    env.close()


def test_one_world_is_the_batch_of_one() -> None:
    env = TaskEnv("strike", split="unseen")
    obs, info = env.reset(seed=3)
    assert env.task.split == "unseen"
    twin = Env(make_family("strike"), worlds=1, threads=1)
    twin.assign([twin.family.parse(info["task"])])
    # only the task is shared: the state is drawn anew
    state, _ = env.reset(seed=3)
    assert np.array_equal(obs, state)
    again, _ = env.reset(options={"task": info["task"]})
    assert env.task.to_json() == info["task"]
    assert not np.array_equal(obs, again)
    env.reset(seed=5, options={"task": env.task})
    total, steps, truncated = 0.0, 0, False
    while not truncated:
        _, reward, terminated, truncated, info = env.step(np.full(2, 0.5, np.float32))
        total, steps = total + reward, steps + 1
        assert not terminated
    assert steps == twin.horizon
    assert {"is_success", "term_near", "term_placed"} <= set(info)
    assert 0 < total < 2


def test_each_reset_draws_another_task_and_a_seed_decides_all() -> None:
    def hashes(env: TaskEnv) -> list[str]:
        env.reset(seed=7)
        return [env.task.hash, *(env.reset() and env.task.hash for _ in range(3))]

    first, second = (hashes(TaskEnv("reach-rotated")) for _ in range(2))
    assert first == second
    assert len(set(first)) == 4


def test_a_picture_shows_the_world_of_the_task() -> None:
    env = TaskEnv("strike", render_mode="rgb_array")
    pictures: list[np.ndarray] = []
    for split in ("train", "unseen"):
        [task] = make_family("strike").sample(split, 1, 1)
        env.reset(seed=0, options={"task": task})
        picture = env.render()
        assert picture is not None
        assert picture.shape == (480, 640, 3)
        assert picture.std() > 10
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).mean() > 0.001
    env.close()
    assert TaskEnv("strike").render() is None


def test_many_worlds_each_with_its_own_task() -> None:
    env = gymnasium.make_vec(
        "pliant/ReachRotated-v0", num_envs=3, threads=1, autoreset_mode="SAME_STEP"
    )
    assert isinstance(env, TaskVectorEnv)
    obs, _ = env.reset(seed=1)
    assert obs in env.observation_space
    before = [task.hash for task in env.tasks]
    assert len(set(before)) == 3
    info: dict[str, np.ndarray] = {}
    horizon = FAMILIES["reach-rotated"].horizon  # pyright: ignore
    for t in range(horizon):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert reward.shape == (3,)
        assert not terminated.any()
        assert truncated.tolist() == [t == horizon - 1] * 3
    # the last observation of the episode, then the first of the next
    assert [last[-1] for last in info["final_obs"]] == [1.0] * 3
    assert info["_final_obs"].tolist() == [True] * 3
    assert obs[:, -1].tolist() == [-1.0] * 3
    assert not set(before) & {task.hash for task in env.tasks}
    tasks = make_family("reach-rotated").sample("held-out", 0, 3)
    env.reset(options={"tasks": [tasks[0], tasks[1].to_json(), tasks[2]]})
    assert [t.hash for t in env.tasks] == [t.hash for t in tasks]


def test_one_world_and_many_move_alike() -> None:
    [task] = make_family("strike").sample("held-out", 2, 1)
    one, many = TaskEnv("strike"), TaskVectorEnv("strike", 2, threads=1)
    first, _ = one.reset(seed=0, options={"task": task})
    both, _ = many.reset(seed=0, options={"tasks": [task, task]})
    # each draws its own states: put the one where the first of many is
    state = many._stream.env.sim.state()[:1]  # pyright: ignore
    one._stream.env.sim.set_state(state)  # pyright: ignore
    action = np.full(2, 0.8, np.float32)
    assert first.shape == both[0].shape
    for _ in range(5):
        lone, reward, *_ = one.step(action)
        batch, rewards, *_ = many.step(np.stack([action, -action]))
        torch.testing.assert_close(torch.from_numpy(lone), torch.from_numpy(batch[0]))
        assert reward == pytest.approx(rewards[0], abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"family": "x"}, "unknown family 'x'"),
        ({"family": "strike", "split": "y"}, "has no split 'y'"),
        ({"family": "strike", "render_mode": "human"}, "render mode is rgb_array"),
        ({"family": "strike", "width": 0}, "needs 1 x 1 pixels, got 0 x 480"),
        (
            {"family": "strike", "splt": "unseen"},
            "unknown argument 'splt'; did you mean 'split'. arguments: family, ",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(settings: dict, words: str) -> None:
    for kind in (TaskEnv, TaskVectorEnv):
        with pytest.raises(ValueError, match=words):
            kind(**settings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tsk": 1}, "unknown option 'tsk'; did you mean 'task'"),
        ({"seed": 1}, "unknown option 'seed'; options: task"),
        ({"task": 3}, "a task is a Task or its JSON, got int"),
    ],
)
def test_an_option_that_there_is_not_is_refused(given: dict, words: str) -> None:
    for name in ("make", "make_vec"):
        env = getattr(gymnasium, name)("pliant/CheetahDirection-v0")
        with pytest.raises(ValueError, match=words):
            env.reset(options=given)


@pytest.mark.parametrize("given", [np.zeros(5), np.zeros((1, 6)), 0.5, None, "run"])
def test_an_action_of_another_shape_is_refused(given: object) -> None:
    env = TaskEnv("cheetah-direction")
    env.reset()
    with pytest.raises(ValueError, match=r"actions (have|are numbers of) shape \(6,\)"):
        env.step(given)
    many = TaskVectorEnv("cheetah-direction", 2, threads=1)
    many.reset()
    with pytest.raises(ValueError, match=r"actions (have|are .*) shape \(2, 6\)"):
        many.step(given)


def layout(info: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of an info, with the types and masks of their values."""
    return {
        key: layout(value)
        if isinstance(value, dict)
        else (value.dtype, value.tolist() if key.startswith("_") else None)
        for key, value in sorted(info.items())
    }


def move_to(one: Any, other: Any, world: int) -> None:
    """Put a single environment where a world of a vector environment is."""
    mine, theirs = one._stream.env, other._stream.env
    readings = mine.sim.set_state(theirs.sim.state()[world : world + 1])
    mine._now = mine._instant(readings)


@pytest.fixture(scope="module")
def singles() -> list[TaskEnv]:
    return [TaskEnv("reach-rotated") for _ in range(3)]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_it_is_gymnasiums_own_vector_of_single_worlds(
    mode: AutoresetMode, singles: list[TaskEnv]
) -> None:
    """Numbers, flags, and infos with their masks, in each autoreset mode."""
    ours = TaskVectorEnv("reach-rotated", 3, threads=1, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda e=e: e for e in singles], autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is mode
    [task] = make_family("reach-rotated").sample("train", 0, 1)
    both: list[Any] = [ours, theirs]
    infos = [env.reset(seed=0, options={"task": task})[1] for env in both]
    assert layout(infos[0]) == layout(infos[1])
    assert infos[0]["task"].tolist() == infos[1]["task"].tolist()
    for world, one in enumerate(singles):
        move_to(one, ours, world)
    rng, first = np.random.default_rng(0), np.ones(3, dtype=bool)
    for time in range(30):
        actions = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        if time == 4:
            actions[1] = np.nan  # a fault ends this world alone
        over = ours._over.copy()
        if mode is AutoresetMode.DISABLED and over.any():
            with pytest.raises(ResetNeeded, match=r"worlds \[.*\] have ended"):
                ours.step(actions)
            told = [e.reset(options={"reset_mask": over})[1] for e in both]
            assert layout(told[0]) == layout(told[1])
            first &= ~over
        mine, other = (list[Any](env.step(actions)) for env in both)
        assert layout(mine[4]) == layout(other[4]), time
        for index in (2, 3):
            assert mine[index].tolist() == other[index].tolist(), time
        ended = mine[2] | mine[3]
        same = first & ~ended if mode is AutoresetMode.SAME_STEP else first & ~over
        np.testing.assert_allclose(mine[0][same], other[0][same], atol=1e-6)
        np.testing.assert_allclose(mine[1][first], other[1][first], atol=1e-6)
        if time == 4:
            said: Any = mine[4].get("final_info", mine[4])
            assert said["fault"].tolist() == [False, True, False]
            assert mine[1][1] == 0
        first &= ~(ended if mode is AutoresetMode.SAME_STEP else over)
    assert not first.any()


def test_a_mask_resets_its_worlds_alone() -> None:
    env = TaskVectorEnv("reach-rotated", 3, threads=1)
    obs, _ = env.reset(seed=0)
    before = env.tasks
    for _ in range(3):
        obs, *_ = env.step(np.ones((3, 2)))
    mask = np.array([False, True, False])
    new, info = env.reset(options={"reset_mask": mask, "tasks": [before[0]]})
    assert env.tasks == (before[0], before[0], before[2])
    assert new[~mask].tolist() == obs[~mask].tolist()
    assert new[1, -1] == -1
    assert info["task"].tolist() == [None, before[0].to_json(), None]
    wrong = {
        "has shape": np.ones(2, dtype=bool),
        "at least one True": np.zeros(3, dtype=bool),
    }
    for words, given in wrong.items():
        with pytest.raises(ValueError, match=words):
            env.reset(options={"reset_mask": given})
    with pytest.raises(TypeError, match="NumPy array of bool, got list"):
        env.reset(options={"reset_mask": [True] * 3})
    with pytest.raises(ValueError, match="3 worlds to reset take as many tasks, got 1"):
        env.reset(options={"tasks": [before[0]]})
    with pytest.raises(ValueError, match="autoreset_mode is one of NEXT_STEP, SAME"):
        TaskVectorEnv("reach-rotated", autoreset_mode="never")


def test_seeds_are_a_number_one_for_each_world_or_none() -> None:
    env = TaskVectorEnv("reach-rotated", 2, threads=1)

    def drawn(seed: Any) -> tuple[Any, ...]:
        return env.reset(seed=seed)[0].tolist(), [task.hash for task in env.tasks]

    assert drawn(3) == drawn(3) != drawn(4)
    assert drawn([3, 4]) == drawn([3, 4]) != drawn([4, 4])
    assert drawn([None, 4]) == drawn([None, 4])
    assert drawn(None) != drawn(None)
    with pytest.raises(ValueError, match="2 worlds take as many seeds, got 3"):
        env.reset(seed=[1, 2, 3])


# as above
@pytest.mark.filterwarnings("ignore:.*A Box observation space m")
def test_the_vector_wrappers_of_gymnasium_take_it() -> None:
    env = gymnasium.make_vec("pliant/ReachRotated-v0", num_envs=2, threads=1)
    counted = RecordEpisodeStatistics(env)
    normal = NormalizeObservation(counted)
    seen, _ = normal.reset(seed=0)
    total, truncated, info = np.zeros(2), np.zeros(2), {}
    for _ in range(25):
        seen, reward, _, truncated, info = normal.step(np.full((2, 2), 0.5))
        total += reward
    assert np.abs(seen).max() < 10
    assert truncated.all()
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-5)
    assert info["episode"]["l"].tolist() == [25, 25]


def test_a_video_of_all_worlds_is_recorded(tmp_path) -> None:
    size: dict[str, Any] = {"width": 64, "height": 48, "camera": "overview"}
    env = gymnasium.make_vec(
        "pliant/ReachRotated-v0", num_envs=2, render_mode="rgb_array", threads=1, **size
    )
    frames: Any = env.reset(seed=0) and env.render()
    assert isinstance(frames, tuple)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert (frames[0] != frames[1]).any()
    filmed = RecordVideo(env, str(tmp_path / "film"), video_length=3)
    filmed.reset(seed=0)
    for _ in range(4):
        filmed.step(np.zeros((2, 2)))
    filmed.close()
    [video] = (tmp_path / "film").iterdir()
    assert video.stat().st_size > 1000


def test_an_unknown_camera_is_refused() -> None:
    env = TaskEnv("strike", render_mode="rgb_array", camera="x")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="unknown camera 'x'; cameras: overview"):
        env.render()


def test_a_pickle_is_made_again_by_its_arguments() -> None:
    env = TaskEnv("strike", split="unseen", oracle=True)
    env.reset(seed=0)
    again = pickle.loads(pickle.dumps(env))
    assert again.observation_space == env.observation_space
    assert np.array_equal(again.reset(seed=3)[0], env.reset(seed=3)[0])
    assert again.task == env.task
    assert again.task.split == "unseen"


def test_worlds_in_spawned_processes() -> None:
    seen, _ = TaskEnv("reach-rotated").reset(seed=5)
    envs = AsyncVectorEnv([spawned], context="spawn")
    obs, info = envs.reset(seed=5)
    assert obs[0].tolist() == seen.tolist()
    assert "reach-rotated" in info["task"][0]
    *_, info = envs.step(np.full((1, 2), np.nan, np.float32))
    assert info["fault"].tolist() == [True]
    envs.close()


def spawned() -> TaskEnv:
    return TaskEnv("reach-rotated")


_FORKED = """
import numpy as np, torch
from gymnasium.vector import AsyncVectorEnv
from pliant.gym import TaskEnv, TaskVectorEnv
torch.set_num_threads(2)
parent = TaskVectorEnv("strike", 64, threads=2)
parent.reset(seed=0)
parent.step(parent.action_space.sample())  # starts the threads that no child inherits
torch.ones(400, 400) @ torch.ones(400, 400)
envs = AsyncVectorEnv([lambda: TaskEnv("strike")] * 2, context="fork")
envs.reset(seed=0)
for _ in range(3):
    print(envs.step(envs.action_space.sample())[1])
envs.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_worlds_in_forked_processes_do_not_wait_for_the_parents_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKED],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3

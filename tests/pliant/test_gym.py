"""The families as Gymnasium and its users see them."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3

from pliant.gym import TaskEnv, TaskVectorEnv
from tasks.env import Env
from tasks.registry import FAMILIES, make_family

IDS = sorted(i for i in gymnasium.registry if str(i).startswith("pliant/"))
STRIKE = "pliant/Strike-v0"


def test_every_family_is_registered() -> None:
    assert len(IDS) == len(FAMILIES)
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
    env = gymnasium.make_vec("pliant/ReachRotated-v0", num_envs=3, threads=1)
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
    assert info["final_obs"][:, -1].tolist() == [1.0] * 3
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
    ],
)
def test_what_cannot_be_made_is_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TaskEnv(**settings)

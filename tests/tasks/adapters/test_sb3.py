"""The worlds as Stable-Baselines3 sees them, and its PPO as a method of ours."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from meta.recipes.registry import make_config
from meta.training.build import make_training
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.sb3 import Sb3Trainer
from meta.training.trained import load_trained
from tasks.adapters.sb3 import TaskVecEnv
from tasks.env import Env
from tasks.registry import make_family


def worlds(count: int = 3, **changes: Any) -> TaskVecEnv:
    env = Env(make_family("reach-rotated"), worlds=count, threads=1)
    return TaskVecEnv(env, seed=1, **changes)


def test_episodes_follow_one_another_each_with_a_new_task() -> None:
    env = worlds()
    obs = env.reset()
    assert obs.shape == (3, 5)
    assert obs.dtype == np.float32
    hashes, infos = set[str](), list[dict[str, Any]]()
    for episode in range(2):
        hashes |= {task.hash for task in env.env.tasks}
        total = np.zeros(3)
        for t in range(env.env.horizon):
            last = t == env.env.horizon - 1
            obs, reward, done, infos = env.step(np.full((3, 2), 0.1))
            total += reward
            assert done.tolist() == [last] * 3, (episode, t)
        for world, info in enumerate(infos):
            assert info["TimeLimit.truncated"] is True
            assert info["episode"]["r"] == pytest.approx(total[world], rel=1e-5)
            assert info["episode"]["l"] == env.env.horizon
            # the time, at the end of an episode and at the start of the next
            assert info["terminal_observation"][-1] == 1.0
            assert np.asarray(obs)[world, -1] == -1.0
    assert len(hashes) == 6


def test_a_horizon_that_is_part_of_the_task_is_no_time_limit() -> None:
    env = worlds(finite=True)
    env.reset()
    infos: list[dict[str, Any]] = []
    for _ in range(env.env.horizon):
        *_, infos = env.step(np.zeros((3, 2)))
    assert not any(info["TimeLimit.truncated"] for info in infos)


def test_the_same_seed_gives_the_same_tasks_and_states() -> None:
    first, second = worlds(), worlds()
    assert np.array_equal(first.reset(), second.reset())
    assert first.env.tasks == second.env.tasks
    second.restart(2)
    assert not np.array_equal(first.reset(), second.reset())


def test_its_ppo_trains_on_the_worlds_unchanged() -> None:
    env = worlds()
    ppo = PPO("MlpPolicy", env, n_steps=50, batch_size=50, n_epochs=1, device="cpu")
    ppo.learn(300)
    assert ppo.num_timesteps == 300
    assert len(ppo.ep_info_buffer or ()) == 12


def learner(env: Any, seed: int) -> PPO:
    return PPO(
        "MlpPolicy",
        env,
        n_steps=25,
        batch_size=25,
        n_epochs=1,
        device="cpu",
        seed=seed,
        policy_kwargs={"net_arch": [4]},
    )


def test_a_seed_decides_which_tasks_an_algorithm_meets() -> None:
    env = worlds()

    def met(seed: int) -> list[str]:
        learner(env, seed).learn(25)
        return [task.hash for task in env.env.tasks]

    assert met(1) == met(1)
    assert not set(met(1)) & set(met(2))
    env.reset()  # a seed holds for one reset: the sequence goes on
    later = {task.hash for task in env.env.tasks}
    assert not later & (set(met(1)) | set(met(2)))
    assert env.seed(4) == [4, 5, 6]


def test_options_give_the_tasks_of_the_next_reset_only() -> None:
    env = worlds()
    tasks = env.env.family.sample("held-out", 0, 2)
    env.set_options([{"task": tasks[0]}, {}, {"task": tasks[1].to_json()}])
    env.reset()
    assert [env.env.tasks[w].hash for w in (0, 2)] == [t.hash for t in tasks]
    assert env.env.tasks[1].split == "train"
    assert [info["task"] for info in env.reset_infos] == [
        task.to_json() for task in env.env.tasks
    ]
    env.reset()
    assert {task.split for task in env.env.tasks} == {"train"}


def test_attributes_and_methods_are_those_of_each_world() -> None:
    env = worlds()
    env.reset()
    assert [t.hash for t in env.get_attr("task")] == [t.hash for t in env.env.tasks]
    assert env.get_attr("horizon", [0, 2]) == [25, 25]
    assert env.get_attr("render_mode") == [None] * 3
    env.set_attr("split", "held-out", [1])
    assert env.get_attr("split") == ["train", "held-out", "train"]
    env.reset()
    assert [task.split for task in env.env.tasks] == ["train", "held-out", "train"]
    env.set_attr("stage", 3, 0)
    assert env.get_attr("stage", 0) == [3]
    assert env.has_attr("family")
    assert not env.has_attr("nothing")
    with pytest.raises(AttributeError, match="all worlds share horizon: set split"):
        env.set_attr("horizon", 3)
    with pytest.raises(ValueError, match="has no split 'x'"):
        env.set_attr("split", "x")
    assert env.env_method("render", indices=[0]) == [None]
    assert env.env_is_wrapped(Monitor) == [False] * 3
    assert env.env_is_wrapped(Monitor, 1) == [False]


def test_an_info_says_of_each_step_what_a_single_world_says() -> None:
    env = worlds()
    env.reset()
    action = np.zeros((3, 2), np.float32)
    action[1] = np.inf
    _, reward, done, infos = env.step(action)
    assert [info["fault"] for info in infos] == done.tolist() == [False, True, False]
    assert reward[1] == infos[1]["episode"]["r"] == 0
    assert np.isfinite(infos[1]["terminal_observation"]).all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False] * 3
    terms = {name for name in infos[0] if name.startswith("term_")}
    assert terms == {f"term_{name}" for name in env.env.family.weights}  # pyright: ignore
    assert np.isfinite(reward).all()


def test_its_wrappers_and_callbacks_take_it(tmp_path) -> None:
    """Statistics of VecMonitor are those kept here; the scales are learned."""
    env = worlds()
    wrapped = VecNormalize(VecFrameStack(VecMonitor(env, info_keywords=("fault",)), 2))
    evaluated = VecNormalize(
        VecFrameStack(VecMonitor(worlds(2)), 2), training=False, norm_reward=False
    )
    callback = EvalCallback(
        evaluated,
        n_eval_episodes=2,
        eval_freq=25,
        log_path=str(tmp_path),
        verbose=0,
    )
    ppo = learner(wrapped, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ppo.learn(150, callback=callback)
    assert wrapped.observation_space.shape == (10,)
    scales: Any = wrapped.obs_rms
    assert scales.mean.any()
    episodes = list(ppo.ep_info_buffer or ())
    assert len(episodes) == 6
    assert {e["l"] for e in episodes} == {25}
    assert not any(e["fault"] for e in episodes)
    seen = np.load(tmp_path / "evaluations.npz")
    assert seen["results"].shape == (2, 2)
    assert seen["successes"].shape == (2, 2)
    returns, lengths = evaluate_policy(
        ppo, evaluated, n_eval_episodes=2, return_episode_rewards=True
    )
    assert lengths == [25, 25]
    assert np.isfinite(returns).all()


def test_pictures_of_all_worlds_are_one_and_make_a_video(tmp_path) -> None:
    env = worlds(2, render_mode="rgb_array", width=64, height=48)
    env.reset()
    images: Any = env.get_images()
    assert [image.shape for image in images] == [(48, 64, 3)] * 2
    tiled = env.render()
    assert tiled is not None
    assert tiled.shape == (96, 64, 3)
    [own] = env.env_method("render", indices=1)
    # the first picture in an OpenGL context differs in the last bit
    assert np.abs(own.astype(int) - images[1]).max() <= 2
    assert np.abs(own.astype(int) - images[0]).max() > 20
    assert worlds(1).get_images() == [None]
    filmed = VecVideoRecorder(env, str(tmp_path), lambda step: step == 0, 4)
    assert filmed.frames_per_sec == round(1 / env.env.sim.control_dt)  # pyright: ignore
    filmed.reset()
    for _ in range(6):
        filmed.step(np.zeros((2, 2)))
    filmed.close()
    [video] = tmp_path.iterdir()
    assert video.stat().st_size > 1000


def tiny() -> Sb3Trainer:
    cfg = make_config("reach-rotated", "dr-sb3")
    cfg = replace(cfg, tasks=2, episodes=2, hidden=(8, 8), threads=1, iterations=4)
    trainer = make_training(cfg)
    assert isinstance(trainer, Sb3Trainer)
    return trainer


def test_its_policy_is_ours_and_acts_alike(tmp_path) -> None:
    trainer = tiny()
    metrics = trainer.step()
    assert metrics["env_steps"] == 2 * 2 * trainer.cfg.phases * 25
    save_checkpoint(tmp_path / "dr.safetensors", trainer)
    trained = load_trained(str(tmp_path / "dr.safetensors"))
    obs = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    ours = trained.learner.act(trained.theta, trained.learner.begin(trained.theta, 1))
    theirs, _ = trainer._ppo.predict(obs.numpy(), deterministic=True)
    np.testing.assert_allclose(
        ours(obs).mean.detach().clamp(-1, 1), theirs, rtol=1e-5, atol=1e-6
    )
    assert not any(name.startswith("critic") for name in trained.theta)
    # each feature is scaled by its own moments
    moments = trained.theta["moments/mean"][:5]
    assert len(set(moments.tolist())) == 5
    assert moments.abs().max() < 1.0


def test_a_run_resumed_is_the_run_that_was_not_interrupted(tmp_path) -> None:
    whole = tiny()
    for _ in range(2):
        whole.step()
    save_checkpoint(tmp_path / "half.safetensors", whole)
    expected = [whole.step() for _ in range(2)]
    resumed = resume_trainer(tmp_path / "half.safetensors")
    assert resumed.iteration == 2
    assert [resumed.step() for _ in range(2)] == expected
    for name, value in whole.theta.items():
        assert torch.equal(value, resumed.theta[name]), name

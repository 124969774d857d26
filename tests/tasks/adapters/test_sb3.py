"""The worlds as Stable-Baselines3 sees them, and its PPO as a method of ours."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from meta.recipes.registry import make_config
from meta.training.build import make_training
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.sb3 import Sb3Trainer
from meta.training.trained import load_trained
from tasks.adapters.sb3 import TaskVecEnv
from tasks.env import Env
from tasks.registry import make_family


def worlds(count: int = 3, **changes: bool) -> TaskVecEnv:
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

"""sb3-contrib's RecurrentPPO on a family: a robust policy with an LSTM, from outside.

    pip install --no-deps sb3-contrib==2.9.2
    python -m examples.recurrent_ppo insert --seed 0

It reads the last action and reward beside the observation, as `dr-memory` does, and
takes as many env steps as Pliant's own methods, a task an episode. It is measured on
the tasks of `pliant evaluate`, acting by its mean: first with a fresh state in each
episode, as it was trained, then with the state that its earlier episodes left.
"""

import argparse
import warnings
from typing import Any

import gymnasium
import numpy as np
import torch

from meta.recipes.registry import make_config
from tasks.registry import make_env, make_family

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize

    from tasks.adapters.sb3 import TaskVecEnv

TASKS, EPISODES, WORLDS = 100, 6, 100


class LastStep(VecEnvWrapper):
    """Observations that end with the last action and reward, 0 as an episode begins."""

    def __init__(self, worlds: TaskVecEnv) -> None:
        self.extra = worlds.action_space.shape[0] + 1
        size = worlds.observation_space.shape[0] + self.extra
        box = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        super().__init__(worlds, observation_space=box)

    def reset(self) -> np.ndarray:
        """Start all episodes."""
        return np.pad(self.venv.reset(), ((0, 0), (0, self.extra)))

    def step_async(self, actions: np.ndarray) -> None:
        """Send actions, and remember them."""
        self.actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[Any, ...]:
        """Return what came of them."""
        obs, reward, done, infos = self.venv.step_wait()
        last = np.concatenate([self.actions, reward[:, None]], axis=1)
        for world in done.nonzero()[0]:
            ended = [infos[world]["terminal_observation"], last[world]]
            infos[world]["terminal_observation"] = np.concatenate(ended)
        last[done] = 0.0  # another episode has begun
        return np.concatenate([obs, last], axis=1), reward, done, infos


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3, help="falls to 0")
    parser.add_argument("--iterations", type=int, help="the recipe's by default")
    args = parser.parse_args()
    cfg = make_config(args.family, "dr")
    iterations = args.iterations or cfg.iterations
    family = make_family(args.family)
    worlds = VecNormalize(
        LastStep(
            TaskVecEnv(make_env(family, worlds=WORLDS), seed=args.seed, finite=True)
        ),
        norm_reward=False,
        gamma=cfg.learner.discount,
    )
    rounds = max(1, round(cfg.worlds * cfg.phases / WORLDS))  # episodes of a world
    steps = family.horizon * rounds
    model = RecurrentPPO(
        "MlpLstmPolicy",
        worlds,
        learning_rate=lambda left: args.rate * left,
        n_steps=steps,
        batch_size=steps * WORLDS // 4,
        n_epochs=10,
        gamma=cfg.learner.discount,
        policy_kwargs={
            "net_arch": list(cfg.hidden),
            "lstm_hidden_size": 64,
            "log_std_init": float(np.log(cfg.initial_std)),
        },
        seed=args.seed,
        device="cpu",
    )
    model.learn(iterations * steps * WORLDS)
    print(f"{model.num_timesteps:,} env steps")
    for kept in (False, True):
        means = measure(model, worlds, args.family, keep=kept)
        named = "kept" if kept else "fresh"
        print(f"{named} state, episode by episode:", *(f"{m:.2f}" for m in means))


def measure(
    model: RecurrentPPO, normal: VecNormalize, name: str, *, keep: bool
) -> list[float]:
    """Return the mean return of each episode of a trial on held-out tasks.

    Args:
        model: the agent.
        normal: how it scales observations.
        name: the family.
        keep: whether its state goes on from one episode to the next.
    """
    family = make_family(name)
    tasks = family.sample("held-out", 0, TASKS)
    env = make_env(family, worlds=TASKS)
    env.assign(tasks)
    rng = torch.Generator().manual_seed(0)
    state, starts = None, np.ones(TASKS, np.bool_)
    means: list[float] = []
    for _ in range(EPISODES):
        obs = env.reset(rng)
        if not keep:
            state, starts = None, np.ones(TASKS, np.bool_)
        going, total = torch.ones(TASKS), torch.zeros(TASKS)
        last = torch.zeros(TASKS, env.action_dim + 1)
        for _ in range(family.horizon):
            seen = normal.normalize_obs(torch.cat([obs, last], 1).numpy())
            action, state = model.predict(
                seen, state=state, episode_start=starts, deterministic=True
            )
            starts = np.zeros(TASKS, np.bool_)
            taken = torch.from_numpy(action)
            step = env.step(taken)
            last = torch.cat([taken, step.reward[:, None]], 1)
            total += step.reward * going
            going *= (~(step.terminated | step.truncated)).float()
            obs = step.obs
        means.append(total.mean().item())
    return means


if __name__ == "__main__":
    main()

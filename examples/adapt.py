"""Adapt a shipped policy to one object it has never met, in five episodes."""

import torch

from meta.experience.rollout import by_task, collect
from meta.training.checkpoint import load_trained
from tasks.env import Env
from tasks.registry import make_family

trained = load_trained("shipped:strike")
learner, theta = trained.learner, trained.theta
env = Env(make_family("strike"), worlds=5)
env.assign(env.family.sample("unseen-shapes", seed=7, count=1) * 5)  # five worlds
rng = torch.Generator().manual_seed(0)
before = learner.begin(theta, tasks=1)
episodes = collect(env, learner.act(theta, before), rng)  # one in each world
after = learner.adapt(theta, before, by_task(episodes, tasks=1))
for name, adaptation in (("before", before), ("after", after)):
    measured = collect(env, learner.act(theta, adaptation), rng, explore=False)
    print(f"{name} adapting: return {measured.returns.mean():.3f}")

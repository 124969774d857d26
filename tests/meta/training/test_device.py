"""A whole iteration keeps to the device of its worlds and asks it for nothing.

The meta device computes shapes alone: it refuses tensors of any other device, and
it has no values that a host could wait for.
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from meta.experience.batch import limit_episodes
from meta.experience.rollout import Experience, by_task, collect, concatenate
from meta.experience.trials import trials_of
from meta.learner import Learner, exploring
from meta.learners.explore import Explore
from meta.learners.maml import Maml
from meta.learners.rl2 import Rl2
from meta.learners.rma import Rma
from meta.learners.varibad import Draws, Varibad
from meta.recipes.registry import make_config
from meta.registry import METHODS
from meta.theta import Theta, on_device
from meta.training.build import make_learner
from meta.training.config import TrainCfg
from robots.sim.simulator import Readings, sensor_columns
from tasks.env import Env
from tasks.family import Family
from tasks.registry import FAMILIES

META = torch.device("meta")
TASKS = 2
HORIZON = 3


class Shapes:
    """A simulator whose worlds have the right shapes, and no values."""

    def __init__(self, family: Family, worlds: int) -> None:
        self.model = family.model
        self.worlds = worlds
        self.control_dt = family.substeps * family.model.opt.timestep
        self.device = META

    def assign(
        self, fields: Mapping[str, Tensor], worlds: Tensor | None = None
    ) -> None:
        assert all(len(v) == self.worlds for v in fields.values())

    def reset(
        self, qpos: Tensor, qvel: Tensor, worlds: Tensor | None = None
    ) -> Readings:
        assert qpos.device == qvel.device == META
        return self._read()

    def step(self, ctrl: Tensor) -> Readings:
        assert ctrl.device == META
        assert ctrl.shape == (self.worlds, self.model.nu)
        return self._read()

    def _read(self) -> Readings:
        def of(*shape: int) -> Tensor:
            return torch.empty(self.worlds, *shape, device=META)

        columns = sensor_columns(self.model)
        sensors = {n: of(c.stop - c.start) for n, c in columns.items()}
        return Readings(
            time=of(),
            qpos=of(self.model.nq),
            qvel=of(self.model.nv),
            sensors=sensors,
            fault=of().bool(),
        )


def iterate(cfg: TrainCfg, env: Env, learner: Learner, theta: Theta) -> Tensor:
    """What `Trainer.step` does, up to the loss."""
    rng = torch.Generator().manual_seed(0)
    adaptation = learner.begin(theta, TASKS)
    experiences: list[Experience] = []
    for _ in range(learner.inner_steps):
        rollout = collect(env, exploring(learner, theta, adaptation), rng)
        counts = torch.full((TASKS,), 1, device=META)
        experiences.append(limit_episodes(by_task(rollout, TASKS), counts))
        adaptation = learner.adapt(theta, adaptation, experiences[-1])
    act = learner.act(theta, adaptation)
    rounds = [collect(env, act, rng) for _ in range(cfg.phases - learner.inner_steps)]
    experiences.append(by_task(concatenate(rounds, TASKS), TASKS))
    assert rounds[0].returns.device == experiences[-1].obs.device == META
    if isinstance(learner, Maml):
        *pre, post = experiences
        inner = [learner.inner_batch(theta, e) for e in pre]
        return learner.objective(theta, inner, learner.outer_batch(theta, post))[0]
    if isinstance(learner, Rl2):
        batch = learner.batch(theta, trials_of(experiences))
        return learner.objective(theta, batch)[0]
    learner = learner.adapter if isinstance(learner, Explore) else learner
    if isinstance(learner, Varibad):
        index = torch.zeros(TASKS, 4, dtype=torch.long, device=META)
        noise = torch.zeros(TASKS, 5, learner.cfg.latent, device=META)
        draws = Draws(index, index, noise)
        return learner.objective(learner.learning(theta), experiences, draws)
    assert isinstance(learner, Rma)
    wanted = learner.latent(theta, experiences[0])
    return learner.objective(learner.learning(theta), experiences, wanted)


LEARNERS = [("strike", m) for m in METHODS if m not in ("maml", "dr-sb3")]


@pytest.mark.parametrize(
    ("name", "method"), [*((f, "maml") for f in sorted(FAMILIES)), *LEARNERS]
)
def test_an_iteration_keeps_to_its_device(name: str, method: str) -> None:
    cfg = replace(make_config(name, method), tasks=TASKS)
    family = FAMILIES[name](META)
    simulator = Shapes(family, cfg.worlds // family.team)
    env = Env(family, worlds=cfg.worlds, oracle=cfg.privileged, simulator=simulator)
    env.horizon = HORIZON
    tasks = family.sample("train", 0, TASKS)
    env.assign([t for t in tasks for _ in range(cfg.episodes)])
    learner = make_learner(cfg)
    theta = on_device(learner.initial(env.obs_dim), META)
    for progress in (0.0, 0.9):  # a teacher's stage, and its adapter's
        stage = learner.stage(progress)[0]
        leaves = stage.trainable(theta)
        for leaf in leaves:
            leaf.grad = None
        iterate(cfg, env, stage, theta).backward()
        moved = [leaf.grad for leaf in leaves if leaf.grad is not None]
        assert moved
        assert all(grad.device == META for grad in moved)

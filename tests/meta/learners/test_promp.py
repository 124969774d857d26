"""ProMP's published settings: its box of actions, and what it does not do."""

import math
from dataclasses import replace

import pytest
import torch

from meta.learner import Sizes
from meta.learners.promp import BOX, BoxPolicy, Promp, PrompCfg
from meta.recipes.promp import promp_config
from meta.training.build import make_trainer
from policies.mlp import Mlp, PolicyCfg

NETWORK = PolicyCfg(hidden=(8,), initial_std=1.0, min_std=1e-6)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_actions_are_tenths_of_those_in_the_box() -> None:
    policy = BoxPolicy(5, 3, NETWORK, seeded())
    obs = torch.randn(4, 5, generator=seeded())
    found = policy(obs)
    torch.testing.assert_close(found.mean, policy.mean(obs) / BOX)
    torch.testing.assert_close(found.log_std.exp(), torch.full((3,), 0.1))
    with torch.no_grad():
        policy.log_std.fill_(-100.0)
    floor = math.log(1e-6) - math.log(BOX)
    torch.testing.assert_close(policy(obs).log_std, torch.full((3,), floor))


def test_weights_are_glorots() -> None:
    policy = BoxPolicy(400, 3, replace(NETWORK, hidden=(200,)), seeded())
    assert isinstance(policy.mean, Mlp)
    weight = policy.mean.state_dict()["0.weight"]
    bound = math.sqrt(6 / 600)
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-2)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=2e-2)


def test_it_is_the_published_configuration() -> None:
    cfg = promp_config(3)
    assert (cfg.tasks, cfg.episodes, cfg.measure_rounds, cfg.hidden) == (
        *(40, 20, 1),
        (64, 64),
    )
    ours: PrompCfg = cfg.learner
    assert (ours.inner_steps, ours.inner_rate, ours.learn_rates) == (1, 0.1, False)
    assert (ours.rate, ours.epochs, ours.clip, ours.inner_kl) == (1e-3, 5, 0.3, 5e-4)
    assert (ours.discount, ours.trace, ours.inner_loss) == (0.99, 1.0, "ratio")
    # 160,000 env steps an iteration, both phases
    assert cfg.iterations * cfg.worlds * cfg.phases * 100 == 45_120_000


def test_the_step_size_stays_and_observations_are_not_scaled() -> None:
    cfg = replace(promp_config(0), tasks=2, episodes=2, iterations=2, threads=1)
    trainer = make_trainer(cfg)
    before = {k: v.detach().clone() for k, v in trainer.theta.items()}
    for _ in range(2):
        trainer.step()
        assert [g["lr"] for g in trainer.optimizer.param_groups] == [1e-3]
    for name, value in trainer.theta.items():
        if name.startswith(("moments/", "log_rate/")):
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not torch.equal(trainer.theta["policy/log_std"], before["policy/log_std"])


def test_choices_are_refused() -> None:
    sizes = Sizes(4, 0, 3, discrete=True)
    with pytest.raises(ValueError, match="needs continuous actions"):
        Promp.build(PrompCfg(), NETWORK, sizes, seeded())

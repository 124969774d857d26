"""The baseline of training that is a network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from meta.experience.batch import critic_reads, fresh_scales, make_batch
from meta.experience.rollout import Experience
from meta.learner import Sizes
from meta.learners.critic import Critic
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.build import make_learner, make_trainer
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import TrainCfg, replaced
from meta.training.trainer import Trainer
from policies.gaussian import Gaussian
from policies.mlp import PolicyCfg

OBS, TASKS, EPISODES = 6, 20, 10
CFG = MamlCfg(inner_steps=0, outer_baseline="network", discount=1.0)


def lived(seed: int, episodes: int = EPISODES) -> Experience:
    """One step: the reward is a wave of what is observed, and the action."""
    rng = torch.Generator().manual_seed(seed)
    obs = torch.randn((TASKS, episodes, 1, OBS), generator=rng)
    action = torch.randn((TASKS, episodes, 1, 1), generator=rng)
    reward = worth(obs) + action[..., 0]
    zero = torch.zeros_like(action)
    valid = torch.ones_like(reward)
    return Experience(obs, obs, action, Gaussian(zero, zero), reward, valid)


def worth(obs: torch.Tensor) -> torch.Tensor:
    return 3 + 2 * (2 * obs[..., 0]).sin()


def made(cfg: MamlCfg = CFG, sizes: Sizes | None = None) -> tuple[Critic, Theta]:
    sizes = sizes or Sizes(OBS, 0, 1)
    rng = torch.Generator().manual_seed(0)
    critic = Critic.build(cfg, OBS, PolicyCfg(hidden=(32, 32)), sizes, rng)
    assert critic
    return critic, fresh_scales(OBS) | critic.initial()


def learned(iterations: int = 60) -> tuple[Critic, Theta]:
    critic, theta = made()
    optimizer = torch.optim.Adam(critic.trainable(theta), lr=4e-3)
    for seed in range(iterations):
        e = lived(seed + 1)
        critic.fit(theta, optimizer, [(e.obs, e)])
    return critic, theta


def test_it_learns_what_states_are_worth_and_actions_keep_what_they_earned() -> None:
    """An action earns itself, of unit variance: all that is left, if worth is known.

    So the gradient is 1 standard deviation of the advantage. A fit to a task's ten
    episodes, of more weights than that, explains most of it away.
    """
    critic, theta = learned()
    e = lived(0, 1000)
    read = torch.cat([e.obs, torch.zeros_like(e.obs[..., :1])], dim=-1)
    with torch.no_grad():
        error = critic.values(theta)(read) - worth(e.obs)
    assert error.square().mean() < 0.12 * worth(e.obs).var()

    def gradient(e: Experience, by: Critic | None) -> float:
        values = by.values(theta) if by else None
        b = make_batch(theta, e, 1.0, 1.0, critic=values)
        return (b.advantage * e.action[..., 0]).mean().item()

    few = lived(0)
    assert gradient(few, critic) > 0.9
    assert gradient(few, None) < 0.5


def test_what_is_still_to_come_in_an_episode_is_part_of_what_a_state_is_worth() -> None:
    """Each of three steps adds 3 on average, and half of that per step of delay."""

    def episodes(seed: int) -> Experience:
        each = [lived(seed + 10_000 * time) for time in range(3)]
        fields = ("obs", "next_obs", "action", "reward", "valid")
        joined = {f: torch.cat([getattr(e, f) for e in each], 2) for f in fields}
        return each[0]._replace(**joined)

    critic, theta = made(replace(CFG, discount=0.5))
    optimizer = torch.optim.Adam(critic.trainable(theta), lr=4e-3)
    for seed in range(100):
        e = episodes(seed + 1)
        critic.fit(theta, optimizer, [(e.obs, e)])
    e = episodes(0)
    later = 3.0 * torch.tensor([0.5 + 0.25, 0.5, 0.0])
    with torch.no_grad():
        found = critic.values(theta)(critic_reads(e.obs, e, central=False))
    error = found - (worth(e.obs) + later)
    assert error.mean(dim=(0, 1)).abs().max() < 0.25
    assert error.square().mean() < 0.25 * worth(e.obs).var()


def test_returns_of_any_size_and_offset_are_learned_alike() -> None:
    """Returns of locomotion are in hundreds below 0, those of arms about 1."""
    errors: list[float] = []
    for scale, offset in ((1.0, 0.0), (300.0, -2000.0)):
        critic, theta = made()
        optimizer = torch.optim.Adam(critic.trainable(theta), lr=4e-3)
        found: list[float] = []
        for seed in range(10):
            e = lived(seed)
            e = e._replace(reward=scale * e.reward + offset)
            found.append(critic.fit(theta, optimizer, [(e.obs, e)]))
        errors.append(found[-1])
    assert errors[0] == pytest.approx(errors[1], rel=1e-2)
    assert errors[0] < 0.6


def test_steps_that_do_not_count_teach_nothing() -> None:
    """Half of the episodes say that all is worth 0; they did not happen."""
    critic, theta = made()
    optimizer = torch.optim.Adam(critic.trainable(theta), lr=4e-3)
    rng = torch.Generator().manual_seed(0)
    for seed in range(60):
        e = lived(seed + 1)
        e.valid.copy_(torch.rand(TASKS, EPISODES, 1, generator=rng) < 0.5)
        critic.fit(theta, optimizer, [(e.obs, e)])
    e = lived(0, 1000)
    read = torch.cat([e.obs, torch.zeros_like(e.obs[..., :1])], dim=-1)
    error = critic.values(theta)(read) - worth(e.obs)
    assert error.square().mean() < 0.3 * worth(e.obs).var()


def test_a_central_one_learns_from_what_the_others_observed() -> None:
    """The reward is a wave of what the other observes: nothing that the own tells."""
    left: list[float] = []
    for who in ("own", "all"):
        cfg = replace(CFG, critic=who)
        critic, theta = made(cfg, Sizes(OBS, 0, 1, roles=("left", "right")))
        optimizer = torch.optim.Adam(critic.trainable(theta), lr=4e-3)
        error = 1.0
        for seed in range(60):
            e, other = lived(seed), lived(1000 + seed)
            e = e._replace(reward=worth(other.obs), others=other.obs)
            error = critic.fit(theta, optimizer, [(e.obs, e)])
        left.append(error)
    own, both = left
    assert own > 0.9
    assert both < 0.3


def short(method: str, **more: object) -> TrainCfg:
    few = {"iterations": 2, "tasks": 4, "episodes": 5, "threads": 1, "epochs": 2}
    few |= {"outer_baseline": "network"}
    return replaced(make_config("reach-rotated", method), {**few, **more})


@pytest.mark.parametrize("method", ["dr", "dr-memory", "maml", "oracle", "explore"])
def test_training_learns_it_beside_the_policy(method: str) -> None:
    trainer = make_trainer(short(method))
    begun = {k: v.clone() for k, v in trainer.theta.items()}
    metrics = trainer.step()
    moved = {k for k in begun if not torch.equal(begun[k], trainer.theta[k])}
    assert any(k.startswith("critic/") for k in moved)
    assert any(k.startswith("policy/") for k in moved)
    assert metrics["value_error"] > 0


def last(method: str) -> Trainer:
    """Return a run before its last iteration: the explorer's acting policy is tuned."""
    more = {"explore_after": 0.0} if method == "explore" else {}
    trainer = make_trainer(short(method, **more))
    trainer.iteration = 1
    return trainer


@pytest.mark.parametrize("method", ["explore", "varibad"])
def test_tuning_goes_on_with_it(method: str) -> None:
    """An explorer's is its teacher's, which has learned when the adapter begins."""
    trainer = last(method)
    begun = {k: v.clone() for k, v in trainer.theta.items()}
    metrics = trainer.step()
    moved = {k for k in begun if not torch.equal(begun[k], trainer.theta[k])}
    assert any(k.startswith("critic/") for k in moved)
    assert metrics["value_error"] > 0


@pytest.mark.parametrize("method", ["dr", "maml", "explore", "varibad"])
def test_the_policy_learns_by_what_it_says(method: str) -> None:
    """Two critics that differ make policies that differ, and they alone differed."""
    found: list[Theta] = []
    for size in (1.0, 50.0):
        trainer = last(method)
        trainer.theta["worth/count"].fill_(1.0)
        trainer.theta["worth/square"].fill_(size)
        trainer.step()
        found.append(trainer.theta)
    decide = [k for k in found[0] if k.startswith("policy/") and "mean" in k]
    assert any(not torch.equal(found[0][k], found[1][k]) for k in decide)


@pytest.mark.parametrize("method", ["dr-memory", "varibad"])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    method: str, tmp_path: Path
) -> None:
    whole, path = make_trainer(short(method)), tmp_path / "checkpoint.safetensors"
    whole.step()
    save_checkpoint(path, whole)
    resumed = resume_trainer(path)
    assert whole.step() == resumed.step()
    for name, value in whole.theta.items():
        assert resumed.theta[name].equal(value), name


def test_without_one_nothing_of_it_is_learned() -> None:
    theta = make_trainer(short("maml", outer_baseline="task")).theta
    assert not [k for k in theta if k.startswith(("critic/", "worth/"))]


def test_a_policy_that_warms_up_keeps_it() -> None:
    learner = make_learner(short("maml", warm_up=0.5))
    assert isinstance(learner, Maml)
    base, _ = learner.stage(0.0)
    assert isinstance(base, Maml)
    assert base.critic is learner.critic is not None

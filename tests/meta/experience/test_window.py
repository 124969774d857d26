"""The window: what acting sees, learning sees again, and nothing from elsewhere."""

from dataclasses import replace

import pytest
import torch

from meta.experience.batch import fresh_scales, make_batch, refresh_scales
from meta.experience.rollout import Experience, by_task, collect
from meta.experience.window import window_width, windows
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MAX_WINDOW, MamlCfg
from meta.learners.rma_cfg import RmaCfg
from meta.recipes.registry import make_config
from meta.theta import group
from meta.training.build import make_learner
from policies.acting import RecurrentPolicy
from policies.gaussian import Gaussian
from tasks.env import Env
from tasks.registry import make_family

FAMILY = "reach-rotated"


def test_a_window_holds_the_steps_before_oldest_first() -> None:
    time = torch.arange(1.0, 6.0)
    change, action = (time[None, None, :, None] * x for x in (10, 1))
    valid = torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]])
    nothing = [0.0, 0.0, 0.0]
    assert windows(change, action, valid, 2)[0, 0].tolist() == [
        [*nothing, *nothing],
        [*nothing, 10.0, 1.0, 1.0],
        [10.0, 1.0, 1.0, 20.0, 2.0, 1.0],
        [20.0, 2.0, 1.0, 30.0, 3.0, 1.0],
        [30.0, 3.0, 1.0, 40.0, 4.0, 1.0],
    ]


@pytest.mark.parametrize("method", ["dr-memory", "maml"])
def test_learning_reads_what_acting_read(method: str) -> None:
    cfg = make_config(FAMILY, method)
    cfg = replace(cfg, learner=replace(cfg.learner, window=3), hidden=(8,))
    learner = make_learner(cfg)
    assert isinstance(learner, Maml)
    env = Env(make_family(FAMILY), worlds=6, threads=1)
    theta = learner.initial(env.obs_dim)
    # an untrained last layer hardly depends on what is read
    rng = torch.Generator().manual_seed(0)
    for name, value in group(theta, "policy").items():
        if name.startswith("mean"):
            value += 0.5 * torch.randn(value.shape, generator=rng)
    env.assign([t for t in env.family.sample("train", 0, 2) for _ in range(3)])
    for _ in range(2):  # the second time with moments
        act = learner.act(theta, learner.begin(theta, 2))
        experience = by_task(collect(env, act, rng), 2)
        read = learner.outer_batch(theta, experience).obs
        params = group(theta, "policy")
        again = torch.func.functional_call(learner.policy, params, (read,))
        assert torch.allclose(again.mean, experience.old.mean, atol=1e-5)
        late = read[:, :, 5, env.obs_dim :]
        assert late.shape[-1] == window_width(env.obs_dim, env.action_dim, 3)
        assert (late.abs().sum(-1) > 0).all()
        refresh_scales(theta, experience, 0.99)


def test_the_baseline_knows_what_the_window_tells() -> None:
    """The reward is the action before, which no observation shows, and chance."""
    rng = torch.Generator().manual_seed(1)
    action = torch.randn(4, 3, 20, 1, generator=rng)
    before = torch.cat([torch.zeros(4, 3, 1), action[:, :, :-1, 0]], dim=-1)
    e = Experience(
        obs=torch.zeros(4, 3, 20, 1),
        next_obs=torch.zeros(4, 3, 20, 1),
        action=action,
        old=Gaussian(torch.zeros_like(action), torch.zeros(1)),
        reward=before + 0.5 * torch.randn(4, 3, 20, generator=rng),
        valid=torch.ones(4, 3, 20),
    )
    theta = fresh_scales(1)
    for window, explained in ((0, False), (1, True)):
        batch = make_batch(theta, e, 0.0, 1.0, pooled=False, window=window)
        pairs = torch.stack([batch.advantage.flatten(), before.flatten()])
        follows = torch.corrcoef(pairs)[0, 1].abs()
        assert follows < 0.2 if explained else follows > 0.8


def test_without_a_window_nothing_is_remembered() -> None:
    learner = make_learner(make_config(FAMILY, "dr"))
    theta = learner.initial(make_family(FAMILY).obs_dim)
    act = learner.act(theta, learner.begin(theta, 1))
    assert not isinstance(act, RecurrentPolicy)


def test_windows_that_cannot_be_are_refused() -> None:
    for window in (-1, MAX_WINDOW + 1):
        with pytest.raises(
            ValueError, match=f"need 0 <= window <= 1,000, got {window}"
        ):
            MamlCfg(window=window)
    with pytest.raises(ValueError, match="neither adapts nor remembers"):
        RmaCfg(teacher=MamlCfg(inner_steps=0, window=2))

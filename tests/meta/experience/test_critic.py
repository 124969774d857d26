"""The baseline of a team's agent: by its own observations, or by all agents'."""

from collections.abc import Sequence

import pytest
import torch

from meta.experience.batch import fresh_scales, make_batch
from meta.experience.rollout import Experience, by_task, collect, with_others
from meta.learner import Learner, Metrics
from meta.learners.maml import Maml
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.build import make_learner, make_trainer, make_worlds
from meta.training.config import TrainCfg, replaced
from policies.gaussian import Gaussian

TEAMS, EPISODES = 3, 4000
SEEN = 2.0
"""Weight in both rewards of what either agent observes."""


def lottery(observed: Sequence[float] = (1.0, 1.0)) -> Experience:
    """One step of teams of two: the reward is what both see, and what both do.

    Args:
        observed: scale of what each agent observes of the number that it sees.
    """
    rng = torch.Generator().manual_seed(0)
    shape = (TEAMS, 2, EPISODES, 1, 1)
    sees, action = (torch.randn(shape, generator=rng) for _ in range(2))
    reward = (SEEN * sees + action).sum(1, keepdim=True).expand(shape)
    obs = (sees * torch.tensor(observed).reshape(2, 1, 1, 1)).flatten(0, 1)
    reward, action = reward[..., 0].flatten(0, 1), action.flatten(0, 1)
    zero = torch.zeros_like(action)
    valid = torch.ones_like(reward)
    return Experience(obs, obs, action, Gaussian(zero, zero), reward, valid)


@pytest.mark.parametrize(
    ("observed", "who"),
    [
        ((1.0, 1.0), slice(None)),
        # a scale of the others' that the agent's own moments know nothing of
        ((1.0, 1000.0), slice(None, None, 2)),
    ],
)
def test_a_baseline_of_all_that_is_seen_leaves_what_is_done(
    observed: tuple[float, float], who: slice
) -> None:
    """With a baseline of the own, 4 + 1 + 1 is left of the variance; of all, 1 + 1.

    The gradient, which is 1, is then 1 / sqrt(6) or 1 / sqrt(2) standard deviations of
    the advantage; a baseline that knew anything of the action would leave it less.
    """
    e, theta = with_others(lottery(observed), 2), fresh_scales(1)
    for central, left in ((False, SEEN**2 + 2), (True, 2.0)):
        b = make_batch(theta, e, 1.0, 1.0, pooled=False, central=central)
        found = (e.action[..., 0] * b.advantage)[who].flatten(1)
        assert found.mean(1).sub(left**-0.5).abs().max() < 0.05
        # a sample is e (e + r) / sd: of variance 2 from e e, and left - 1 from e r
        assert found.var(1).sub((left + 1) / left).abs().max() < 0.15


def test_the_others_of_each_agent_follow_in_a_ring() -> None:
    obs = torch.arange(6.0).reshape(6, 1, 1, 1)
    e = Experience(obs, obs, obs, Gaussian(obs, obs), obs[..., 0], obs[..., 0])
    found = with_others(e, 3).others
    assert found is not None
    assert found[:, 0, 0].tolist() == [[1, 2], [2, 0], [0, 1], [4, 5], [5, 3], [3, 4]]
    assert with_others(e, 1) is e


def short(method: str, **more: object) -> TrainCfg:
    few = {"iterations": 2, "tasks": 4, "episodes": 5, "threads": 1, "epochs": 2}
    return replaced(make_config("shove", method), {**few, **more})


def lived(cfg: TrainCfg, learner: Learner, theta: Theta) -> Experience:
    env = make_worlds(cfg)
    env.assign([t for t in env.family.sample("train", 0, 4) for _ in range(5)])
    act = learner.act(theta, learner.begin(theta, 4))
    e = by_task(collect(env, act, torch.Generator().manual_seed(0)), 4)
    return with_others(e, env.family.team)


def test_the_others_share_the_agent_s_world() -> None:
    """Each arm of `shove` observes of its own paddle what the other observes of it."""
    cfg = short("dr")
    learner = make_learner(cfg)
    e = lived(cfg, learner, learner.initial(15))
    assert e.others is not None
    assert torch.equal(e.others[..., 0], e.obs[..., 1])
    assert torch.equal(e.others[..., 1], e.obs[..., 0])
    assert not torch.equal(e.others[..., 0], e.obs[..., 0])


def test_agents_adapt_by_their_own_all_the_same() -> None:
    learner = make_learner(short("maml", critic="all"))
    assert isinstance(learner, Maml)
    theta = learner.initial(15)
    e = lived(short("maml"), learner, theta)
    alone = e._replace(others=None)
    for batch, reads in ((learner.inner_batch, False), (learner.outer_batch, True)):
        apart = not torch.equal(
            batch(theta, e).advantage, batch(theta, alone).advantage
        )
        assert apart == reads
        assert torch.equal(batch(theta, e).obs, batch(theta, alone).obs)


@pytest.mark.parametrize("method", ["dr-memory", "explore"])
@pytest.mark.parametrize("critic", ["own", "all"])
def test_only_a_central_critic_learns_from_what_others_saw(
    method: str, critic: str
) -> None:
    """The explorer tunes its acting policy, once its teacher is done."""
    cfg = short(method, critic=critic)
    learner = make_learner(cfg).stage(0.99)[0]
    begun = learner.initial(make_worlds(cfg).obs_dim)
    e = lived(cfg, learner, begun)
    found: list[Theta] = []
    for seen in (e, e._replace(others=None)):
        theta = {k: v.clone() for k, v in begun.items()}
        optimizer = torch.optim.Adam(learner.trainable(theta))
        learner.update(theta, optimizer, [seen] * (1 + learner.inner_steps))
        found.append(theta)
    moved = [k for k in begun if not torch.equal(found[0][k], found[1][k])]
    assert any(k.startswith("policy/") for k in moved) == (critic == "all")


def test_training_tells_what_the_others_saw() -> None:
    trainer = make_trainer(short("maml"))
    told: list[bool] = []

    def learn(learner: Learner, experiences: list[Experience]) -> Metrics:
        told.extend(e.others is not None for e in experiences)
        return {}

    trainer.learn = learn
    trainer.step()
    assert told == [True, True]

"""Training of teams: rows of agents are to learners what worlds are."""

from typing import ClassVar

import pytest
import torch

from meta.experience.rollout import by_task, collect, task_groups
from meta.learner import Learner, Sizes
from meta.recipes.registry import make_config
from meta.training.build import make_learner, make_trainer, make_worlds
from meta.training.config import TrainCfg, replaced
from meta.training.trainer import Trainer
from tasks.env import Env
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.parameters import Parameter
from tasks.rows import AGENT, agent_parameter
from tasks.teams.shove import Shove


class Alone(ReachRotated):
    """The family as a team of one."""

    agents: ClassVar[tuple[str, ...]] = ("solo",)
    # last: what is drawn before it stays as it was
    parameters: tuple[Parameter, ...] = (
        *ReachRotated.parameters,
        agent_parameter(("solo",)),
    )


def short(family: str, method: str, **more: object) -> TrainCfg:
    few = {"iterations": 2, "tasks": 4, "episodes": 5, "threads": 1, **more}
    return replaced(make_config(family, method), few)


def iterated(cfg: TrainCfg, env: Env) -> dict[str, torch.Tensor]:
    trainer = Trainer(cfg, env, make_learner(cfg, Sizes.of(env.family)))
    for _ in range(cfg.iterations):
        trainer.step()
    return trainer.theta


@pytest.mark.parametrize("method", ["maml", "oracle"])
def test_a_team_of_one_trains_as_the_robot_alone_bit_for_bit(method: str) -> None:
    """A central critic and parameters of its own make no difference to it."""
    cfg = short("reach-rotated", method)
    kinds = (ReachRotated, Alone)
    envs = [
        Env(kind(), worlds=cfg.worlds, oracle=cfg.privileged, threads=1)
        for kind in kinds
    ]
    other = replaced(cfg, {"critic": "all", "roles": "own"})
    alone, team = map(iterated, (cfg, other), envs)
    assert all(task.parameters.get(AGENT) == "solo" for task in envs[1].tasks)
    assert alone.keys() == team.keys()
    assert all(torch.equal(alone[name], team[name]) for name in alone)


@pytest.mark.parametrize("method", ["maml", "dr-memory", "explore"])
def test_a_team_trains(method: str) -> None:
    metrics = make_trainer(short("shove", method)).step()
    # 20 rows, as many episodes as there are phases, of 20 steps
    assert metrics["env_steps"] == 20 * 20 * short("shove", method).phases
    assert metrics["faults"] == 0


def test_agents_adapt_to_their_own_episodes_alone() -> None:
    cfg = short("shove", "maml")
    env, learner = make_worlds(cfg), make_learner(cfg)
    assert isinstance(learner, Learner)
    theta = learner.initial(env.obs_dim)
    tasks = env.family.sample("train", 0, 4)
    env.assign([task for task in tasks for _ in range(5)])
    rng = torch.Generator().manual_seed(0)
    start = learner.begin(theta, 4)
    lived = by_task(collect(env, learner.act(theta, start), rng), 4)
    other = lived._replace(reward=lived.reward.clone())
    other.reward[1] += torch.rand(other.reward[1].shape, generator=rng)
    one, two = (learner.adapt(theta, start, e) for e in (lived, other))
    for name in one:
        assert torch.equal(one[name][[0, 2, 3]], two[name][[0, 2, 3]])
    assert any(not torch.equal(one[name][1], two[name][1]) for name in one)


def test_teams_lie_side_by_side_where_tasks_are_counted() -> None:
    env = Env(Shove(), worlds=4, threads=1)
    tasks = env.family.sample("train", 0, 4)
    env.assign(tasks)
    assert len(task_groups(env)) == 4
    env.assign([*tasks[::2], *tasks[1::2]])
    with pytest.raises(ValueError, match="left, right, and so on; got left, left"):
        task_groups(env)


def test_teams_are_not_cut_in_two() -> None:
    with pytest.raises(ValueError, match=r"left, right.*multiples of 2, got 3"):
        make_trainer(short("shove", "dr", tasks=3))


def test_what_one_does_moves_the_other_s_load() -> None:
    """Rows of a world share its physics, and rows of other worlds do not."""
    env = Env(Shove(), worlds=4, threads=1)
    env.assign(env.family.sample("train", 0, 4))
    still = torch.zeros(4, 1)
    moved = still.clone()
    moved[1] = 1.0
    ends = list[torch.Tensor]()
    for action in (still, moved):
        env.reset(torch.Generator().manual_seed(0))
        ends.append([env.step(action).obs for _ in range(3)][-1])
    assert not torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][2:], ends[1][2:])

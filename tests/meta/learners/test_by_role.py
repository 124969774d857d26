"""Parameters of each role's own: what they are worth, and that they are its own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import mujoco
import pytest
import torch
from torch import Tensor

from meta.evaluation.finetuned import fine_tuned, from_scratch
from meta.experience.rollout import by_task, collect, mapped
from meta.learner import Sizes, exploring
from meta.learners.by_role import ByRole, within
from meta.learners.maml import Maml
from meta.recipes.registry import make_config
from meta.theta import Theta, group, prefixed
from meta.training.build import make_learner, make_trainer, make_training, make_worlds
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import TrainCfg, replaced, setting_names
from meta.training.trained import load_trained
from meta.training.trainer import Trainer
from tasks.contract import Values
from tasks.env import Env
from tasks.family import Family, Instant, Outcome
from tasks.parameters import Parameter
from tasks.rows import agent_parameter

FEW = {
    **{"iterations": 2, "tasks": 4, "episodes": 5, "threads": 1, "hidden": (8,)},
    **{"epochs": 3, "regression_epochs": 3},
}
APART = 0.6
"""Place, of either sign, that an agent of `Apart` is to go to."""


class Apart(Family):
    """Two agents that see nothing and are to go either way: |a| = 0.6, not a = 0."""

    name = "apart"
    summary = "two agents that observe alike go either way"
    success = "both have gone far enough"
    agents: ClassVar[tuple[str, ...]] = ("this", "that")
    horizon, substeps = 1, 1
    obs_dim, action_dim = 1, 1
    parameters: tuple[Parameter, ...] = (agent_parameter(("this", "that")),)
    fields = ()
    weights: ClassVar[Mapping[str, float]] = {"miss": -1.0}

    def compile(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(
            "<mujoco><worldbody><body><joint type='slide'/><geom size='1'/></body>"
            "</worldbody></mujoco>"
        )

    def model_fields(self, values: Values) -> Mapping[str, Tensor]:
        return {}

    def start(self, values: Values, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        still = torch.zeros(len(values["agent"]), 1)
        return still, still

    def control(self, now: Instant, action: Tensor) -> Tensor:
        return torch.zeros(len(action), 0)

    def observe(self, now: Instant) -> Tensor:
        return torch.zeros(len(now.progress), 2, 1)

    def judge(self, before: Instant, now: Instant, action: Tensor) -> Outcome:
        wanted = torch.tensor([APART, -APART])
        miss = (action[..., 0] - wanted).square().mean(-1)
        nothing = torch.zeros_like(miss, dtype=torch.bool)
        return Outcome(terms={"miss": miss}, success=nothing, terminated=nothing)


def small(method: str, **more: object) -> TrainCfg:
    cfg = make_config("shove", method)
    few = {k: v for k, v in FEW.items() if k in setting_names(cfg)}
    alone = {"episodes": 1} if method == "rl2" else {}
    return replaced(cfg, {**few, **alone, **more})


def by_role(cfg: TrainCfg) -> ByRole:
    learner = make_learner(cfg)
    assert isinstance(learner, ByRole)
    return learner


def test_agents_that_observe_alike_part_ways_with_parameters_of_their_own() -> None:
    """A shared policy can do no better than 0 on the mean: it misses by 0.36."""
    missed: dict[str, float] = {}
    for roles in ("shared", "own"):
        cfg = small("dr", roles=roles, iterations=25, min_std=0.05, epochs=12)
        env = Env(Apart(), worlds=cfg.worlds, threads=1)
        trainer = Trainer(cfg, env, make_learner(cfg, Sizes.of(Apart)))
        for _ in range(cfg.iterations):
            trainer.step()
        act = trainer.learner.act(
            trainer.theta, trainer.learner.begin(trainer.theta, cfg.tasks)
        )
        seen = collect(env, act, torch.Generator().manual_seed(0), explore=False)
        missed[roles] = -seen.returns.mean().item()
    assert missed["shared"] > 0.95 * APART**2
    assert missed["own"] < 0.1 * APART**2


@pytest.mark.parametrize("method", ["maml", "dr-memory", "oracle", "explore", "rl2"])
def test_equal_parameters_act_as_shared_ones(method: str) -> None:
    """So rows, adaptations and memories of either role are taken and put back."""
    cfg = small(method)
    shared, own = make_learner(cfg), by_role(replace(cfg, roles="own"))
    env = make_worlds(cfg)
    env.assign(
        [t for t in env.family.sample("train", 0, 4) for _ in range(cfg.episodes)]
    )
    theta = shared.initial(env.obs_dim)
    both = prefixed("left", theta) | prefixed("right", theta)
    one, two = shared.begin(theta, 4), own.begin(both, 4)
    for _ in range(1 + shared.inner_steps):
        rollouts = [
            collect(env, exploring(a, b, c), torch.Generator().manual_seed(1))
            for a, b, c in ((shared, theta, one), (own, both, two))
        ]
        assert torch.allclose(rollouts[0].action, rollouts[1].action, atol=1e-5)
        if shared.inner_steps:
            one = shared.adapt(theta, one, by_task(rollouts[0], 4))
            two = own.adapt(both, two, by_task(rollouts[1], 4))
            for name in one:
                assert torch.allclose(one[name], two[name], atol=1e-4)


@pytest.mark.parametrize("method", ["maml", "explore"])
def test_a_role_learns_from_its_own_agents_alone(method: str) -> None:
    """The right one's rewards move the right one's parameters, and no other."""
    cfg = small(method, roles="own")
    own, env = by_role(cfg), make_worlds(cfg)
    # of the explorer's learner all but the teacher
    own = own.stage(0.99)[0]
    begun = own.initial(env.obs_dim)
    env.assign([t for t in env.family.sample("train", 0, 4) for _ in range(5)])
    start = own.begin(begun, 4)
    rng = torch.Generator().manual_seed(0)
    lived = [by_task(collect(env, own.act(begun, start), rng), 4) for _ in range(2)]
    found: list[Theta] = []
    for bonus in (0.0, 1.0):
        theta = {k: v.clone() for k, v in begun.items()}
        e, last = (x._replace(reward=x.reward.clone()) for x in lived)
        for x in (e, last):
            x.reward[1::2] += bonus * x.action[1::2, ..., 0]
        own.update(theta, torch.optim.Adam(own.trainable(theta)), [e, last])
        found.append(theta)
    moved = {k for k in begun if not torch.equal(found[0][k], found[1][k])}
    assert {k.split("/")[0] for k in moved} == {"right"}
    for role in ("left", "right"):
        name = f"{role}/policy/" + ("decide." * (method == "explore")) + "log_std"
        assert not torch.equal(found[0][name], begun[name])


def test_roles_are_kept_in_one_file_and_trained_on(tmp_path: Path) -> None:
    cfg = small("explore", roles="own", iterations=4)
    whole, first = make_training(cfg), make_training(cfg)
    for _ in range(2):
        for run in (whole, first):
            run.step()
    save_checkpoint(tmp_path / "first.safetensors", first)
    again = resume_trainer(tmp_path / "first.safetensors")
    for _ in range(2):
        for run in (whole, again):
            run.step()
    assert all(torch.equal(v, again.theta[k]) for k, v in whole.theta.items())
    save_checkpoint(tmp_path / "whole.safetensors", whole)
    loaded = load_trained(str(tmp_path / "whole.safetensors"))
    assert isinstance(loaded.learner, ByRole)
    assert loaded.cfg.roles == "own"
    assert {k.split("/")[0] for k in loaded.theta} == {"left", "right"}
    assert all(torch.equal(v, loaded.theta[k]) for k, v in whole.theta.items())


def test_agents_of_one_role_share() -> None:
    learner = make_learner(small("dr"))
    own = ByRole(learner, ("carrier", "carrier", "lookout"))
    theta = own.initial(15)
    assert {k.split("/")[0] for k in theta} == {"carrier", "lookout"}
    assert len(own.trainable(theta)) == 2 * len(learner.trainable(learner.initial(15)))
    theta = {k: torch.full_like(v, k.startswith("lookout")) for k, v in theta.items()}
    for value in own.begin(theta, 6).values():
        who = value.flatten(1)[:, 0]
        assert who.tolist() == [0, 0, 1, 0, 0, 1]


def test_fine_tuning_tunes_each_role_s_own() -> None:
    trainer = make_trainer(small("dr", roles="own"))
    trainer.step()
    cfg, env = trainer.cfg, trainer.env
    dr = replace(
        load_trained("shipped:shove-dr"),
        cfg=cfg,
        learner=trainer.learner,
        theta=trainer.theta,
    )
    for tuned in (fine_tuned(dr, 1e-2), from_scratch(dr, 1e-2)):
        env.assign([t for t in env.family.sample("train", 0, 4) for _ in range(5)])
        start = tuned.begin(4)
        e = by_task(collect(env, start.act, torch.Generator().manual_seed(0)), 4)
        after = start.after(e)
        inside = within(tuned.learner)
        for i, role in enumerate(("left", "right", "left", "right")):
            own = {k: v[i : i + 1] for k, v in start.adaptation.items()}
            lived = mapped(e, lambda x, i=i: x[i : i + 1])
            alone = inside.adapt(group(tuned.theta, role), own, lived)
            for name, value in alone.items():
                assert torch.allclose(value[0], after.adaptation[name][i], atol=1e-5)


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("dr-sb3", {"roles": "own"}, "leave out roles, critic"),
        ("dr-sb3", {"critic": "all"}, "leave out roles, critic"),
        ("dr-sb3", {"outer_baseline": "network"}, "critic and outer_baseline"),
        ("rl2", {"roles": "own", "episodes": 2}, r"\(--episodes 1\), got 2"),
    ],
)
def test_what_cannot_be_is_refused(
    method: str, more: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_training(small(method, **more))


def test_a_part_of_a_team_is_refused() -> None:
    own = by_role(small("dr", roles="own"))
    with pytest.raises(ValueError, match=r"whole teams: .* multiples of 2, got 3"):
        own.begin(own.initial(15), 3)


def test_other_numbers_of_roles_than_of_agents_are_refused() -> None:
    class Three(Apart):
        roles: ClassVar[tuple[str, ...]] = ("a", "a", "b")

    with pytest.raises(ValueError, match="apart has 2 agents and states 3 roles"):
        Sizes.of(Three)


def test_one_robot_has_no_roles() -> None:
    cfg = replaced(make_config("reach-rotated", "dr"), {"roles": "own"})
    assert isinstance(make_learner(cfg), Maml)

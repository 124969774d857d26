"""Adapters: what they may see and remember, and that they infer what is hidden."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from meta.experience.batch import limit_episodes
from meta.experience.kept import experiences_of, tensors_of
from meta.experience.rollout import by_task, collect
from meta.learners.adapter import transitions
from meta.learners.rma import Rma
from meta.learners.rma_cfg import RmaCfg
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.build import make_trainer
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.trained import CHECKPOINT
from meta.training.trainer import Trainer
from policies.acting import RecurrentPolicy, Transition
from tasks.env import Env
from tasks.registry import make_family

WRONG = {
    "latent": -1,
    "teacher_share": 1.0,
    "regression_epochs": 0,
    "averaging": 1.0,
    "replay": -1,
}
ADAPTER = {"summary", "episode", "head", "average", "history"}


def trainer_of(method: str, **changes: object) -> Trainer:
    cfg = make_config("reach-rotated", method)  # pyright: ignore
    small = {"tasks": 4, "episodes": 5, "hidden": (16, 16), "threads": 1}
    return make_trainer(replace(cfg, **(small | changes)))  # pyright: ignore


def rma(trainer: Trainer) -> Rma:
    assert isinstance(trainer.learner, Rma)
    return trainer.learner


def plain_env(tasks: int, each: int) -> Env:
    env = Env(make_family("reach-rotated"), worlds=tasks * each, threads=1)
    drawn = env.family.sample("held-out", 0, tasks)
    env.assign([task for task in drawn for _ in range(each)])
    return env


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("method", ["rma", "sysid"])
def test_in_deployment_nothing_hidden_is_observed(method: str) -> None:
    trainer = trainer_of(method)
    learner, theta = rma(trainer), trainer.theta
    env = plain_env(4, 1)
    assert trainer.env.obs_dim > env.obs_dim
    memory = {"memory": torch.randn(4, learner.history.width, generator=rng()).abs()}
    act = learner.act(theta, memory)
    seen = env.reset(rng())
    told = torch.cat([seen, torch.randn(4, trainer.env.obs_dim - env.obs_dim)], -1)
    # in training the hidden parameters lie behind the observation: they are not read
    assert torch.equal(act(seen).mean, act(told).mean)
    steps = [
        Transition(o, seen[:, :2], seen[:, 0], o, torch.ones(4)) for o in (seen, told)
    ]
    first, second = (act.watch(act.memory, s) for s in steps)
    assert torch.equal(first, second)
    # and the teacher does read them
    teacher, _ = learner.stage(0.0)
    as_told = teacher.act(theta, teacher.begin(theta, 4))
    assert not torch.equal(as_told(told).mean, as_told(told.flip(0).roll(1, 0)).mean)


def test_watching_an_episode_and_adapting_on_it_leave_the_same_memory() -> None:
    trainer = trainer_of("rma")
    learner, theta = rma(trainer), trainer.theta
    env = plain_env(3, 2)
    start = learner.begin(theta, 3)
    rollout = collect(env, learner.act(theta, start), rng())
    adapted = learner.adapt(theta, start, by_task(rollout, 3))["memory"]
    act = learner.act(theta, start)
    memory = act.start(6)
    for t in range(env.horizon):
        seen = Transition(
            rollout.obs[t],
            rollout.action[t],
            rollout.reward[t],
            rollout.next_obs[t],
            torch.ones(6),
        )
        memory = act.watch(memory, seen)
    lived = memory[:, : learner.history.opened].reshape(3, 2, 1, -1)
    folded = learner.remember(theta, start["memory"], lived)
    torch.testing.assert_close(folded, adapted)
    assert adapted[:, -1].tolist() == [2.0 * env.horizon] * 3


def test_memory_changes_what_is_done_within_the_episode() -> None:
    trainer = trainer_of("rma")
    learner, theta = rma(trainer), trainer.theta
    act = learner.act(theta, learner.begin(theta, 3))
    forgetful = RecurrentPolicy(act.memory, act.policy, lambda memory, _: memory)
    first = collect(plain_env(3, 1), act, rng(), explore=False)
    second = collect(plain_env(3, 1), forgetful, rng(), explore=False)
    assert torch.equal(first.action[0], second.action[0])
    assert not torch.equal(first.action[1], second.action[1])


def test_the_teacher_learns_first_and_then_only_the_adapter() -> None:
    trainer = trainer_of("rma", iterations=4)
    for iteration in range(4):
        before = {k: v.detach().clone() for k, v in trainer.theta.items()}
        metrics = trainer.step()
        moved = {k for k, v in trainer.theta.items() if not torch.equal(v, before[k])}
        groups = {name.split("/")[0] for name in moved}
        [entry] = trainer.optimizer.param_groups
        # the step size falls to 0 over each stage
        assert entry["lr"] == trainer.cfg.learner.rate * (
            1.0 if iteration % 2 == 0 else 0.5
        )
        if iteration < 2:
            assert {"policy", "moments"} <= groups
            assert not groups & ADAPTER
        else:
            assert groups == ADAPTER
            assert "explained" in metrics


@pytest.mark.parametrize("method", ["rma", "sysid"])
def test_the_regression_finds_what_the_steps_show(method: str) -> None:
    trainer = trainer_of(method, tasks=30, iterations=2)
    learner, theta = rma(trainer), trainer.theta
    learner = Rma(
        replace(learner.cfg, regression_epochs=300, averaging=0.0, replay=0),
        learner.teacher,
        learner.policy,
        trainer.env.action_dim,
        hidden=16,
        rng=rng(),
    )
    trainer.step()  # scales observations
    tasks = trainer.env.family.sample("train", 7, 30)
    trainer.env.assign([task for task in tasks for _ in range(5)])
    start = learner.begin(theta, 30)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 30)
    wanted = learner.latent(theta, e)
    assert wanted.shape == (30, learner.policy.latent_dim)
    optimizer = torch.optim.Adam(learner.trainable(theta), lr=3e-3)
    learner.update(theta, optimizer, [e, e])
    with torch.no_grad():
        memory = learner.adapt(theta, start, e)["memory"]
        error = learner.infer(theta, memory) - wanted
    assert error.square().mean() < 0.3 * (wanted - wanted.mean(0)).square().mean()


def test_what_the_adapter_reads_is_scaled_by_what_it_met() -> None:
    """A teacher that earns 100 times as much does not make its reward unreadable."""
    trainer = trainer_of("rma", iterations=2)
    learner, theta = rma(trainer), trainer.theta
    trainer.step()
    start = learner.begin(theta, 4)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 4)
    theta["moments/square"] *= 1e4
    optimizer = torch.optim.Adam(learner.trainable(theta), lr=0.0)
    learner.update(theta, optimizer, [e, e])
    seen = learner._scaled(theta, transitions(e))[e.valid > 0]
    assert seen.shape[-1] == 2 * learner.policy.obs_dim + 1
    # what is clipped at 10 standard deviations moves the mean a little
    torch.testing.assert_close(seen.mean(0), torch.zeros(11), atol=0.05, rtol=0.0)
    assert 0.3 < seen.std(0)[-1] < 1.01
    # as they were first shipped, adapters read by the teacher's
    old = replace(learner.cfg, own_moments=False)
    learner.cfg = old
    assert learner._scaled(theta, transitions(e))[e.valid > 0].std(0)[-1] < 0.02
    assert not any(k.startswith("history") for k in learner.initial(5))


def test_the_adapter_infers_by_the_average_of_its_weights() -> None:
    trainer = trainer_of("rma", iterations=4)
    theta, name = trainer.theta, "head/2.weight"
    average = theta[f"average/{name}"].clone()
    trainer.iteration = 2
    for _ in range(2):
        trainer.step()
        average = 0.8 * average + 0.2 * theta[name].detach()
    torch.testing.assert_close(theta[f"average/{name}"], average)
    learner, memory = rma(trainer), torch.rand(3, rma(trainer).history.width)
    inferred = learner.infer(theta, memory)
    assert not inferred.equal(learner.infer(learner.learning(theta), memory))
    theta[name].detach().zero_()
    assert inferred.equal(learner.infer(theta, memory))


def test_all_episodes_are_regressed_and_some_are_remembered() -> None:
    """Those that are not adapted on tell what is inferred within them all the same."""
    trainer = trainer_of("rma", iterations=2)
    learner, theta = rma(trainer), trainer.theta
    trainer.step()  # gives the worlds their tasks
    start = learner.begin(theta, 4)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 4)
    few = limit_episodes(e, torch.full((4,), 2))
    assert few.whole.valid.equal(e.valid)
    wanted = torch.zeros(4, learner.policy.latent_dim)
    first = [learner.objective(theta, [x], wanted) for x in (e, few)]
    both = [learner.objective(theta, [x, e], wanted) for x in (e, few)]
    assert first[0].equal(first[1])
    assert not both[0].equal(both[1])


def test_what_is_regressed_is_what_is_inferred_step_by_step() -> None:
    """Before each step of the episodes that are adapted on, and of those after them."""
    trainer = trainer_of("rma", iterations=2)
    learner, theta = rma(trainer), trainer.theta
    trainer.step()
    start = learner.begin(theta, 4)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 4)
    wanted = torch.randn(4, learner.policy.latent_dim, generator=rng())
    errors: list[torch.Tensor] = []
    for adaptation in (start, learner.adapt(theta, start, e)):
        act = learner.act(theta, adaptation)
        memory = act.start(20)
        for step in range(trainer.env.horizon):
            latent = learner.infer(theta, memory).unflatten(0, (4, 5))
            errors.append((latent - wanted[:, None]).square().mean())
            seen = (x[:, :, step].flatten(0, 1) for x in transitions(e))
            memory = act.watch(memory, Transition(*seen))
    found = learner.objective(theta, [e, e], wanted)
    torch.testing.assert_close(found, torch.stack(errors).mean())


def test_earlier_episodes_are_of_no_use_where_they_are_forgotten() -> None:
    trainer = trainer_of("rma", iterations=2)
    learner, theta = rma(trainer), trainer.theta
    trainer.step()
    start = learner.begin(theta, 4)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 4)
    wanted = torch.zeros(4, learner.policy.latent_dim)
    alone, both = (learner.objective(theta, x, wanted) for x in ([e], [e, e]))
    assert not alone.equal(both)
    assert not learner.adapt(theta, start, e)["memory"].equal(start["memory"])
    learner.cfg = replace(learner.cfg, forgets=True)
    alone, both = (learner.objective(theta, x, wanted) for x in ([e], [e, e]))
    torch.testing.assert_close(alone, both)
    assert learner.adapt(theta, start, e)["memory"].equal(start["memory"])


def test_the_adapter_goes_on_learning_from_the_tasks_of_earlier_iterations() -> None:
    trainer = trainer_of("rma", iterations=6, measure_rounds=2)
    env, first, kept = trainer.env, Theta(), Theta()
    # an iteration of 4 tasks keeps 5 + 5 episodes of each
    steps = 4 * 10 * env.horizon
    learner = rma(trainer)
    learner.cfg = replace(learner.cfg, replay=2 * steps)
    for iteration in range(6):
        trainer.step()
        kept = trainer.memory
        assert len(kept.get("0/reward", ())) == min(8, max(0, 4 * (iteration - 2)))
        first = first or kept
    assert kept["0/valid"].shape == kept["1/valid"].shape == (8, 5, env.horizon)
    # nothing that it does not read
    assert {k.split("/")[1] for k in kept} == {
        *("obs", "next_obs", "action", "reward", "valid", "lived")
    }
    # of more than that the latest stay
    assert not any(x.equal(kept["0/obs"][0]) for x in first["0/obs"])
    # what is kept is learned from: other tasks, other weights
    experiences = experiences_of({k: v[4:] for k, v in kept.items()})
    learned: list[Theta] = []
    other = {k: v.clone() for k, v in kept.items()}
    other["0/next_obs"][6] += 1.0
    for earlier in (kept, kept, other):
        theta = {k: v.detach().clone() for k, v in trainer.theta.items()}
        optimizer = torch.optim.Adam(learner.trainable(theta), lr=1e-3)
        learner.relive(theta, optimizer, earlier, experiences, rng())
        learned.append(theta)
    a, b, c = (theta["head/2.weight"] for theta in learned)
    assert a.equal(b)
    assert not a.equal(c)


def test_kept_experience_comes_back_as_it_was() -> None:
    trainer = trainer_of("rma", iterations=2)
    trainer.step()
    learner, theta = rma(trainer), trainer.theta
    start = learner.begin(theta, 4)
    e = by_task(collect(trainer.env, learner.act(theta, start), rng()), 4)
    few = limit_episodes(e, torch.full((4,), 2))
    for before, after in zip(
        [few, e], experiences_of(tensors_of([few, e])), strict=True
    ):
        for name in ("obs", "next_obs", "action", "reward", "valid", "lived"):
            assert getattr(after, name).equal(getattr(before, name)), name
        assert after.old.log_prob(e.action).equal(before.old.log_prob(e.action))
        assert after.whole.valid.equal(e.valid)


def test_a_run_that_keeps_experience_goes_on_bit_for_bit(tmp_path: Path) -> None:
    trainer = trainer_of("rma", iterations=4)
    for _ in range(3):
        trainer.step()
    save_checkpoint(tmp_path / CHECKPOINT, trainer)
    again = resume_trainer(tmp_path / CHECKPOINT)
    assert again.memory["1/obs"].equal(trainer.memory["1/obs"])
    assert again.step() == trainer.step()
    for name, value in trainer.theta.items():
        assert again.theta[name].equal(value), name


def test_latents_are_the_parameters_themselves_for_identification() -> None:
    trainer = trainer_of("sysid")
    assert rma(trainer).policy.latent_dim == trainer.env.obs_dim - 5
    assert rma(trainer_of("rma")).policy.latent_dim == RmaCfg().latent


def test_what_leaves_nothing_to_learn_is_refused() -> None:
    for name, value in WRONG.items():
        with pytest.raises(ValueError, match=f"need .*{name}.*, got {value}"):
            RmaCfg(**{name: value})  # pyright: ignore

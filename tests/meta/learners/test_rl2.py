"""RL²: what it reads, that learning sees what acting saw, and what it comes to."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import ADAPT, MEASURE, Bench, Ledger
from meta.experience.rollout import Experience, by_task, collect, mapped, some_episodes
from meta.experience.trials import Trials, trials_of
from meta.learner import Sizes, adapt_to_worlds, sequential
from meta.learners.rl2 import Rl2
from meta.learners.rl2_cfg import Rl2Cfg
from meta.machine.seeds import derived_generator
from meta.recipes.registry import make_config
from meta.theta import Params, Theta
from meta.training.build import make_trainer
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import replaced
from meta.training.trained import Trained, export_policy, load_trained
from meta.training.trainer import Trainer
from policies.acting import Transition
from policies.distribution import divergence, parts
from policies.gaussian import Gaussian
from policies.mlp import PolicyCfg
from tasks.contract import Step
from tasks.registry import find_family, make_env
from tasks.task import Task

KINDS = ("gru", "transformer")
# fewer steps than a trial: the first ones are out of a transformer's sight at its end
SMALL = {"width": 16, "layers": 2, "heads": 2, "context": 7}
SIZES = Sizes(obs=3, hidden=0, action=2)
HORIZON = 5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(kind: str, sizes: Sizes = SIZES, **changes: float) -> tuple[Rl2, Theta]:
    """A learner whose networks have something to say, and moments."""
    cfg = Rl2Cfg(memory=kind, **SMALL | changes)  # pyright: ignore
    network = PolicyCfg(hidden=(8,), initial_std=0.3)
    learner = Rl2.build(cfg, network, sizes, seeded())
    theta, rng = learner.initial(sizes.obs), seeded(1)
    for name, value in theta.items():
        if name.startswith(("memory/", "policy/mean", "value/")):
            value += 0.3 * torch.randn(value.shape, generator=rng)
    for name in ("moments", "worth"):
        theta[f"{name}/count"] += 10.0
        mean = theta[f"{name}/mean"]
        mean += torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        theta[f"{name}/square"] += 30.0
    learner.trainable(theta)
    return learner, theta


def lived(
    tasks: int = 2, episodes: int = 3, seed: int = 0, ends: Sequence[int] = (5, 2, 4)
) -> Experience:
    """Random episodes, which end after some steps; later steps are noise."""
    rng, shape = seeded(seed), (tasks, episodes, HORIZON)

    def noise(*more: int) -> Tensor:
        return torch.randn(*shape, *more, generator=rng)

    lengths = torch.tensor([*ends, *ends])[:episodes].expand(tasks, -1).clone()
    lengths[-1] = lengths[-1].flip(0)
    valid = (torch.arange(HORIZON) < lengths[..., None]).float()
    return Experience(
        obs=noise(3),
        next_obs=noise(3),
        action=noise(2),
        old=Gaussian(0.1 * noise(2), torch.zeros(*shape, 2)),
        reward=noise(),
        valid=valid,
        lived=valid,
    )


def episode(e: Experience, index: int) -> Experience:
    keep = slice(index, index + 1)
    return some_episodes(e, keep)


def step_by_step(
    learner: Rl2, theta: Theta, e: Experience
) -> tuple[list[list[Tensor]], list[Params]]:
    """Means as acting has them, by task and in order, and each adaptation."""
    stages = [learner.begin(theta, len(e.valid))]
    means: list[list[Tensor]] = [[] for _ in e.valid]
    for i in range(e.valid.shape[1]):
        act = learner.act(theta, stages[-1])
        memory = act.start(len(e.valid))
        for t in range(HORIZON):
            valid = e.valid[:, i, t]
            located, _ = parts(act.policy(e.obs[:, i, t], memory))
            for task, mean in enumerate(located):
                if valid[task]:
                    means[task].append(mean)
            row = e.obs[:, i, t], e.action[:, i, t], e.reward[:, i, t]
            seen = Transition(*row, e.next_obs[:, i, t], valid)
            memory = act.watch(memory, seen)
        stages.append(learner.adapt(theta, stages[-1], episode(e, i)))
        # the end of an episode is all that acting could not tell
        differs = (memory - stages[-1]["memory"]).abs() > 1e-5
        assert differs.sum(0).nonzero().tolist() == [[memory.shape[1] - 1]]
    return means, stages


def whole(learner: Rl2, theta: Theta, trials: Trials) -> Tensor:
    with torch.no_grad():
        mean, _ = parts(learner._outputs(theta, trials)[0])
    return mean


# -- the memory ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_read_at_once_is_what_acting_saw_step_by_step(kind: str) -> None:
    learner, theta = made(kind)
    e = lived()
    with torch.no_grad():
        means, stages = step_by_step(learner, theta, e)
        at_once = whole(learner, theta, trials_of([e]))
        together = learner.adapt(theta, stages[0], e)
    for task, own in enumerate(means):
        steps = torch.stack(own)
        assert len(steps) == e.valid[task].sum()
        torch.testing.assert_close(
            at_once[task, : len(steps)], steps, atol=1e-5, rtol=0
        )
    torch.testing.assert_close(
        together["memory"], stages[-1]["memory"], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_later_changes_nothing_before(kind: str) -> None:
    learner, theta = made(kind, context=20)
    trials = trials_of([lived()])
    before = whole(learner, theta, trials)
    for name in ("obs", "next_obs", "action", "reward"):
        later = getattr(trials, name).clone()
        later[:, 6] += 1.0
        after = whole(learner, theta, trials._replace(**{name: later}))
        # of its own step, only the observation is known when it is acted
        own = 6 if name == "obs" else 7
        assert after[:, :own].equal(before[:, :own]), name
        changed = (after - before)[:, own:11].abs().amax(-1) > 1e-6
        assert changed.all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_memory_crosses_episodes_and_no_tasks(kind: str) -> None:
    learner, theta = made(kind, context=20)
    e, start = lived(), learner.begin(theta, 2)
    once = learner.adapt(theta, start, e)["memory"]
    other = e.reward.clone()
    other[0, 0, 0] += 1.0
    changed = learner.adapt(theta, start, e._replace(reward=other))["memory"]
    moved = (changed - once).abs().amax(-1) > 1e-6
    assert moved.tolist() == [True, False]
    obs = torch.randn(4, 3, generator=seeded(5))
    act = learner.act(theta, {"memory": once})
    # two worlds of each task begin with its memory
    [a, b], [c, d] = act(torch.cat([obs[:1]] * 4)).mode.detach().split(2)
    assert a.allclose(b)
    assert c.allclose(d)
    assert not a.allclose(c)
    fresh = learner.act(theta, start)(obs[:2]).mode
    assert not fresh.allclose(act(obs[:2]).mode)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_after_an_episodes_end_is_not_read(kind: str) -> None:
    learner, theta = made(kind)
    e, start = lived(), learner.begin(theta, 2)
    past = (1 - e.valid)[..., None]
    other = e._replace(
        obs=e.obs + past, next_obs=e.next_obs + past, action=e.action + past
    )
    found = learner.adapt(theta, start, other)["memory"]
    assert found.equal(learner.adapt(theta, start, e)["memory"])
    nothing = e._replace(valid=torch.zeros_like(e.valid))
    assert learner.adapt(theta, {"memory": found}, nothing)["memory"].equal(found)
    rows = [trials_of([x]) for x in (e, other)]
    means = [whole(learner, theta, t) for t in rows]
    valid = rows[0].valid > 0
    assert means[0][valid].equal(means[1][valid])


def test_a_transformer_sees_no_farther_than_its_context() -> None:
    learner, theta = made("transformer", layers=1)
    trials = trials_of([lived()])
    first = torch.eye(15)[:1, :, None]  # and no change of the observation
    other = trials._replace(obs=trials.obs + first, next_obs=trials.next_obs + first)
    moved = whole(learner, theta, other)
    moved = (moved - whole(learner, theta, trials)).abs().amax(-1) > 1e-6
    assert moved[:, :7].all()
    assert not moved[:, 7:].any()


# -- trials and advantages -----------------------------------------------------------


def test_trials_hold_every_step_in_order() -> None:
    e = lived(tasks=2, episodes=3)
    trials = trials_of([e])
    for task in range(2):
        kept = e.valid[task] > 0
        count = int(kept.sum())
        for name in ("obs", "next_obs", "action", "reward"):
            row = getattr(trials, name)[task]
            assert row[:count].equal(getattr(e, name)[task][kept]), name
        assert trials.valid[task].tolist() == [1.0] * count + [0.0] * (15 - count)
        assert trials.first[task].sum() == 3
    assert trials.first[0].nonzero()[:, 0].tolist() == [0, 5, 7]
    # shares of the episode, and of the trial's episodes
    assert trials.clock[0, 6].tolist() == pytest.approx([1 / 5, 1 / 3])
    assert trials.fresh.equal(trials.valid)


def test_episodes_from_one_memory_end_trials_of_their_own() -> None:
    before = [lived(episodes=1, seed=i) for i in (1, 2)]
    last = lived(episodes=2, seed=3)
    trials = trials_of([*before, last])
    assert trials.obs.shape[:2] == (4, 15)
    steps = sum(int(e.valid.sum()) for e in (*before, last))
    assert trials.fresh.sum() == steps
    assert trials.fresh[::2].equal(trials.valid[::2])
    shared = [int(e.valid[1].sum()) for e in before]
    for row, ending in ((2, 0), (3, 1)):
        kept = last.valid[1, ending] > 0
        own = trials.obs[row, sum(shared) :][: int(kept.sum())]
        assert own.equal(last.obs[1, ending][kept])
        assert trials.obs[row, : shared[0]].equal(before[0].obs[1, 0, : shared[0]])
    assert not trials.fresh[3, : sum(shared)].any()
    assert trials.fresh[3, sum(shared) :].equal(trials.valid[3, sum(shared) :])


def test_advantages_go_on_across_the_ends_of_episodes() -> None:
    learner, theta = made("gru", discount=0.9, trace=0.8)
    e = lived()
    trials = trials_of([e])
    with torch.no_grad():
        _, said = learner._outputs(theta, trials)
    mean, spread = learner._scale(theta)
    batch, value = learner.batch(theta, trials), said * spread + mean
    found, every = list[list[float]](), list[float]()
    for task in range(2):
        rewards = e.reward[task][e.valid[task] > 0].tolist()
        values = [*value[task, : len(rewards)].tolist(), 0.0]
        advantage, own = 0.0, list[float]()
        for t in reversed(range(len(rewards))):
            delta = rewards[t] + 0.9 * values[t + 1] - values[t]
            advantage = delta + 0.9 * 0.8 * advantage
            own.insert(0, advantage)
        found.append(own)
        every += own
    scale = torch.tensor(every).std(correction=0)
    for task, own in enumerate(found):
        expected, n = torch.tensor(own), len(own)
        standard = (expected - torch.tensor(every).mean()) / scale
        close = {"atol": 1e-4, "rtol": 1e-4}
        torch.testing.assert_close(batch.advantage[task, :n], standard, **close)
        target = batch.target[task, :n] * spread + mean
        torch.testing.assert_close(target, expected + value[task, :n], **close)


# -- the gradient --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(kind: str) -> None:
    learner, theta = made(kind, width=4, heads=1, layers=1)
    e = mapped(lived(), Tensor.double)
    theta = {k: v.detach().double() for k, v in theta.items()}
    leaves = learner.trainable(theta)
    names = [k for k, v in theta.items() if v.requires_grad]
    assert {n.split("/")[0] for n in names} == {"memory", "policy", "value"}
    batch = learner.batch(theta, trials_of([e]))
    # away from the kinks of the clipped ratio
    old = learner._outputs(theta, batch.trials)[0].log_prob(batch.trials.action)
    batch = batch._replace(old_log_prob=old.detach() + 0.05)
    gradients = torch.autograd.grad(learner.objective(theta, batch)[0], leaves)
    rng, step = seeded(7), 1e-6
    for name, gradient in zip(names, gradients, strict=True):
        way = torch.randn(gradient.shape, generator=rng, dtype=torch.float64)
        ends: list[float] = []
        for sign in (1, -1):
            moved = theta | {name: theta[name].detach() + sign * step * way}
            ends.append(learner.objective(moved, batch)[0].item())
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (gradient * way).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


# -- training, evaluation and files --------------------------------------------------


class Bandit:
    """Worlds with two arms that pay with a hidden probability, uniform in [0, 1]."""

    obs_dim, action_dim, horizon = 1, 2, 2
    oracle, device, team = False, torch.device("cpu"), 1
    tasks: tuple[Task, ...] = ()

    def __init__(self, worlds: int) -> None:
        self.worlds = worlds

    @property
    def family(self) -> "Bandit":
        return self

    def sample(self, split: str, seed: int, count: int) -> list[Tensor]:
        return list(torch.rand(count, 2, generator=seeded(seed % 2**31)))

    def assign(self, tasks: Sequence[Tensor]) -> None:
        self.pays = torch.stack(list(tasks))

    def reset(self, rng: torch.Generator) -> Tensor:
        self.time, self.rng = 0, rng
        return self.seen()

    def seen(self) -> Tensor:
        return torch.zeros(self.worlds, 1)

    def earn(self, action: Tensor) -> Tensor:
        chance = (self.pays * action).sum(-1)
        return (torch.rand(self.worlds, generator=self.rng) < chance).float()

    def step(self, action: Tensor) -> Step:
        self.time += 1
        reward = self.earn(action)
        nothing = torch.zeros(self.worlds, dtype=torch.bool)
        return Step(
            obs=self.seen(),
            reward=reward,
            terminated=nothing,
            truncated=nothing | (self.time == self.horizon),
            fault=nothing,
            success=nothing,
            terms={},
        )


PULLS = 10


@cache
def best(left: int, won: tuple[int, int] = (0, 0), lost: tuple[int, int] = (0, 0)):
    """Return the value of the best play of two arms, by dynamic programming."""
    if not left:
        return 0.0
    values: list[float] = []
    for arm in (0, 1):
        more = [tuple(n + (i == arm) for i, n in enumerate(x)) for x in (won, lost)]
        chance = (won[arm] + 1) / (won[arm] + lost[arm] + 2)
        gain = 1 + best(left - 1, more[0], lost)  # pyright: ignore
        values.append(
            chance * gain + (1 - chance) * best(left - 1, won, more[1])  # pyright: ignore
        )
    return max(values)


class Ring(Bandit):
    """Worlds of five places in a ring, of which one that is not the start pays.

    It is the same in all episodes of a task; an action is a step to either side, or
    none.
    """

    obs_dim, action_dim, horizon = 5, 3, 4

    def sample(self, split: str, seed: int, count: int) -> list[Tensor]:
        rng = seeded(seed % 2**31)
        return list(torch.randint(1, self.obs_dim, (count,), generator=rng))

    def reset(self, rng: torch.Generator) -> Tensor:
        self.place = torch.zeros(self.worlds, dtype=torch.long)
        return super().reset(rng)

    def seen(self) -> Tensor:
        return torch.eye(self.obs_dim)[self.place]

    def earn(self, action: Tensor) -> Tensor:
        self.place = (self.place + action.argmax(-1) - 1) % self.obs_dim
        return (self.place == self.pays).float()


@cache
def best_on_a_ring(left: int, place: int, maybe: frozenset[int]) -> float:
    """Return the value of the best play of a ring, by dynamic programming.

    Args:
        left: steps that are left of the trial.
        place: where it is.
        maybe: places that may pay, as far as is known.
    """
    if not left:
        return 0.0
    if not left % Ring.horizon:
        place = 0  # an episode begins
    values: list[float] = []
    for way in (-1, 0, 1):
        there = (place + way) % Ring.obs_dim
        hit = (there in maybe) / len(maybe)
        found, rest = frozenset({there}), maybe - {there}
        value = hit * (1 + best_on_a_ring(left - 1, there, found)) if hit else 0.0
        if hit < 1:
            value += (1 - hit) * best_on_a_ring(left - 1, there, rest)
        values.append(value)
    return max(values)


RING_STEPS = 12
"""Steps of a trial of three episodes."""


def trained_on(
    worlds: type[Bandit], kind: str, iterations: int, trials: int, steps: int
) -> Trainer:
    episodes = steps // worlds.horizon
    settings = Rl2Cfg(
        memory=kind,  # pyright: ignore
        inner_steps=episodes - 1,
        width=32,
        heads=2,
        layers=1,
        context=steps,
        rate=6e-3 if kind == "gru" else 3e-3,
        discount=1.0,
        epochs=6,
        minibatches=2,
    )
    cfg = replace(
        make_config("reach-rotated", "rl2"),
        learner=settings,
        tasks=trials,
        iterations=iterations,
    )
    network = PolicyCfg(hidden=(32,))
    sizes = Sizes(worlds.obs_dim, 0, worlds.action_dim, discrete=True)
    learner = Rl2.build(settings, network, sizes, seeded())
    trainer = Trainer(cfg, worlds(trials), learner)  # pyright: ignore
    for _ in range(iterations):
        trainer.step()
    return trainer


def earned(
    trainer: Trainer,
    worlds: type[Bandit] = Bandit,
    steps: int = PULLS,
    *,
    forgets: bool = False,
) -> float:
    """Return a trial's mean pay, acting by the mode; perhaps without a memory."""
    learner, theta, env = trainer.learner, trainer.theta, worlds(4000)
    env.assign(env.sample("test", 99, env.worlds))
    adaptation, total, rng = learner.begin(theta, env.worlds), 0.0, seeded(5)
    for _ in range(steps // env.horizon):
        act = learner.act(theta, adaptation)
        rollout = collect(env, act, rng, explore=False)  # pyright: ignore
        total += rollout.returns.mean().item()
        if not forgets:
            seen = by_task(rollout, env.worlds)
            adaptation = learner.adapt(theta, adaptation, seen)
    return total


def test_the_dynamic_programme_is_right_where_it_is_done_by_hand() -> None:
    assert best(1) == 0.5
    # the same arm again after a win, else the other: 1/2 + (2/3 + 1/2) / 2
    assert best(2) == pytest.approx(0.5 + (2 / 3 + 1 / 2) / 2)


@pytest.mark.slow
def test_it_learns_to_play_a_bandit_across_episodes() -> None:
    trainer = trained_on(Bandit, "gru", 30, 100, PULLS)
    assert earned(trainer) > 0.95 * best(PULLS)
    # two pulls alone tell too little
    assert earned(trainer, forgets=True) < 0.93 * best(PULLS)


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_close_to_the_best_play_of_a_bandit(kind: str) -> None:
    trainer = trained_on(Bandit, kind, 80, 300, PULLS)
    assert earned(trainer) > 0.98 * best(PULLS)
    assert earned(trainer) < 1.01 * best(PULLS)


def test_the_best_play_of_a_ring_is_right_where_it_is_done_by_hand() -> None:
    # known, it is one step away or two, and then pays at every step
    known = [best_on_a_ring(4, 0, frozenset({goal})) for goal in range(1, 5)]
    assert known == [4, 3, 3, 4]
    # unknown: there at once, or on to the next one, too late for the other side
    assert best_on_a_ring(2, 1, frozenset({2, 3, 4})) == pytest.approx(2 / 3 + 1 / 3)
    # of three episodes the first finds two of the four, and else excludes them
    first = best_on_a_ring(4, 0, frozenset({1, 2, 3, 4}))
    assert first < best_on_a_ring(RING_STEPS, 0, frozenset({1, 2, 3, 4})) / 3


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_close_to_the_best_play_of_a_small_mdp(kind: str) -> None:
    most = best_on_a_ring(RING_STEPS, 0, frozenset({1, 2, 3, 4}))
    trainer = trained_on(Ring, kind, 80, 300, RING_STEPS)
    # the standard error of the mean over 4,000 tasks is half a percent
    assert 0.98 * most < earned(trainer, Ring, RING_STEPS) < 1.01 * most
    # that searches anew in each episode
    assert earned(trainer, Ring, RING_STEPS, forgets=True) < 0.9 * most


TINY = {
    **{"hidden": (8,), "epochs": 2, "width": 8, "heads": 2, "context": 40},
    **{"threads": 1, "iterations": 6, "tasks": 2, "inner_steps": 2},
}


def tiny(kind: str, **changes: object) -> Trainer:
    method = "rl2" if kind == "gru" else "rl2-transformer"
    return make_trainer(replaced(make_config("reach-rotated", method), TINY | changes))


@pytest.mark.parametrize("kind", KINDS)
def test_learning_sees_the_policy_that_acted(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each world lives its own trial, and several measured episodes branch off."""
    trainer = tiny(kind, episodes=3, measure_rounds=2)
    learner, kept = trainer.learner, []
    assert isinstance(learner, Rl2)
    for _ in range(2):
        trainer.step()
    monkeypatch.setattr(learner, "update", lambda *given: kept.append(given[-1]) or {})
    trainer.step()
    [experiences] = kept
    assert [e.valid.shape[:2] for e in experiences] == [(6, 1), (6, 1), (6, 2)]
    trials = trials_of(experiences)
    with torch.no_grad():
        new, _ = learner._outputs(trainer.theta, trials)
    moved = divergence(trials.old, new)[trials.valid > 0]
    assert moved.abs().max() < 1e-6
    assert len(moved) == 6 * 2 * 3 * 25


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    kind: str, tmp_path: Path
) -> None:
    whole = tiny(kind)
    for _ in range(2):
        whole.step()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, whole)
    resumed = resume_trainer(path)
    for _ in range(2):
        assert whole.step() == resumed.step()
    for name, value in whole.theta.items():
        assert resumed.theta[name].equal(value), name
    export_policy(str(tmp_path), tmp_path / "policy.safetensors")
    obs, policies = torch.randn(4, 5), list[Tensor]()
    for source in (tmp_path, tmp_path / "policy.safetensors"):
        loaded = load_trained(str(source))
        env = make_env(find_family("reach-rotated"), worlds=4, oracle=False, threads=1)
        drawn = env.family.sample("held-out", 0, 2)
        env.assign([task for task in drawn for _ in range(2)])
        policies.append(loaded.adapt(env).act(obs).mode.detach())
    assert policies[0].equal(policies[1])
    assert not policies[0].equal(loaded.begin(2).act(obs).mode)


@pytest.fixture
def trained() -> Trained:
    trainer = tiny("gru")
    trainer.step()
    values = {"iteration": 1, "env_steps": 0, "source": "here"}
    return Trained(
        cfg=trainer.cfg, learner=trainer.learner, theta=trainer.theta, **values
    )


def test_evaluation_plays_each_episode_knowing_the_ones_before(
    trained: Trained,
) -> None:
    cfg = EvaluationCfg(tasks=3, measure_episodes=2, threads=1, seed=3)
    family = find_family("reach-rotated")
    tasks = family.sample("held-out", 3, 3)
    ledger = Ledger()
    rows = Bench(tasks, cfg).curve(trained, (0, 1, 3), ledger)
    assert ledger.adapt == 3 * 3 * family.horizon
    assert ledger.adapt_episodes == 3 * 3
    one = make_env(family, worlds=3, oracle=False, threads=1)
    two = make_env(family, worlds=6, oracle=False, threads=1)
    one.assign(tasks)
    two.assign([task for task in tasks for _ in range(2)])
    adapted, rng, told = trained.begin(3), derived_generator(3, ADAPT, 0), []
    found = {0: adapted}
    for k in (1, 2, 3):
        rollout = collect(one, adapted.act, rng)
        told.append(rollout.returns)
        adapted = adapted.after(by_task(rollout, 3))
        found[k] = adapted
    for row in rows:
        fixed = derived_generator(3, MEASURE, 0)
        measured = collect(two, found[row.episodes].act, fixed, explore=False)
        assert row.returns.equal(measured.returns.reshape(3, 2).mean(1))
        if row.during is not None:
            each = torch.stack(told[: row.episodes])
            torch.testing.assert_close(row.during, each.mean(0))
    assert not rows[0].returns.equal(rows[2].returns)


def test_adapting_to_worlds_takes_them_in_turn(trained: Trained) -> None:
    env = make_env(find_family("reach-rotated"), worlds=6, oracle=False, threads=1)
    drawn = env.family.sample("held-out", 0, 2)
    env.assign([task for task in drawn for _ in range(3)])
    learner, theta, rng = trained.learner, trained.theta, seeded()
    adaptation = learner.begin(theta, 2)
    for turn in range(3):
        e = by_task(collect(env, learner.act(theta, adaptation), rng), 2)
        adaptation = learner.adapt(theta, adaptation, episode(e, turn))
    start = learner.begin(theta, 2)
    found = adapt_to_worlds(learner, theta, start, env, seeded())
    assert found["memory"].equal(adaptation["memory"])
    assert trained.adapt(env, seed=0).adaptation["memory"].equal(found["memory"])


def test_it_says_that_it_is_sequential_and_takes_as_many_env_steps() -> None:
    for method in ("rl2", "rl2-transformer"):
        cfg = make_config("reach-rotated", method)
        assert sequential(make_trainer(replaced(cfg, TINY)).learner)
        assert (cfg.tasks, cfg.episodes, cfg.phases) == (50, 1, 6)
        other = make_config("cheetah-direction", method)
        assert (other.tasks, other.phases) == (80, 5)
    assert not sequential(make_trainer(replace(make_config("push"), tasks=1)).learner)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inner_steps": 0}, "need 1 <= inner_steps <= 100, got 0"),
        ({"width": 10**6}, "need 1 <= width <= 4,096, got 1000000"),
        ({"memory": "transformer", "width": 20}, "must be a multiple of 8 for 4 heads"),
        ({"discount": 0.0}, "need 0 < discount <= 1"),
        ({"rate": 0.0}, "need rate > 0, got 0.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Rl2Cfg(**changes)

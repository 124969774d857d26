"""Fine-tuning: PPO on a task's own episodes, task by task."""

from functools import cache

import pytest
import torch

from meta.evaluation.finetuned import RATES, fine_tuned, from_scratch, tuned
from meta.experience.rollout import Experience, by_task, collect, mapped
from meta.learners.finetune import FineTune
from meta.training.trained import Trained, load_trained
from tasks.env import Env
from tasks.registry import make_family

FAMILY = "reach-rotated"


@cache
def robust() -> Trained:
    return load_trained(f"shipped:{FAMILY}-dr")


def experience(trained: Trained, tasks: int, episodes: int) -> Experience:
    env = Env(make_family(FAMILY), worlds=tasks * episodes, threads=1)
    drawn = env.family.sample("held-out", 0, tasks)
    env.assign([task for task in drawn for _ in range(episodes)])
    act = trained.learner.act(
        trained.theta, trained.learner.begin(trained.theta, tasks)
    )
    rollout = collect(env, act, torch.Generator().manual_seed(0))
    return by_task(rollout, tasks)


def part(e: Experience, task: int) -> Experience:
    return mapped(e, lambda x: x[task : task + 1])


def test_each_task_is_tuned_as_if_it_were_alone() -> None:
    trained = fine_tuned(robust(), 1e-3)
    learner, theta = trained.learner, trained.theta
    e = experience(trained, 3, 2)
    together = learner.adapt(theta, learner.begin(theta, 3), e)
    for task in range(3):
        alone = learner.adapt(theta, learner.begin(theta, 1), part(e, task))
        for name, value in alone.items():
            torch.testing.assert_close(
                together[name][task], value[0], atol=1e-5, rtol=0
            )


def test_the_surrogate_rises_and_the_robust_policy_stays() -> None:
    trained = fine_tuned(robust(), 1e-3)
    learner, theta = trained.learner, trained.theta
    assert isinstance(learner, FineTune)
    before = {k: v.clone() for k, v in theta.items()}
    e = experience(trained, 4, 5)
    batch = learner.base.inner_batch(theta, e)
    start = learner.begin(theta, 4)
    after = learner.adapt(theta, start, e)
    losses = [
        torch.func.vmap(learner._loss)(params, batch).mean()
        for params in (start, after)
    ]
    assert losses[1] < losses[0] - 0.05
    assert all(torch.equal(v, before[k]) for k, v in theta.items())
    assert all(torch.equal(start[k][0], v) for k, v in _policy(before).items())


def _policy(theta: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        k.removeprefix("policy/"): v
        for k, v in theta.items()
        if k.startswith("policy/")
    }


def test_from_scratch_knows_nothing() -> None:
    fresh, known = from_scratch(robust(), 1e-2), robust()
    assert fresh.env_steps == 0
    for name, value in _policy(known.theta).items():
        assert not torch.equal(value, fresh.theta[f"policy/{name}"]), name
    again = from_scratch(robust(), 1e-2)
    assert all(torch.equal(v, again.theta[k]) for k, v in fresh.theta.items())


def test_the_step_size_is_chosen_on_training_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, float]] = []

    def worth(trained: Trained, episodes: int, device: str) -> float:
        assert isinstance(trained.learner, FineTune)
        kind = "scratch" if trained.env_steps == 0 else "dr"
        asked.append((kind, trained.learner.rate))
        best = {"scratch": RATES[-1], "dr": RATES[1]}[kind]
        return -abs(trained.learner.rate - best)

    monkeypatch.setattr("meta.evaluation.finetuned._worth", worth)
    tuned_dr, scratch = tuned([robust(), robust()], 5, "cpu")
    assert len(asked) == 2 * len(RATES)
    for group, rate in ((tuned_dr, RATES[1]), (scratch, RATES[-1])):
        assert len(group) == 2
        for trained in group:
            assert isinstance(trained.learner, FineTune)
            assert trained.learner.rate == rate


def test_what_adapts_by_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="adapts by itself"):
        fine_tuned(load_trained(f"shipped:{FAMILY}"), 1e-3)

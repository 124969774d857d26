"""Senses: likelihood ratios against planted ones, and what they tell of real tasks."""

import pytest
import torch

from meta.continual.habits import Habits
from meta.continual.odds import by_distance, log_odds, log_ratio
from meta.continual.senses import Senses, fit_senses, remembers, returns_of
from meta.experience.rollout import Experience, by_task, collect
from meta.library.embedding import Embedding, features_after, live_with
from meta.training.trained import Trained, load_trained
from policies.gaussian import Gaussian
from tasks.registry import find_family, make_env


def with_one(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x, torch.ones_like(x)], dim=-1)


def test_the_ratio_of_two_normal_distributions() -> None:
    """log N(x; 1, 1) / N(x; -1, 1) = 2 x."""
    g = torch.Generator().manual_seed(0)
    these = torch.randn(20_000, generator=g) + 1
    others = torch.randn(5_000, generator=g) - 1
    slope, start = log_ratio(with_one(these), with_one(others)).tolist()
    assert slope == pytest.approx(2.0, rel=0.05)
    assert start == pytest.approx(0.0, abs=0.1)  # also with more of one kind


def test_odds_are_of_kinds_as_often_as_they_are_met() -> None:
    """Log odds of P(these) = 1 / (1 + d^2) are -2 log d."""
    g = torch.Generator().manual_seed(0)
    away = 10 ** (2 * torch.rand(40_000, generator=g) - 1.5)
    these = torch.rand(len(away), generator=g) < 1 / (1 + away**2)
    slope, start = log_odds(by_distance(away), these).tolist()
    assert slope == pytest.approx(-2.0, rel=0.05)
    assert start == pytest.approx(0.0, abs=0.1)
    # of one kind alone distances tell nothing
    none = torch.zeros(9, dtype=torch.bool)
    assert log_odds(by_distance(away[:9]), none).exp().tolist() == pytest.approx(
        [1.0, 0.1]
    )


def senses(likeness: list[list[float]]) -> Senses:
    embedding = Embedding(
        mean=torch.zeros(2).double(),
        projection=torch.eye(2).double(),
        nearest=torch.zeros(0, 0),
    )
    return Senses(
        embedding=embedding,
        likeness=torch.tensor(likeness),
        weights=torch.zeros(3),
        alarm=1.0,
        known=torch.tensor([[0.0, 3.0], [0.0, 6.0]]),
        service=torch.tensor([-1.0, 0.0]),
    )


def test_recognition_is_bayes_rule() -> None:
    """Ratios r of n tasks, each with prior 1/2n, give r_i / (sum r + n)."""
    s = senses([[0.0, 0.0], [-2.0, 0.0], [-1.0, 1.0]])
    away = torch.tensor([0.5, 1.0])
    found = s.recognise(away, "explored")  # ratios 1 / d^2: 4 and 1
    assert found.tolist() == pytest.approx([4 / 7, 1 / 7])
    # an episode that tells nothing leaves half of the probability to a new task
    assert s.recognise(away, "mistaken").sum().item() == pytest.approx(0.5)


def test_what_serves_is_weighed_by_which_task_it_may_be() -> None:
    """Ratios of tasks at distances d from the query are 1 / d^2, and halved for two.

    What is known at a distance D from the task serves with probability 1 / (1 + D).
    """
    s = senses([[-2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    entries = torch.tensor([[2.0, 0.0], [5.0, 0.0]])
    task = torch.tensor([1 / 4, 1 / 25, 1 / 9, 1 / 36])  # two earlier, two of training
    task = task / task.sum()
    away = torch.tensor([[1e-3, 3.0, 13**0.5, 40**0.5], [3.0, 1e-3, 34**0.5, 61**0.5]])
    found = s.serve(torch.zeros(2), entries)
    assert found.tolist() == pytest.approx(((1 / (1 + away)) @ task).tolist(), rel=1e-5)


def test_returns_are_of_steps_that_count() -> None:
    x = torch.zeros(1, 2, 3, 1)
    reward = torch.tensor([[[1.0, 1.0, 5.0], [2.0, 2.0, 2.0]]])
    valid = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]])
    e = Experience(x, x, x, Gaussian(x, x), reward, valid)
    assert returns_of(e).tolist() == [4.0]


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained("shipped:open-explore")


@pytest.fixture(scope="module")
def fitted(policy: Trained) -> Senses:
    return fit_senses(policy, tasks=60, threads=2)


@pytest.mark.slow
def test_a_changed_task_is_told_from_the_same(policy: Trained, fitted: Senses) -> None:
    """On held-out tasks, of which the fit knows nothing."""
    family = find_family("open", "cpu")
    tasks = family.sample("held-out", 3, 40)
    explored = live_with(policy, family, tasks, 1, 0, 2)
    belief = policy.begin(40).after(explored)
    env = make_env(family, worlds=40, threads=2)

    def read(turn: int) -> torch.Tensor:
        adaptation = {k: v.roll(turn, 0) for k, v in belief.adaptation.items()}
        env.assign(tasks)
        act = policy.learner.act(policy.theta, adaptation)
        rng = torch.Generator().manual_seed(turn)
        lived = by_task(collect(env, act, rng, explore=False), 40)
        return fitted.read(policy, adaptation, lived)

    same, other = read(0), read(1)
    matters = torch.tensor(
        [
            a.parameters["mechanism"] != b.parameters["mechanism"]
            for a, b in zip(tasks, tasks[-1:] + tasks[:-1], strict=True)
        ]
    )
    assert (same > fitted.alarm).float().mean() < 0.15
    assert (other[matters] > fitted.alarm).float().mean() > 0.8


@pytest.mark.slow
def test_a_task_is_recognised(policy: Trained, fitted: Senses) -> None:
    family = find_family("open", "cpu")
    kinds = {t.parameters["mechanism"]: t for t in family.sample("held-out", 3, 40)}
    tasks = list(kinds.values())
    lived = live_with(policy, family, tasks, 4, 0, 2)
    entries, queries = (
        fitted.embedding(features_after(policy, lived, part))
        for part in (slice(1, 4), slice(1))
    )
    right = 0
    for i, query in enumerate(queries):
        sure = fitted.recognise((entries - query).norm(dim=1), "explored")
        right += int(sure.argmax()) == i and float(sure.max()) > Habits().sure
    assert right >= len(tasks) - 2
    assert remembers(policy)
    assert not remembers(load_trained("shipped:open"))

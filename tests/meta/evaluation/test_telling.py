"""A policy that is told: words help, and where there are none nothing is lost."""

import json

import numpy as np
import pytest
import torch

from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.telling import beliefs_of, tell, untold
from meta.evaluation.worth import TOLD, UNTOLD, worth
from meta.language.belief import Belief, Names, Number
from meta.language.codebook import describe, understand
from meta.language.evidence import Evidence
from meta.learners.told import Told
from meta.training.trained import Trained, load_trained
from tasks.registry import find_family, make_env

OPEN = find_family("open")
CFG = EvaluationCfg(tasks=16, seed=3, episodes=(0, 1), measure_episodes=2, threads=1)


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained("shipped:open-explore")


@pytest.fixture(scope="module")
def evidence(policy: Trained) -> Evidence:
    return fit_evidence(policy, tasks=120, imagined=512, threads=1)


def returns(policy: Trained) -> list[np.ndarray]:
    tasks = OPEN.sample(CFG.split, CFG.seed, CFG.tasks)
    rows = Bench(tasks, CFG).curve(policy, CFG.episodes, Ledger())
    return [row.returns.numpy() for row in rows]


def test_words_help_in_the_first_episode_and_steps_correct_wrong_ones(
    policy: Trained, evidence: Evidence
) -> None:
    tasks = OPEN.sample(CFG.split, CFG.seed, CFG.tasks)
    said = [understand(OPEN.hidden, describe(OPEN.hidden, t.parameters)) for t in tasks]
    before = returns(policy)
    right = returns(tell(policy, evidence, said))
    wrong = returns(tell(policy, evidence, said[5:] + said[:5]))
    assert right[0].mean() > before[0].mean() + 0.25
    assert right[0].mean() > wrong[0].mean() + 0.1
    assert wrong[1].mean() == pytest.approx(before[1].mean(), abs=0.03)


def test_told_nothing_it_acts_as_it_did(policy: Trained, evidence: Evidence) -> None:
    for told, before in zip(
        returns(tell(policy, evidence, [Belief()])), returns(policy), strict=True
    ):
        assert np.array_equal(told, before)


def test_after_an_episode_it_speaks_of_what_it_inferred_alone(
    policy: Trained, evidence: Evidence
) -> None:
    tasks = OPEN.sample("held-out", 7, 30)
    env = make_env(OPEN, worlds=30, threads=1)
    env.assign(tasks)
    told = tell(policy, evidence, [Belief()])
    assert beliefs_of(told.begin(30)) == [Belief()] * 30
    found = beliefs_of(told.adapt(env))
    names = [b.about["mechanism"] for b in found]
    right = [
        isinstance(x, Names) and x.best == t.parameters["mechanism"]
        for x, t in zip(names, tasks, strict=True)
    ]
    assert np.mean(right) > 0.9
    assert not any("damping" in b.about for b in found)


def test_nine_in_ten_true_values_lie_within_ninety_percent(
    policy: Trained, evidence: Evidence
) -> None:
    """The latch of held-out tasks, which five episodes tell something of."""
    tasks = OPEN.sample("held-out", 8, 60)
    env = make_env(OPEN, worlds=300, threads=1)
    env.assign([t for t in tasks for _ in range(5)])
    inside = 0
    for belief, task in zip(
        beliefs_of(policy.adapt(env), evidence), tasks, strict=True
    ):
        latch = belief.about["latch"]
        assert isinstance(latch, Number)
        assert latch.unit == "N"
        low, high = latch.interval
        inside += low <= float(task.parameters["latch"]) <= high
    assert 0.8 <= inside / 60 <= 0.98


def test_the_worth_of_words_is_reported_apart_where_they_are_wrong(
    policy: Trained, evidence: Evidence
) -> None:
    belief = Belief(about={"mechanism": Names(probability={"drawer": 1.0})})
    told = tell(policy, evidence, [belief])
    found = worth([told], belief, CFG, text="a drawer")
    tasks = OPEN.sample(CFG.split, CFG.seed, CFG.tasks)
    assert found.holds.tolist() == [
        t.parameters["mechanism"] == "drawer" for t in tasks
    ]
    assert found.actual["mechanism"] == "drawer"
    assert found.gain(0, holding=True).value > 0.1
    raw = json.loads(found.to_json())
    assert raw["belief"] == {"mechanism": {"drawer": 1.0}}
    assert set(raw["returns"]) == {TOLD, UNTOLD, "random"}
    assert set(found.inferred) == {0, 1}


def test_words_that_hold_for_no_task_gain_nothing_there(
    policy: Trained, evidence: Evidence
) -> None:
    belief = Belief(about={"latch": Number(mean=500.0, std=1.0)})
    told = tell(policy, evidence, [Belief()])
    cfg = EvaluationCfg(tasks=2, episodes=(0,), measure_episodes=1, threads=1)
    found = worth([told], belief, cfg)
    assert not found.holds.any()
    assert np.isnan(found.gain(0, holding=True).value)
    assert json.loads(found.to_json())["gain"]["0"][0]["value"] is None


def test_each_task_is_told_its_own(policy: Trained, evidence: Evidence) -> None:
    told = tell(policy, evidence, [Belief(), Belief()])
    prior = told.begin(2).adaptation["prior"]
    assert prior.shape == (2, 512)
    with pytest.raises(ValueError, match="2 beliefs for 3 tasks"):
        told.begin(3)


def test_what_it_is_told_anew_replaces_what_it_was_told(
    policy: Trained, evidence: Evidence
) -> None:
    first = Belief(about={"mechanism": Names(probability={"drawer": 1.0})})
    told = tell(tell(policy, evidence, [first]), evidence, [Belief()])
    assert isinstance(told.learner, Told)
    assert not isinstance(told.learner.inner, Told)
    assert torch.equal(told.learner.prior, torch.zeros(1, 512))
    assert untold(told).learner is policy.learner


def test_evidence_is_of_one_policy(policy: Trained, evidence: Evidence) -> None:
    other = load_trained("shipped:open-explore-seed1")
    with pytest.raises(ValueError, match="checksum"):
        tell(other, evidence, [Belief()])
    with pytest.raises(ValueError, match="was told nothing"):
        beliefs_of(policy.begin(1))


@pytest.mark.parametrize("name", ["open", "open-oracle", "open-dr"])
def test_a_policy_that_infers_no_latent_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="rma, sysid or explore"):
        fit_evidence(load_trained(f"shipped:{name}"))

"""Agents of a team tell each other, in the world's terms, and new ones hear."""

import numpy as np
import pytest
import torch

import pliant
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.messaging import messages_of
from meta.evaluation.telling import tell, tell_adapted
from meta.language.belief import Belief, Number
from meta.language.evidence import Evidence
from meta.training.swapping import swapped
from meta.training.trained import Adapted, Trained, load_trained
from tasks.contract import Worlds
from tasks.registry import find_family, make_env

SHOVE = find_family("shove")
TASKS = SHOVE.sample("held-out", 3, 24)
ENDS = ("friction_left", "friction_right")


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained("shipped:shove-explore")


@pytest.fixture(scope="module")
def evidence(policy: Trained) -> Evidence:
    return fit_evidence(policy, tasks=60, imagined=1024, threads=1)


@pytest.fixture(scope="module")
def env() -> Worlds:
    env = make_env(SHOVE, worlds=len(TASKS), threads=1)
    env.assign(TASKS)
    return env


@pytest.fixture(scope="module")
def team(policy: Trained, env: Worlds) -> Adapted:
    return policy.adapt(env)


def earned(adapted: Adapted, env: Worlds) -> float:
    return float(adapted.measure(env, seed=7).returns.mean())


def test_every_agent_speaks_of_the_ends_as_the_world_names_them(
    team: Adapted, evidence: Evidence
) -> None:
    """The latents of the two are mirrored, and their beliefs are not."""
    sent = messages_of(team, evidence)
    assert [m.sender for m in sent[:2]] == [
        "shipped:shove-explore, left",
        "shipped:shove-explore, right",
    ]
    for agent in range(2):
        for end in ENDS:
            said = [m.belief.about[end] for m in sent[agent::2]]
            means = np.array([x.mean for x in said if isinstance(x, Number)])
            actual = np.array([float(t.parameters[end]) for t in TASKS[agent::2]])
            left = np.mean((means - actual) ** 2) / np.var(actual)
            assert left < 0.2, (agent, end)


def test_a_new_robot_that_hears_its_mate_does_as_well_as_the_old_one(
    team: Adapted, evidence: Evidence, env: Worlds
) -> None:
    said = [m.belief for m in messages_of(team, evidence)]
    whole = earned(team, env)
    for i, agent in enumerate(SHOVE.agents):
        new = swapped(team, agent)
        rows = [said[row ^ 1] if row % 2 == i else Belief() for row in range(24)]
        told = tell_adapted(new, evidence, rows, doubt=0.1)
        assert earned(new, env) < whole - 0.15
        assert earned(told, env) > whole - 0.05


def test_a_team_that_is_told_nothing_acts_as_it_did_to_the_bit(
    team: Adapted, evidence: Evidence, env: Worlds
) -> None:
    told = tell_adapted(team, evidence, [Belief()])
    a, b = (x.measure(env, seed=1).returns for x in (team, told))
    assert torch.equal(a, b)


def test_what_was_lived_stays_and_what_was_told_goes(
    team: Adapted, evidence: Evidence
) -> None:
    about = {"load_x": Number(mean=0.1, std=0.02, unit="m")}
    once = tell_adapted(team, evidence, [Belief(about=about)])
    assert once.adaptation["prior"].abs().max() > 1
    again = tell_adapted(once, evidence, [Belief()])
    assert torch.equal(again.adaptation["memory"], team.adaptation["memory"])
    assert not again.adaptation["prior"].any()
    with pytest.raises(ValueError, match="3 beliefs for 24 tasks"):
        tell_adapted(team, evidence, [Belief()] * 3)


def test_a_swapped_agent_knows_nothing_and_the_others_what_they_knew(
    team: Adapted, evidence: Evidence
) -> None:
    about = {"load_x": Number(mean=0.1, std=0.02, unit="m")}
    told = tell_adapted(team, evidence, [Belief(about=about)])
    new = swapped(told, "right")
    for name, value in new.adaptation.items():
        assert torch.equal(value[0::2], told.adaptation[name][0::2])
        assert not torch.equal(value[1::2], told.adaptation[name][1::2])
    begun = team.policy.begin(24).adaptation["memory"]
    assert torch.equal(new.adaptation["memory"][1::2], begun[1::2])
    assert not new.adaptation["prior"][1::2].any()
    with pytest.raises(ValueError, match="no agent 'middle' on shove; agents: left"):
        swapped(team, "middle")


def test_one_robot_has_nobody_to_swap() -> None:
    alone = load_trained("shipped:open-explore").begin(2)
    with pytest.raises(ValueError, match="none, for it is no team"):
        swapped(alone, "left")


def test_a_message_to_some_is_doubted_as_a_message(
    team: Adapted, evidence: Evidence
) -> None:
    known = tell(team.policy, evidence, [Belief()])
    mixed = [Belief(), *messages_of(team, evidence)[:1]] * 12
    told = pliant.tell(team._replace(policy=known), mixed)
    assert isinstance(told, Adapted)
    least = told.adaptation["prior"][1::2].exp().amin(1)
    assert least.numpy() == pytest.approx(0.1, abs=0.03)
    assert not told.adaptation["prior"][0::2].any()

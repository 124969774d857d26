"""Lives of teams: each agent lives for itself, in worlds that all of them share."""

from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

import meta.continual.journal
import meta.continual.senses
from meta.continual.agent import Agent
from meta.continual.draw import make_stream
from meta.continual.film import recording_file
from meta.continual.habits import Habits
from meta.continual.journal import begin_life, live_on
from meta.continual.life import (
    Lived,
    by_agent,
    live,
    live_episode,
    live_steadily,
    take_in,
)
from meta.continual.senses import Senses, fit_senses
from meta.continual.stream import Stream, Visit
from meta.continual.trials import Trials
from meta.experience.rollout import Experience
from meta.library.embedding import live_with
from meta.recording.replay import verify
from meta.recording.trajectory import load_recording
from meta.training.trained import Trained, load_trained
from tasks.manipulation.open import Open
from tasks.parameters import Parameter
from tasks.registry import make_env
from tasks.rows import AGENT, agent_parameter
from tasks.task import Task
from tasks.teams.shove import SIDES, Shove

SHOVE = Shove()
ENDS = ("friction_left", "friction_right")


class Alone(Open):
    """The family as a team of one."""

    agents: ClassVar[tuple[str, ...]] = ("solo",)
    parameters: tuple[Parameter, ...] = (*Open.parameters, agent_parameter(("solo",)))


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained("shipped:shove-explore")


@pytest.fixture(scope="module")
def senses(policy: Trained) -> Senses:
    return fit_senses(policy, tasks=30, threads=1)


def ends(task: Task) -> list[object]:
    return [task.parameters[name] for name in (*ENDS, "load_x")]


def bare(rows: list[Lived]) -> list[object]:
    """Everything of some episodes but names, which say the agent's too."""
    kept: list[object] = []
    for r in rows:
        n = r.noticed
        heard = n and (
            repr(n.evidence),
            n.alarm,
            n.gave_up,
            bool(n.recalled),
            n.entries,
        )
        kept.append((r.moment, r.returns, r.success, r.explored, heard))
    return kept


def test_every_agent_lives_the_same_visits_as_itself() -> None:
    stream = make_stream(SHOVE, visits=4, seed=0)
    left, right = stream.by_agent(SHOVE)
    assert left == stream
    assert (left.visits, left.step) == (right.visits, right.step)
    for a, b in zip(left.tasks, right.tasks, strict=True):
        assert [a.parameters[AGENT], b.parameters[AGENT]] == list(SIDES)
        assert ends(a) == ends(b)
    twice = Stream(
        kind="x",
        seed=0,
        tasks=(left.tasks[0], right.tasks[0]),
        visits=(Visit(0, 1), Visit(1, 1)),
    )
    with pytest.raises(ValueError, match="all different"):
        twice.by_agent(SHOVE)


@pytest.mark.parametrize("seed", [0, 1])
def test_one_agents_part_changes_alone(seed: int) -> None:
    stream = make_stream(SHOVE, visits=8, seed=seed, changes="agent")
    mine, other = ENDS if seed == 0 else ENDS[::-1]
    assert len({t.parameters[mine] for t in stream.tasks}) == len(stream.tasks) == 4
    assert len({t.parameters[other] for t in stream.tasks}) == 1
    assert len({t.parameters["load_x"] for t in stream.tasks}) == 1


def test_all_of_a_task_changes_and_one_agents_part_by_turns() -> None:
    stream = make_stream(SHOVE, "fresh", visits=8, seed=0, changes="both")
    kept = [
        [a == b for a, b in zip(ends(before), ends(after), strict=True)]
        for before, after in pairwise(stream.tasks)
    ]
    # by turns the left and the right end, on each new load
    none, left, right = [False] * 3, [False, True, True], [True, False, True]
    assert kept == [left, none, right, none, left, none, right]


def test_a_ramp_of_one_agents_part() -> None:
    ramp = make_stream(
        SHOVE, "ramp", visits=2, episodes=(3, 3), seed=1, changes="agent"
    )
    assert len({t.parameters["friction_right"] for t in ramp.tasks}) == 6
    assert len({t.parameters["friction_left"] for t in ramp.tasks}) == 1


def test_changes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="one of task, agent, both; got 'mate'"):
        make_stream(SHOVE, changes="mate")
    with pytest.raises(ValueError, match="family open is of one robot: leave changes"):
        make_stream("open", changes="both")
    with pytest.raises(ValueError, match=r"open is agent solo's own.*ends with _solo"):
        make_stream(Alone(), changes="agent")


@pytest.mark.slow
def test_a_team_of_one_lives_as_the_robot_alone_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = load_trained("shipped:open-explore")
    found: list[tuple[Senses, list[object]]] = []
    for family in (Open(), Alone()):
        # a checkpoint names its family, and this one is not in the registry
        monkeypatch.setattr(
            meta.continual.senses, "find_family", lambda *_, f=family: f
        )
        senses = fit_senses(policy, tasks=20, threads=1)
        stream = make_stream(family, visits=4, episodes=(2, 3), seed=1)
        env = make_env(family, worlds=1, threads=1)
        agent = Agent(policy, senses, Habits())
        rows = [row for [row] in live([agent], [stream], env, 3)]
        assert {r.agent for r in rows} == set(family.agents or [""])
        found.append((senses, bare(rows)))
    (alone, one), (team, other) = found
    assert one == other
    assert (alone.alarm, alone.weights.tolist()) == (team.alarm, team.weights.tolist())
    assert torch.equal(alone.embedding.projection, team.embedding.projection)


@pytest.mark.slow
def test_agents_are_told_their_own_episodes_alone(
    policy: Trained, senses: Senses
) -> None:
    streams = [make_stream(SHOVE, visits=2, seed=s) for s in (0, 1)]
    rows = [own for stream in streams for own in stream.by_agent(SHOVE)]
    agents = [Agent(policy, senses, Habits()) for _ in rows]
    env = make_env(SHOVE, worlds=4, threads=1)
    rollout, moments = live_episode(agents, rows, env, 0, 0)
    lived = take_in(agents, rows, rollout, moments, 0)
    assert [r.agent for r in lived] == [*SIDES, *SIDES]
    assert [r.task for r in lived] == [own.tasks[0].hash for own in rows]
    for i, agent in enumerate(agents):
        [part] = agent.segment.parts
        assert torch.equal(part.episode.obs[0, 0], rollout.obs[:, i])
        only = policy.begin(1).after(part.episode).adaptation
        assert all(torch.equal(agent.adaptation[k], only[k]) for k in only)
    # the ends come to rest together, and each pays for its own effort
    a, b = rollout.returns.unflatten(0, (2, 2)).T
    assert 0 < (a - b).abs().max() < 0.1
    assert len({id(agent.library) for agent in agents}) == 4


@pytest.mark.slow
def test_one_explores_while_the_other_acts(policy: Trained, senses: Senses) -> None:
    stream = make_stream(SHOVE, visits=2, episodes=(2, 2), seed=0)
    agents = [Agent(policy, senses, Habits(explore=n)) for n in (1, 2)]
    env = make_env(SHOVE, worlds=2, threads=1)
    life = [row for rows in live(agents, [stream], env, 0) for row in rows]
    left, right = by_agent(life).values()
    assert [r.explored for r in left[:2]] == [True, False]
    assert [r.explored for r in right[:2]] == [True, True]
    env = make_env(SHOVE, worlds=2, threads=1)
    calm = [row for rows in live_steadily(policy, [stream], env, 0) for row in rows]
    assert [r.agent for r in calm] == [r.agent for r in life]
    assert not any(r.explored or r.noticed for r in calm)
    with pytest.raises(ValueError, match=r"1 worlds take as many streams.*got 2"):
        next(live(agents, [stream] * 2, env, 0))
    with pytest.raises(ValueError, match="2 rows take as many agents, got 1"):
        next(live(agents[:1], [stream], env, 0))


@pytest.mark.slow
def test_senses_are_fitted_to_whole_teams(
    policy: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few worlds there are at once; a wrong belief is another team's."""
    monkeypatch.setattr(Shove, "max_worlds", 21)
    ran: list[tuple[int, str]] = []
    acted = Trials.acted

    def watched(self: Trials, belief: Any, turn: int, agent: str = "") -> Experience:
        ran.append((turn, agent))
        return acted(self, belief, turn, agent)

    monkeypatch.setattr(Trials, "acted", watched)
    fit_senses(policy, tasks=15, threads=1)  # of 8 teams
    assert ran == [
        (turn, agent)
        for turns in ((0, 0), (2, 4))
        for agents in ([""], SIDES)
        for turn in turns
        for agent in agents
    ]


@pytest.mark.slow
def test_a_team_mate_that_explores_is_no_change(
    policy: Trained, senses: Senses
) -> None:
    """On held-out teams, of which the fit knows nothing."""
    tasks = SHOVE.sample("held-out", 3, 60)
    belief = policy.begin(60).after(live_with(policy, SHOVE, tasks, 1, 0, 1))
    trials = Trials(policy, SHOVE, tasks, torch.Generator().manual_seed(1), 1)
    right = belief.adaptation
    wrong = {k: v.roll(2, 0) for k, v in right.items()}
    beside = trials.beside(belief, 0)
    calm = senses.read(policy, right, beside) > senses.alarm
    changed = senses.read(policy, wrong, trials.beside(belief, 2)) > senses.alarm
    assert calm.float().mean() < 0.2
    assert changed.float().mean() > 0.6


@pytest.mark.slow
def test_a_stopped_life_of_a_team_goes_on(
    policy: Trained,
    senses: Senses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meta.continual.journal, "fit_senses", lambda *_, **__: senses)
    stream = make_stream(SHOVE, visits=4, episodes=(2, 3), seed=0, changes="agent")
    whole, other = tmp_path / "whole", tmp_path / "other"
    for folder in (whole, other):
        begin_life(folder, policy, stream, Habits(), threads=1)
    lived = list(live_on(whole, policy, threads=1))
    assert [r.agent for r in lived] == [*SIDES] * len(stream)
    # after both agents, between them, and before either
    for stop in (4, 7, 0):
        list(islice(live_on(other, policy, threads=1), stop))
    assert repr(lived) == repr(list(live_on(other, policy, threads=1)))
    for kind in ("*.safetensors", "*.npz"):
        mine, others = (sorted(f.rglob(kind)) for f in (whole, other))
        assert len(mine) >= len(stream)
        for a, b in zip(mine, others, strict=True):
            assert a.read_bytes() == b.read_bytes(), b
    for r in lived:
        recording = load_recording(recording_file(whole / "episodes", r.moment.episode))
        assert verify(recording) == 0.0
        assert ends(recording.task) == ends(stream.tasks[r.moment.task])
        assert recording.after.actions.shape == (SHOVE.horizon, 2)
    path = whole / "episodes/000000.safetensors"
    save_file({k: v[:1].clone() for k, v in load_file(path).items()}, path)
    with pytest.raises(ValueError, match=r"000000.safetensors is no episode"):
        next(live_on(whole, policy, threads=1))

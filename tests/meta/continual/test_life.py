"""Lives: what agents meet, what a folder keeps, and a life that goes on."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from meta.continual.agent import Agent
from meta.continual.draw import make_stream
from meta.continual.film import recording_file
from meta.continual.habits import Habits
from meta.continual.journal import begin_life, live_on, load_life
from meta.continual.life import Lived, live, live_steadily
from meta.continual.senses import Senses, fit_senses
from meta.continual.stream import Stream
from meta.experience.rollout import by_task, collect
from meta.library.library import Entry
from meta.machine.seeds import derived_generator
from meta.recording.replay import verify
from meta.recording.trajectory import load_recording
from meta.training.trained import Trained, load_trained
from tasks.registry import find_family, make_env

FAMILY = find_family("open", "cpu")


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained("shipped:open-explore")


@pytest.fixture(scope="module")
def senses(policy: Trained) -> Senses:
    return fit_senses(policy, tasks=30, threads=2)


def streams(count: int, visits: int = 4) -> list[Stream]:
    return [
        make_stream(FAMILY, visits=visits, episodes=(2, 3), seed=s)
        for s in range(count)
    ]


def agents(policy: Trained, senses: Senses, count: int, **habits: int) -> list[Agent]:
    return [Agent(policy, senses, Habits(**habits), seed=i) for i in range(count)]


def same(a: list[Lived], b: list[Lived]) -> bool:
    """Equal, where NaN is NaN."""
    return repr(a) == repr(b)


@pytest.mark.slow
def test_lives_side_by_side(policy: Trained, senses: Senses) -> None:
    three = streams(3)
    env = make_env(FAMILY, worlds=3, threads=2)
    rows = list(live(agents(policy, senses, 3), three, env, 5))
    assert [len(r) for r in rows] == [
        sum(i < len(s) for s in three) for i in range(max(map(len, three)))
    ]
    first = [r[0] for r in rows if r]
    met = [three[0].tasks[m.task].hash for m in three[0].moments()]
    assert [r.task for r in first[: len(met)]] == met
    assert first[0].explored
    assert not all(r.explored for r in first)
    again = list(live(agents(policy, senses, 3), three, env, 5))
    assert all(same(a, b) for a, b in zip(rows, again, strict=True))
    env = make_env(FAMILY, worlds=3, threads=2)
    calm = list(live_steadily(policy, three, env, 5))
    assert [[r.moment for r in a] for a in calm] == [
        [r.moment for r in a] for a in rows
    ]
    assert all(r.noticed is None for a in calm for r in a)


@pytest.mark.slow
def test_what_is_kept_of_others_stays_as_it_was(
    policy: Trained, senses: Senses
) -> None:
    """Told which task it is, an agent has one entry of each, and adds to this alone."""
    stream = make_stream(FAMILY, visits=7, episodes=(2, 2), seed=1)
    agent = Agent(policy, senses, Habits(notice="task", acted=True))
    env = make_env(FAMILY, worlds=1, threads=1)
    left, kept = "", dict[str, Entry]()
    for [row] in live([agent], [stream], env, 0):
        now = {entry.note: entry for entry in agent.library.entries}
        assert len(now) == len(agent.library)
        for name, before in kept.items():
            assert (now[name] is before) == (name != left or row.moment.age > 0)
        left, kept = row.task, now
    # the last visit goes on
    assert len(kept) == len({v.task for v in stream.visits[:-1]}) == 3


@pytest.mark.slow
def test_exploring_and_acting_lives_do_not_mix(policy: Trained, senses: Senses) -> None:
    """A life is the same whether its neighbour explores or acts."""
    one = streams(1, visits=2) * 2
    found = []
    for explore in (0, 3):
        a = Agent(policy, senses, Habits(explore=2, look=0))
        b = Agent(policy, senses, Habits(explore=explore, look=0))
        env = make_env(FAMILY, worlds=2, threads=2)
        found.append([r[0].returns for r in live([a, b], one, env, 1)])
    assert found[0] == found[1]


@pytest.mark.slow
def test_gradient_steps_go_on_from_where_they_led(
    policy: Trained, senses: Senses
) -> None:
    """Without end each episode is sampled by what the one before made of the policy.

    Worlds, states and steps are worked out here once more, one after another.
    """
    family = find_family("reach-rotated", "cpu")
    maml = load_trained("shipped:reach-rotated")
    stream = make_stream(family, visits=2, episodes=(2, 2), seed=3)
    endless = Habits(recall="none", alert=False, look=0, explore=0, endless=True)
    # its senses are never asked
    agent = Agent(maml, senses, endless)
    env = make_env(family, worlds=1, threads=1)
    rows = [row for [row] in live([agent], [stream], env, 7)]
    assert all(row.explored for row in rows)
    adapted = maml.begin(1)
    for moment, row in zip(stream.moments(), rows, strict=True):
        env.assign([stream.tasks[moment.task]])
        rng = derived_generator(7, moment.episode)
        rollout = collect(env, adapted.explore, rng)
        assert float(rollout.returns[0]) == row.returns
        adapted = adapted.after(by_task(rollout, 1))
    for name, value in adapted.adaptation.items():
        assert torch.equal(value, agent.adaptation[name])
        assert not torch.equal(value, maml.begin(1).adaptation[name])


@pytest.mark.slow
def test_a_task_changes_inside_an_episode() -> None:
    """The oracle of the second half earns what `collect` with a change earns."""
    family = find_family("strike", "cpu")
    policy = load_trained("shipped:strike-rma")
    inside = [make_stream(family, visits=2, episodes=(1, 1), inside=True)]
    between = [make_stream(family, visits=2, episodes=(1, 1), inside=False)]
    env = make_env(family, worlds=1, threads=1)
    a, b = (
        [r[0].returns for r in live_steadily(policy, s, env, 0)]
        for s in (inside, between)
    )
    assert a != b
    other = [*inside, *between]
    with pytest.raises(ValueError, match="change at one step"):
        next(live_steadily(policy, other, make_env(family, worlds=2, threads=1), 0))


@pytest.fixture(scope="module")
def whole(policy: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    begin_life(folder, policy, streams(1)[0], Habits(look=0), threads=2)
    return folder


@pytest.mark.slow
def test_a_stopped_life_goes_on(policy: Trained, whole: Path, tmp_path: Path) -> None:
    lived = list(live_on(whole, policy, threads=2))
    assert len(lived) == len(load_life(whole).stream)
    # from its files alone
    assert same(lived, list(live_on(whole, policy, threads=2)))
    begin_life(tmp_path, policy, streams(1)[0], Habits(look=0), threads=2)
    for stop in (1, 4, 5):
        list(islice(live_on(tmp_path, policy, threads=2), stop))
    assert same(lived, list(live_on(tmp_path, policy, threads=2)))
    for kind in ("*.safetensors", "*.npz"):
        mine, others = (sorted(f.rglob(kind)) for f in (whole, tmp_path))
        assert mine
        for a, b in zip(mine, others, strict=True):
            assert a.read_bytes() == b.read_bytes(), b


@pytest.mark.slow
def test_every_episode_can_be_replayed(policy: Trained, whole: Path) -> None:
    lived = list(live_on(whole, policy, threads=2))
    for r in lived:
        recording = load_recording(recording_file(whole / "episodes", r.moment.episode))
        assert verify(recording) == 0.0
        assert recording.after.rewards.sum() == pytest.approx(r.returns, abs=1e-5)
        assert recording.task.hash == r.task
    firsts = [r for r in lived if r.moment.age == 0]
    second = load_recording(
        recording_file(whole / "episodes", firsts[1].moment.episode + 1)
    )
    first = load_recording(recording_file(whole / "episodes", firsts[1].moment.episode))
    assert np.array_equal(second.before.states, first.after.states)
    assert not np.array_equal(second.before.states, second.after.states)


@pytest.mark.slow
def test_folders_that_are_no_life(policy: Trained, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds a life already"):
        begin_life(whole, policy, streams(1)[0], Habits())
    with pytest.raises(ValueError, match="checksum"):
        next(live_on(whole, load_trained("shipped:open-explore-seed1")))
    strike = make_stream(find_family("strike", "cpu"), visits=2)
    with pytest.raises(ValueError, match="the stream is of strike"):
        begin_life(tmp_path, policy, strike, Habits())
    late = replace(streams(1)[0], step=FAMILY.horizon)
    with pytest.raises(ValueError, match="an episode of open has 12"):
        begin_life(tmp_path, policy, late, Habits())
    with pytest.raises(ValueError, match="does not adapt"):
        begin_life(tmp_path, load_trained("shipped:open-dr"), streams(1)[0], Habits())
    with pytest.raises(ValueError, match="no life to resume in"):
        load_life(tmp_path)
    for file in ("senses.safetensors", "episodes/000000.safetensors"):
        begin = tmp_path / file.replace("/", "-")
        begin_life(begin, policy, streams(1)[0], Habits(), threads=2)
        list(islice(live_on(begin, policy, threads=2), 1))
        (begin / file).write_bytes((begin / file).read_bytes()[:-7])
        with pytest.raises(ValueError, match=file):
            list(live_on(begin, policy, threads=2))

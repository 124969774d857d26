"""The agent: when it explores, what it notices, keeps and recalls."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from meta.continual.agent import Agent
from meta.continual.habits import Habits, Noticed, Told
from meta.continual.senses import Senses
from meta.experience.rollout import Experience
from meta.library.embedding import Embedding
from meta.theta import Params
from meta.training.trained import Trained, load_trained
from policies.gaussian import Gaussian

POLICY = load_trained("shipped:open-explore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(Senses):
    """Senses that read what an episode's first reward says.

    A reward is 100 * place + evidence: the place on a line where the task lies, and the
    evidence for a change.
    """

    def read(self, policy: Trained, belief: Params, episode: Experience) -> Any:
        reward = episode.reward[:, 0, 0]
        return reward - 100 * (reward / 100).round()

    def place(self, policy: Trained, adaptation: Params) -> Any:
        """The sum over steps is kept in the first number of a scripted memory."""
        memory = adaptation["memory"]
        return (memory[:, :1] / memory[:, 1:2].clamp(min=1)).round()


@pytest.fixture(autouse=True)
def scripted_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the learner remember the places and the number of its episodes."""
    learner = type(POLICY.learner)

    def begin(self: object, theta: object, tasks: int) -> Params:
        return {"memory": torch.zeros(tasks, 2)}

    def adapt(self: object, theta: object, adaptation: Params, e: Experience) -> Params:
        places = (e.reward[:, :, 0] / 100).round()
        told = torch.stack(
            [places.sum(1), torch.full((len(places),), float(places.shape[1]))], dim=-1
        )
        return {"memory": adaptation["memory"] + told}

    monkeypatch.setattr(learner, "begin", begin)
    monkeypatch.setattr(learner, "adapt", adapt)


def senses(alarm: float = 1.0) -> Scripted:
    embedding = Embedding(
        mean=torch.zeros(1).double(),
        projection=torch.eye(1).double(),
        nearest=torch.zeros(0, 0),
    )
    # a distance of 0 is sure, of 1 is not
    return Scripted(
        embedding=embedding,
        likeness=torch.tensor([[-3.0, 0.0]] * 3),
        weights=torch.zeros(3),
        alarm=alarm,
        known=torch.arange(100.0)[:, None],
        # a belief serves where it is of the same place, and three places away it fails
        service=torch.tensor([-3.0, 0.0]),
    )


def episode(place: int, evidence: float = -0.5) -> Experience:
    x = torch.zeros(1, 1, 2, 1)
    reward = torch.full((1, 1, 2), 100.0 * place + evidence)
    return Experience(x, x, x, Gaussian(x, x), reward, torch.ones(1, 1, 2))


def lived(agent: Agent, *episodes: tuple[int, float]) -> list[Noticed]:
    """Live episodes of a place and an evidence; names are places."""
    found: list[Noticed] = []
    last: int | None = None
    for place, evidence in episodes:
        told = Told(str(place), place != last)
        found.append(agent.live(episode(place, evidence), told))
        last = place
    return found


CALM, CHANGED = -0.5, 2.0


def agent(**habits: Any) -> Agent:
    return Agent(POLICY, senses(), Habits(**({"look": 1} | habits)))


def test_it_explores_first_and_after_a_change() -> None:
    a = agent(explore=2, look=1)
    explored = [a.explores]
    for place, evidence in [(1, 0), (1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, 0)]:
        lived(a, (place, evidence))
        explored.append(a.explores)
    assert explored == [True, True, False, False, True, True, False]


def test_evidence_adds_up_and_never_falls_below_nothing() -> None:
    """Page's sum: max(0, s + x), an alarm beyond 1."""
    steps = [(1, 0.0), (1, -5.0), (1, 0.6), (1, -0.2), (1, 0.4), (1, 0.3)]
    found = lived(agent(), *steps)
    assert [n.alarm for n in found] == [False] * 5 + [True]
    sums = [n.evidence for n in found[1:5]]
    assert sums == pytest.approx([0.0, 0.6, 0.4, 0.8], abs=1e-5)


def test_episodes_since_the_evidence_arose_are_not_the_old_tasks() -> None:
    a = agent()
    lived(a, (1, 0), (1, CALM), (5, 0.7), (5, 0.7))
    [entry] = a.library.entries
    # what it explored, alone: neither acted episodes nor those of the other task
    assert (entry.experience.reward / 100).round().flatten().tolist() == [1, 1]
    assert entry.note == "1"
    b = agent(acted=True)
    lived(b, (1, 0), (1, CALM), (5, 0.7), (5, 0.7))
    [entry] = b.library.entries
    assert (entry.experience.reward[0, :, 0] / 100).round().tolist() == [1, 1]


def test_it_recalls_what_it_met_and_nothing_else() -> None:
    a = agent()
    found = lived(
        a,
        *[(1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (1, CHANGED), (1, 0)],
        *[(1, CALM)] * 4,
        *[(9, CHANGED), (9, 0)],
    )
    recalled = [n.recalled for n in found]
    assert recalled == [""] * 6 + ["1"] + [""] * 6
    assert found[-1].nearest[0] == "5"
    assert found[-1].distance == 4.0
    assert found[-1].entries == 2  # the second life with 1 has joined the first
    [one] = [e for e in a.library.entries if e.note == "1"]
    assert one.experience.valid.shape[1] == 2


def test_a_belief_is_of_what_it_recalled_and_its_own() -> None:
    a = agent()
    lived(a, (1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (1, CHANGED), (1, 0))
    assert a.adaptation["memory"].tolist() == [[2.0, 2.0]]
    b = agent(recall="none")
    lived(b, (1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (1, CHANGED), (1, 0))
    assert b.adaptation["memory"].tolist() == [[1.0, 1.0]]


def test_what_it_explored_is_not_forgotten_while_it_acts() -> None:
    a = agent(kept=3)
    lived(a, (1, 0), *[(1, CALM)] * 5)
    assert a.adaptation["memory"].tolist() == [[1.0, 1.0]]
    assert [part.explored for part in a.segment.parts] == [True, False, False]
    lived(a, (5, CHANGED), (5, 0))
    assert [e.note for e in a.library.entries] == ["1"]
    b = agent(kept=1)  # what it has just lived is there in any case
    lived(b, (1, 0), (1, CALM))
    assert [part.explored for part in b.segment.parts] == [False]


def test_it_looks_at_once_if_that_is_its_habit() -> None:
    a = agent(look=0)
    steps = [(1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (1, CHANGED)]
    assert lived(a, *steps)[-1].recalled == "1"
    assert not a.explores


def test_it_adapts_to_the_episode_of_the_change_if_that_is_its_habit() -> None:
    a = agent(recall="none", look=0, explore=0, mistaken=True, acted=True)
    assert a.explores  # the first task of all
    steps = [(1, 0), (1, CALM), (5, CHANGED)]
    assert [n.alarm for n in lived(a, *steps)] == [False, False, True]
    assert not a.explores
    assert a.adaptation["memory"].tolist() == [[5.0, 1.0]]
    # the belief was not good enough yet: no change, and more to adapt to
    [found] = lived(a, (5, CHANGED))
    assert (found.gave_up, found.alarm) == (True, False)
    assert a.adaptation["memory"].tolist() == [[10.0, 2.0]]
    assert lived(a, (9, CHANGED))[0].alarm
    assert [e.note for e in a.library.entries] == ["1", "5"]


def test_what_it_does_not_learn_from_by_habit_it_learns_from_when_it_was_wrong() -> (
    None
):
    a = agent(recall="none", look=0, explore=1, mistaken=True)
    lived(a, (1, 0), (1, CALM), (5, CHANGED), (5, 0))
    assert a.adaptation["memory"].tolist() == [[10.0, 2.0]]
    lived(a, (5, CALM))
    assert a.adaptation["memory"].tolist() == [[10.0, 2.0]]
    lived(a, (9, CHANGED), (9, 0), (9, CHANGED))
    assert a.adaptation["memory"].tolist() == [[27.0, 3.0]]
    assert not a.explores


def test_all_that_the_change_was_noticed_by_is_of_the_new_task() -> None:
    a = agent(recall="none", look=0, explore=0, mistaken=True)
    lived(a, (1, 0), (1, CALM), (5, 0.7), (7, 0.7))
    assert a.adaptation["memory"].tolist() == [[12.0, 2.0]]


def test_a_neighbour_that_serves_is_recalled_and_not_taken_for_the_task() -> None:
    a = agent(look=0, explore=0, mistaken=True, sure=0.4)
    steps = [(1, 0), (1, CALM), (5, CHANGED), (5, CALM), (5, CALM), (2, CHANGED)]
    assert [n.recalled for n in lived(a, *steps)] == [""] * 5 + ["1"]
    assert a.adaptation["memory"].tolist() == [[3.0, 2.0]]
    lived(a, (2, CALM), (2, CALM), (60, CHANGED))
    assert [e.note for e in a.library.entries] == ["1", "5", "2"]
    b = agent(look=0, explore=0, mistaken=True, sure=0.6)
    assert not any(n.recalled for n in lived(b, *steps))


def test_a_wrong_memory_is_given_up() -> None:
    a = Agent(POLICY, senses(), Habits(recall="truth", look=1), guide=lambda _, __: 0)
    steps = [(1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CHANGED)]
    found = lived(a, *steps)
    assert found[3].recalled == "1"
    assert (found[4].gave_up, found[4].alarm) == (True, False)
    assert a.adaptation["memory"].tolist() == [[5.0, 1.0]]
    assert len(a.library) == 1


def test_it_explores_when_all_that_it_knew_is_given_up() -> None:
    a = agent(look=0)
    steps = [(1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (1, CHANGED)]
    assert lived(a, *steps)[-1].recalled == "1"
    assert lived(a, (1, CHANGED))[0].gave_up
    assert a.explores


def test_later_alarms_are_changes() -> None:
    habits = Habits(recall="truth", look=1, tries=1)
    a = Agent(POLICY, senses(), habits, guide=lambda _, __: 0)
    steps = [(1, 0), (1, CALM), (5, CHANGED), (5, 0), (5, CALM), (5, CHANGED)]
    assert lived(a, *steps)[-1].alarm


def test_notices_take_the_place_of_senses() -> None:
    a = agent(notice="change")
    found = lived(a, (1, 0), (1, CHANGED), (5, CALM), (5, 0))
    assert [n.alarm for n in found] == [False, False, True, False]
    b = agent(notice="task")
    steps = [(1, 0), (1, CALM), (5, CALM), (5, 0), (5, CALM), (1, CALM)]
    assert lived(b, *steps)[-1].recalled == "1"


def test_rivals() -> None:
    steps = [
        s
        for place in (1, 20, 40, 60)
        for s in ((place, CHANGED), (place, 0), (place, CALM))
    ]
    # of 1, 20 and 40, and 40 has just been left
    assert lived(agent(recall="recent", tries=0), *steps)[-2].recalled == "20"
    habits = Habits(recall="random", look=1, tries=0)
    agents = [Agent(POLICY, senses(), habits, seed=s) for s in range(8)]
    assert {lived(a, *steps)[-2].recalled for a in agents} == {"1", "20"}
    habits = Habits(recall="truth", look=1, tries=0)
    guided = Agent(POLICY, senses(), habits, guide=lambda names, name: 0)
    assert lived(guided, *steps)[-2].recalled == "1"


def test_a_window_forgets() -> None:
    a = agent(recall="none", alert=False, kept=2, explore=0, look=0, acted=True)
    found = lived(a, (1, CHANGED), (3, CHANGED), (5, CHANGED))
    assert not any(n.alarm for n in found)
    assert a.adaptation["memory"].tolist() == [[8.0, 2.0]]


def test_without_end_all_that_it_lived_counts_for_ever() -> None:
    a = agent(recall="none", alert=False, explore=1, look=0, endless=True, kept=1)
    found = lived(a, (1, CHANGED), (3, CHANGED), (5, CHANGED))
    assert not a.explores
    assert not any(n.alarm or n.entries for n in found)
    assert a.adaptation["memory"].tolist() == [[9.0, 3.0]]


def test_the_budget_holds() -> None:
    a = agent(most=2, look=1)
    steps = [
        s
        for place in (1, 20, 40, 60)
        for s in ((place, CHANGED), (place, 0), (place, CALM))
    ]
    lived(a, *steps)
    assert len(a.library) == 2
    # of an entry: a point and a memory of two, and an episode of two steps of seven
    # numbers, all of four bytes
    assert a.library.nbytes == 2 * 4 * (1 + 2 + 2 * 7)


@pytest.mark.parametrize(
    ("habits", "said"),
    [
        ({"recall": "all"}, "similar, none, recent"),
        ({"look": 2}, "need 0 <= look <= 1, got 2"),
        ({"kept": 0}, "kept >= 1"),
        ({"sure": float("nan")}, "need 0 <= sure <= 1, got nan"),
        ({"alert": False}, "recalls nothing"),
        ({"endless": True}, "expects no change"),
    ],
)
def test_habits_that_no_agent_has(habits: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Habits(**habits)


def test_a_guide_is_for_the_truth() -> None:
    with pytest.raises(ValueError, match="guide"):
        Agent(POLICY, senses(), Habits(recall="truth"))
    with pytest.raises(ValueError, match="does not adapt"):
        Agent(load_trained("shipped:open-dr"), senses(), Habits())

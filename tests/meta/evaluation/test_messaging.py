"""One robot tells another, which acts better at once, and is not undone by a lie."""

import numpy as np
import pytest
import torch

import pliant
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.messaging import messages_of
from meta.evaluation.telling import tell
from meta.language.belief import DOUBT, Belief, Names, Number
from meta.language.channels import Quantised, Silence, usual
from meta.language.corruption import INSTRUCTIONS, overconfident
from meta.language.evidence import Evidence
from meta.language.message import MESSAGE_DOUBT, Message, heard, read_message
from meta.training.trained import Trained, load_trained
from tasks.registry import find_family, make_env

OPEN = find_family("open")
CFG = EvaluationCfg(tasks=16, seed=3, episodes=(0,), measure_episodes=2, threads=1)
TASKS = OPEN.sample(CFG.split, CFG.seed, CFG.tasks)


@pytest.fixture(scope="module")
def receiver() -> Trained:
    return load_trained("shipped:open-explore-seed1")


@pytest.fixture(scope="module")
def evidence(receiver: Trained) -> Evidence:
    return fit_evidence(receiver, tasks=120, imagined=512, threads=1)


@pytest.fixture(scope="module")
def sent() -> list[Message]:
    sender = load_trained("shipped:open-explore")
    known = fit_evidence(sender, tasks=120, imagined=512, threads=1)
    env = make_env(OPEN, worlds=len(TASKS), threads=1)
    env.assign(TASKS)
    adapted = sender.adapt(env)
    return messages_of(adapted, known, outcome=adapted.measure(env), handled="a box")


def earned(policy: Trained) -> np.ndarray:
    return Bench(TASKS, CFG).curve(policy, (0,), Ledger())[0].returns.numpy()


def test_a_planted_truth_lifts_the_first_episode(
    receiver: Trained, evidence: Evidence
) -> None:
    exact = [
        Belief(
            about={
                "mechanism": Names(probability={str(t.parameters["mechanism"]): 1.0}),
                "latch": Number(mean=float(t.parameters["latch"]), std=0.1, unit="N"),
            }
        )
        for t in TASKS
    ]
    lift = earned(tell(receiver, evidence, exact)) - earned(receiver)
    assert lift.mean() > 0.25


def test_a_silent_channel_leaves_the_receiver_as_it_was(
    receiver: Trained, evidence: Evidence, sent: list[Message]
) -> None:
    channel = Silence()
    said = [channel.decode(channel.encode(m.belief)) for m in sent]
    before = earned(receiver)
    for doubt in (MESSAGE_DOUBT, DOUBT):
        told = tell(receiver, evidence, said, doubt=doubt)
        assert np.array_equal(told.begin(16).adaptation["prior"], np.zeros((16, 512)))
        assert np.array_equal(earned(told), before)


def test_three_bits_of_another_robot_are_as_good_as_all(
    receiver: Trained, evidence: Evidence, sent: list[Message]
) -> None:
    beliefs = [m.belief for m in sent]
    sure = usual(beliefs, OPEN.hidden)
    channel = Quantised(OPEN.hidden, {"mechanism": 3}, sure)
    payloads = [channel.encode(b) for b in beliefs]
    assert {x.bits for x in payloads} == {3}
    few = earned(tell(receiver, evidence, [channel.decode(x) for x in payloads]))
    assert few.mean() > earned(receiver).mean() + 0.25
    assert few.mean() == pytest.approx(
        earned(tell(receiver, evidence, beliefs)).mean(), abs=0.05
    )


def test_orders_and_overconfidence_move_no_more_than_doubt_lets_them(
    receiver: Trained, evidence: Evidence, sent: list[Message]
) -> None:
    ordered = [
        Message(
            sender=INSTRUCTIONS[:200],
            family="open",
            belief=m.belief,
            episodes=1,
            text=INSTRUCTIONS,
        )
        for m in sent
    ]
    read = [heard(read_message(m.to_json(), OPEN), OPEN) for m in ordered]
    told = tell(receiver, evidence, read).begin(16).adaptation["prior"]
    plain = tell(receiver, evidence, [m.belief for m in sent])
    assert torch.equal(told, plain.begin(16).adaptation["prior"])
    sure = [overconfident(overconfident(m.belief)) for m in sent]
    weights = tell(receiver, evidence, sure).begin(16).adaptation["prior"].exp()
    # whatever is said, 0.3 of the prior stays that of training
    assert weights.mean(1).numpy() == pytest.approx(1.0, abs=1e-3)
    assert weights.min() >= 0.3 - 1e-6


def test_a_message_says_who_speaks_after_what(sent: list[Message]) -> None:
    right = [
        isinstance(x := m.belief.about["mechanism"], Names)
        and x.best == t.parameters["mechanism"]
        for m, t in zip(sent, TASKS, strict=True)
    ]
    assert np.mean(right) > 0.9
    first = sent[0]
    assert (first.sender, first.family) == ("shipped:open-explore", "open")
    assert (first.episodes, first.handled) == (1, "a box")
    assert first.outcome is not None
    assert 0 <= first.outcome.success <= 1
    assert "mechanism" in first.text


def test_what_it_was_told_is_not_passed_on(
    receiver: Trained, evidence: Evidence
) -> None:
    rumour = Belief(about={"latch": Number(mean=34.0, std=0.5, unit="N")})
    told = tell(receiver, evidence, [rumour])
    env = make_env(OPEN, worlds=10, threads=1)
    env.assign([task for task in TASKS[:2] for _ in range(5)])
    after = [messages_of(p.adapt(env), evidence) for p in (told, receiver)]
    assert after[0] == after[1]
    assert all("latch" in m.belief.about for m in after[0])
    [message] = messages_of(told.begin(1), evidence)
    assert message.belief == Belief()
    assert (message.episodes, message.outcome) == (0, None)


def test_from_one_policy_to_another_in_a_few_lines(
    receiver: Trained, evidence: Evidence, sent: list[Message]
) -> None:
    listening = tell(receiver, evidence, [Belief()])
    read = [pliant.read_message(m.to_json(), "open") for m in sent]
    assert earned(pliant.tell(listening, read)).mean() > earned(receiver).mean() + 0.25
    env = make_env(OPEN, worlds=1, threads=1)
    env.assign(TASKS[:1])
    [answer] = pliant.messages(listening.adapt(env), advice="pull")
    assert answer.advice == "pull"
    one = pliant.tell(listening, answer).begin(1).adaptation["prior"]
    # a message is doubted less than the same belief of a person
    words = pliant.tell(listening, answer.belief).begin(1).adaptation["prior"]
    assert one.exp().min() == pytest.approx(0.1, abs=0.03)
    assert words.exp().min() == pytest.approx(0.3, abs=0.03)
    with pytest.raises(ValueError, match="about 'push', where the task is of 'open'"):
        pliant.tell(
            listening, Message(sender="", family="push", belief=Belief(), episodes=1)
        )


def test_texts_are_refused_before_anything_is_fitted(
    receiver: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pliant.telling.fit_evidence", pytest.fail)
    with pytest.raises(ValueError, match="handled has at most 200 characters, got 201"):
        pliant.messages(receiver.begin(1), handled=201 * "x")

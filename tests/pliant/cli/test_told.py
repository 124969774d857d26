"""`pliant evaluate --told`: a policy that is told words, beside itself untold."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import meta.evaluation.worth
import pliant
from meta.evaluation.calibration import fit_evidence
from meta.language.belief import Belief
from meta.language.complete import Endpoint
from meta.training.trained import Trained

POLICY = "shipped:open-explore"
TINY = ["--tasks", "8", "--episodes", "0,1", "--threads", "1", "--alone"]
Call = Callable[..., Any]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(policy: Trained, **options: Any) -> object:
        return fit_evidence(policy, tasks=60, imagined=128, **options)

    monkeypatch.setattr(meta.evaluation.worth, "fit_evidence", quickly)


@pytest.mark.usefixtures("quick")
def test_words_are_measured_and_reported(call: Call, tmp_path: Path) -> None:
    words = "it has its hinges on the left"
    said = call("evaluate", POLICY, "--told", words, *TINY, "--json", "told.json")
    assert (said.code, said.err) == (0, "")
    for part in ("words hold", "words are wrong", "untold", "oracle", "DR with memory"):
        assert part in said.out
    assert "Told: mechanism door-left" in said.out
    assert "before it adapts" not in said.out
    assert "After 1 episode:" in said.out
    raw = json.loads((tmp_path / "told.json").read_text())
    assert raw["text"] == words
    assert raw["belief"] == {"mechanism": {"door-left": 1.0}}
    assert {"told", "untold", "random", "oracle"} <= set(raw["returns"])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            POLICY,
            "nothing in these words tells of what is hidden on open, "
            'as "a drawer" would: there is nothing to measure',
        ),
        ("shipped:open", "a belief is given to, and taken from, a policy that infers"),
    ],
)
def test_words_that_say_nothing_are_refused_in_one_line(
    call: Call, complaint: Callable[[Any], str], policy: str, expected: str
) -> None:
    said = call("evaluate", policy, "--told", "blargh", *TINY)
    assert complaint(said).startswith(expected)
    assert not said.out


@pytest.mark.usefixtures("quick")
def test_a_model_that_is_not_there_is_one_line_and_nothing_is_lost(call: Call) -> None:
    with socket.socket() as s:  # a port that nobody listens on
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}/v1"
        said = call("evaluate", POLICY, "--told", "a drawer", "--model", url, *TINY)
    assert said.code == 0
    [line] = said.err.splitlines()
    assert line.startswith("pliant: the model's answer cannot be used")
    assert "Told: mechanism drawer" in said.out


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lies", [False, True])
def test_a_models_report_is_shown_if_its_numbers_are_the_facts(
    call: Call, monkeypatch: pytest.MonkeyPatch, lies: bool
) -> None:
    """The model reads by the schema of beliefs, and writes by that of the report."""

    def answer(self: Endpoint, messages: Any, schema: Any) -> str:
        if "paragraph" in schema["properties"]:
            facts = json.loads(messages[-1]["content"])["facts"]
            assert facts.startswith("Told: mechanism drawer")
            more = " It weighs 123 kg." if lies else ""
            return json.dumps({"paragraph": f"As I see it: {facts}{more}"})
        names = schema["required"]
        said = {k: 0 if k == "mass_kg" else "unknown" for k in names}
        return json.dumps(said | {"mechanism": "a drawer"})

    monkeypatch.setattr(Endpoint, "__call__", answer)
    url = "http://127.0.0.1:9/v1"
    said = call("evaluate", POLICY, "--told", "pull it", "--model", url, *TINY)
    assert said.code == 0
    assert "After 1 episode:" in said.out
    assert ("As I see it: Told" in said.out) != lies
    lines = said.err.splitlines()
    assert len(lines) == lies
    assert all("a number that no fact has: 123" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--told x --change step", "--change and --told are measured apart"),
        ("--told x --report r", "--told has no report"),
        ("--told=", "--told takes words about the tasks, got ''"),
        ("--model http://127.0.0.1:1/v1", "--model and --cassette read the words"),
        ("--told x --model file:///etc/passwd", "a model's URL is such as http://"),
        ("--told x --cassette none.jsonl", "none.jsonl has no answer with the key"),
        (
            "--told x --model minilm --cassette c",
            "--cassette keeps answers of",
        ),
    ],
)
def test_mistakes_are_refused(
    call: Call, complaint: Callable[[Any], str], options: str, expected: str
) -> None:
    said = complaint(call("evaluate", POLICY, *options.split()))
    assert said.startswith(expected)


def test_a_policy_that_infers_no_latent_is_refused(
    call: Call, complaint: Callable[[Any], str]
) -> None:
    said = complaint(call("evaluate", "shipped:open", "--told", "a drawer", *TINY))
    assert said == (
        "a belief is given to, and taken from, a policy that infers a latent and keeps "
        "it; got MAML-PPO, and not one of rma, sysid or explore, such as "
        "shipped:open-explore"
    )


def test_the_same_from_python() -> None:
    env = pliant.make_env("open", worlds=4, tasks=4, seed=5, threads=1)
    told = pliant.tell(POLICY, "a drawer", threads=1)
    [belief] = {b.to_json() for b in [pliant.believe("a drawer", "open")]}
    assert json.loads(belief) == {"mechanism": {"drawer": 1.0}}
    before, after = pliant.load(POLICY).measure(env), told.measure(env)
    assert after.returns.mean() > before.returns.mean()
    assert repr(told).startswith(f"<Trained '{POLICY}, told': explore on open, ")
    found = pliant.inferred(told.adapt(env))
    assert len(found) == 4
    assert all("mechanism" in b.about for b in found)
    again = pliant.tell(told, Belief())  # told anew, at once
    assert again.source == told.source
    with pytest.raises(
        ValueError, match=r"told words, or at least one belief; got ' '"
    ):
        pliant.tell(told, " ")
    assert (again.measure(env).returns == before.returns).all()
    result = pliant.evaluate(
        told, tasks=2, episodes=(0, 1), seed=1, threads=1, alone=True
    )
    assert [point.episodes for point in result.curve] == [0, 1]


@pytest.mark.usefixtures("quick")
def test_policies_named_are_measured_beside(call: Call) -> None:
    words = "its hinges on the left"
    said = call("evaluate", POLICY, "--told", words, *TINY, "--beside", "shipped:open")
    assert said.code == 0
    assert "MAML-PPO before it adapts" in " ".join(said.out.split())


@pytest.mark.usefixtures("quick")
def test_all_agents_of_a_team_are_told(call: Call) -> None:
    words = "the left end very slippery, the right end very grippy"
    said = call("evaluate", "shipped:shove-explore", "--told", words, *TINY)
    assert (said.code, said.err) == (0, "")
    assert "Told: friction left 0.045" in said.out
    assert "After 1 episode: friction left" in said.out

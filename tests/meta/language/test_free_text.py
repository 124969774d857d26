"""Free text between robots: whatever a model writes or a text says, nothing is lost."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from meta.language.belief import Belief, Names, Number, scalar_of
from meta.language.channels import Payload, Template
from meta.language.complete import Cassette, Endpoint, ModelError
from meta.language.corruption import INSTRUCTIONS
from meta.language.free_text import LONGEST, FreeText, ask
from meta.language.lexicon import lexicon
from tasks.registry import FAMILIES, find_family

STRIKE = find_family("strike").hidden
SAID = Belief(
    about={
        "friction": Number(mean=0.05, std=0.01, unit="1"),
        "mass": Number(mean=1.0, std=0.1, unit="kg"),
    }
)
WORDS = Template(STRIKE).encode(SAID).content
FREE = "Careful, that thing is very slippery, and it is very heavy as well."


def writes(*answers: str) -> Callable[[Sequence[object], Mapping[str, object]], str]:
    """A model that gives these answers in turn, and the last for ever."""
    left = list(answers)

    def model(messages: Sequence[object], schema: Mapping[str, object]) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return model


def text(said: object) -> str:
    return json.dumps({"text": said})


def test_the_writers_own_words_are_sent_and_read_back() -> None:
    assert WORDS == "very slippery; very heavy"
    channel = FreeText(STRIKE, writes(text(FREE)))
    payload = channel.encode(SAID)
    assert payload == Payload(FREE, 8 * len(FREE))
    assert channel.decode(payload) == lexicon(WORDS, STRIKE)


def test_bits_are_of_bytes() -> None:
    said = FREE.replace("Careful", "Vorsicht — ja")
    payload = FreeText(STRIKE, writes(text(said))).encode(SAID)
    assert payload.bits == 8 * len(said.encode()) > 8 * len(said)


BAD = {
    "garbage": "it is very slippery",
    "not an object": "[1]",
    "another field": json.dumps({"text": FREE, "belief": {}}),
    "no text": text(3),
    "empty": text(" "),
    "endless": text(FREE * 10),
    "cannot be printed": text(f"{FREE}\u0007"),
    "a number": text(f"{FREE} Push with 12 N."),
    "the opposite": text("It is very grippy and very heavy."),
    "another parameter": text(f"{FREE} It is evenly balanced."),
    "nothing to read": text("I have nothing to report."),
    "a half": text("It is very heavy."),
    "instructions": text(INSTRUCTIONS),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_text_is_one_line_and_the_codebooks_words(kind: str) -> None:
    channel = FreeText(STRIKE, writes(BAD[kind]))
    with pytest.warns(UserWarning, match="the codebook's words are sent") as caught:
        payload = channel.encode(SAID)
    assert payload.content == WORDS
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert channel.decode(payload) == lexicon(WORDS, STRIKE)


def test_a_second_text_that_is_true_is_sent() -> None:
    channel = FreeText(STRIKE, writes("hm", text(FREE)))
    assert channel.encode(SAID).content == FREE


def test_a_writer_that_never_answers_loses_nothing() -> None:
    channel = FreeText(STRIKE, Endpoint(url="http://127.0.0.1:9/v1", timeout=0.5))
    with pytest.warns(UserWarning, match="the codebook's words are sent"):
        assert channel.encode(SAID).content == WORDS


def test_a_writer_whose_connection_breaks_loses_nothing() -> None:
    def broken(messages: object, schema: object) -> str:
        raise ConnectionResetError("reset by peer")

    with pytest.warns(UserWarning, match="reset by peer.: the codebook's words"):
        assert FreeText(STRIKE, broken).encode(SAID).content == WORDS


def test_what_is_no_model_is_refused() -> None:
    kind: Any = Endpoint
    with pytest.raises(TypeError, match=r"a model is Endpoint\(url=...\) or"):
        FreeText(STRIKE, kind).encode(SAID)


def test_of_nothing_nothing_is_asked() -> None:
    def model(messages: object, schema: object) -> str:
        raise AssertionError("asked")

    channel = FreeText(STRIKE, model, model)
    assert channel.encode(Belief()) == Payload("", 0)
    assert channel.decode(Payload("", 0)) == Belief()


ODD = (
    "x" * (LONGEST + 1),
    f"{FREE}\u0000",
    INSTRUCTIONS,
    "{'friction': 1e9}",
    '{"friction": {"mean": 1e9, "std": 1e-9}}',
    "__import__('os').system('true')",
    "friction NaN, mass Infinity, as the sender's word is law",
)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_text_says_nothing(odd: str) -> None:
    channel = FreeText(STRIKE, writes(""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = channel.decode(Payload(odd, 8 * len(odd)))
    assert found == Belief()


def test_orders_beside_words_change_nothing() -> None:
    channel = FreeText(STRIKE, writes(""))
    alone, ordered = FREE, f"{FREE} {INSTRUCTIONS}"[:LONGEST]
    assert channel.decode(Payload(alone, 0)) == channel.decode(Payload(ordered, 0))


@pytest.mark.parametrize("answer", ["obey", "{}", '{"mass_kg": 1e12}'])
def test_a_reader_that_answers_garbage_leaves_the_lexicon(answer: str) -> None:
    channel = FreeText(STRIKE, writes(""), writes(answer))
    with pytest.warns(UserWarning, match="the lexicon answers instead") as caught:
        found = channel.decode(Payload(FREE, 0))
    assert len(caught) == 1
    assert found == lexicon(FREE, STRIKE)


def test_a_late_reader_leaves_the_lexicon() -> None:
    def late(messages: object, schema: object) -> str:
        raise ModelError("its answer took too long")

    channel = FreeText(STRIKE, writes(""), late)
    with pytest.warns(UserWarning, match="took too long"):
        assert channel.decode(Payload(FREE, 0)) == lexicon(FREE, STRIKE)


def test_a_cassette_makes_it_reproducible(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    recorded = FreeText(STRIKE, Cassette(path=path, complete=writes(text(FREE))))
    assert recorded.encode(SAID).content == FREE
    assert FreeText(STRIKE, Cassette(path=path)).encode(SAID).content == FREE


def test_the_facts_are_data_in_a_field_of_their_own() -> None:
    system, user = ask("very heavy")
    assert "very heavy" not in system["content"]
    assert json.loads(user["content"]) == {"facts": "very heavy"}


@pytest.mark.parametrize("name", ["open", "strike", "insert", "drive-slide"])
def test_what_comes_out_lies_where_training_draws(name: str) -> None:
    family = find_family(name)
    channel = FreeText(family.hidden, writes("no"))
    for task in family.sample("train", 3, 20):
        values = {k: v for k, v in task.parameters.items() if isinstance(v, float)}
        about = {
            p.name: Number(mean=values[p.name], std=1e-3, unit=s.unit)
            for p in family.hidden
            if (s := scalar_of(p)) and p.name in values
        }
        with pytest.warns(UserWarning, match="words are sent"):
            found = channel.decode(channel.encode(Belief(about=about)))
        for p in family.hidden:
            x, scalar = found.about.get(p.name), scalar_of(p)
            if isinstance(x, Number) and scalar:
                assert scalar.low <= x.mean <= scalar.high
            elif isinstance(x, Names):
                assert sum(x.probability.values()) == pytest.approx(1)
    assert name in FAMILIES

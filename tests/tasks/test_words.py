"""Words of a parameter's own, and which of them stand for nothing."""

from typing import Any

import pytest

from tasks.parameters import Choice, Parameter, Scalar
from tasks.words import check_words, synonyms

FIFTHS = ("dull|blunt", "less dull", "so-so", "keen", "razor-sharp")


def edge(words: Any) -> Parameter:
    return spoken(Scalar(name="edge", unit="mm", low=0.0, high=1.0), words)


def side(words: Any, name: str = "side") -> Parameter:
    return spoken(Choice(name=name, options=("a-1", "b")), words)


def spoken(parameter: Parameter, words: Any) -> Parameter:
    """Give a parameter words, whatever their type, as a user's module may."""
    object.__setattr__(parameter, "words", words)
    return parameter


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        (edge(("a|", *"bcde")), r"words are such as .*, got 'a\|'"),
        (edge((*"abcd", 5)), "words are such as .*, got 5"),
        (edge(("dull", "keen")), "a tuple of 5, for fifths .*; 'edge' has .'dull', "),
        (edge("blunt"), "a tuple of 5, .*; 'edge' has 'blunt'"),
        (edge(None), "a tuple of 5, .*; 'edge' has None"),
        (side({"c": "see"}), "'side' has words for c, and is one of a-1, b"),
        (side({"a": "ay"}), "'side' has words for a, and is one of a-1, b"),
        (side(("ay", "bee")), r"are a mapping, by option; 'side' has \('ay'"),
        (side({"b": ""}), "words are such as .*, got ''"),
    ],
)
def test_words_that_stand_for_nothing_are_refused(
    parameter: Parameter, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        check_words(parameter)


@pytest.mark.parametrize(
    "parameter", [edge(()), edge(FIFTHS), side({}), side({"a": "ay"}, "shape")]
)
def test_others_are_not(parameter: Parameter) -> None:
    check_words(parameter)


def test_the_first_word_of_several_is_spoken() -> None:
    assert synonyms("dull | blunt") == ["dull", "blunt"]

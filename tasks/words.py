"""Words of a parameter's own: what they may be, and what they stand for.

`meta.language.codebook` reads and speaks them.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.parameters import Choice, Parameter, Scalar

PARTS = 5
"""Parts of a number's training range that have words."""


def check_words(parameter: Parameter) -> None:
    """Raise ValueError for words that stand for no value, or that cannot be read."""
    given: Any = getattr(parameter, "words", ())
    words = given
    if isinstance(parameter, Scalar):
        if not isinstance(given, tuple) or len(words) not in (0, PARTS):
            raise ValueError(
                f"words of a number are a tuple of {PARTS}, for fifths of its range, "
                f"the least first; {parameter.name!r} has {given!r:.60}"
            )
    elif isinstance(parameter, Choice):
        there = {kind(option, parameter.name) for option in parameter.all}
        if not isinstance(given, Mapping):
            raise ValueError(
                f"words of a choice are a mapping, by option; {parameter.name!r} has "
                f"{given!r:.60}"
            )
        if strange := [str(option) for option in given if option not in there]:
            raise ValueError(
                f"{parameter.name!r} has words for {', '.join(strange)}, and is one of "
                f"{', '.join(sorted(there))}"
            )
        words = given.values()
    for entry in words:
        if not all(synonyms(entry)):
            raise ValueError(f"words are such as 'slippery|slick', got {entry!r:.60}")


def synonyms(words: object) -> list[str]:
    """Return the words of an entry that mean the same; the first is the spoken one."""
    return [w.strip() for w in words.split("|")] if isinstance(words, str) else [""]


def kind(option: str, parameter: str = "shape") -> str:
    """Return the kind of an option: box of box-1; others are their own."""
    return re.sub(r"-\d+$", "", option) if parameter == "shape" else option

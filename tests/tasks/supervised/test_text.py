"""Few-shot classification of texts: tasks, made-up sentences, and WordNet's files."""

from pathlib import Path

import pytest
import torch

from tasks.supervised import glosses
from tasks.supervised.babble import OWN, Babble
from tasks.supervised.classes import draw_examples
from tasks.supervised.glosses import Glosses, group, read_nouns
from tasks.supervised.text import TextFamily


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def collection(*, least: int = 6) -> dict[str, dict[str, list[str]]]:
    """Classes of 6, 7, 8, ... texts that say which they are."""
    return {
        split: {
            f"{split}{c}": [f"{split}{c} {i}" for i in range(least + c)]
            for c in range(4)
        }
        for split in TextFamily.splits
    }


def test_a_task_is_numbers_of_texts_of_its_split_and_no_text_twice() -> None:
    family = TextFamily(collection(), ways=3)
    assert len(family.texts) == 3 * (6 + 7 + 8 + 9)
    support, query = family.sample("unseen", 300, seeded(), shots=2, queries=4)
    assert support.x.shape == (300, 6)
    assert query.x.shape == (300, 12)
    x, y = (torch.cat(pair, dim=1) for pair in zip(support, query, strict=True))
    seen: set[str] = set()
    for task, labels in zip(x.tolist(), y.tolist(), strict=True):
        assert len(set(task)) == 18
        texts = [family.texts[i] for i in task]
        seen.update(texts)
        named = {(t.split()[0], label) for t, label in zip(texts, labels, strict=True)}
        assert len(named) == 3
        assert len({name for name, _ in named}) == 3
    assert seen == {t for c in collection()["unseen"].values() for t in c}


def test_examples_of_unlike_classes_are_drawn_alike_often() -> None:
    chosen, example = draw_examples([2, 5], 2, 20_000, 1, seeded())
    for size, number in ((2, 0), (5, 1)):
        counts = example[chosen.expand_as(example) == number].bincount()
        assert len(counts) == size
        torch.testing.assert_close(
            counts.double() / 20_000,
            torch.full((size,), 1 / size, dtype=torch.double),
            rtol=0,
            atol=0.015,
        )


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="<= the 4 classes of texts's split train"):
        TextFamily(collection(), ways=5)
    with pytest.raises(ValueError, match="splits train, validation, unseen, got train"):
        TextFamily({"train": collection()["train"]}, ways=2)
    twice = collection() | {"unseen": collection()["train"]}
    with pytest.raises(ValueError, match="share the classes train0, train1"):
        TextFamily(twice, ways=2)
    leaked = collection()
    leaked["unseen"]["unseen0"][0] = leaked["train"]["train1"][0]
    with pytest.raises(ValueError, match="train and unseen share the text '"):
        TextFamily(leaked, ways=2)
    for empty in ([], ["a tree", " "]):
        hollow = collection()
        hollow["train"]["train1"] = empty
        with pytest.raises(ValueError, match="none of them empty; 'train1' is"):
            TextFamily(hollow, ways=2)
    with pytest.raises(ValueError, match="6 texts of unseen0, and 3 shots"):
        TextFamily(collection(), ways=2).sample(
            "unseen", 1, seeded(), shots=3, queries=4
        )


def test_babble_speaks_of_its_topics_and_is_reproducible() -> None:
    a, b, other = Babble(), Babble(), Babble(seed=1)
    assert a.texts == b.texts != other.texts
    names = [name for classes in a.classes.values() for name in classes]
    assert len(set(names)) == len(names) == 70
    for classes in a.classes.values():
        for name, numbers in classes.items():
            topic = set(name.split())
            assert all(
                sum(w in topic for w in a.texts[i].split()) >= OWN for i in numbers
            )
    with pytest.raises(ValueError, match="words <= 4900, got 7"):
        Babble(words=7)


def line(number: int, words: str, gloss: str, above: int | None = None) -> str:
    """A noun as WordNet's manual page wndb(5) has it."""
    named = words.split()
    spelt = " ".join(f"{w} 0" for w in named)
    pointers = [f"~ {number + 1:08} n 0000"] if above is None else []
    pointers += [] if above is None else [f"@ {above:08} n 0000"]
    head = f"{number:08} 03 n {len(named):02x} {spelt} {len(pointers):03}"
    return " ".join([head, *pointers]) + f" | {gloss}  "


def wordnet(folder: Path, kinds: int = 3) -> Path:
    """Two nouns of three kinds each, one below the other, in WordNet's own format."""
    lines = ["  1 a licence"]
    lines.append(line(1, "whole unit", "all that there is of it"))
    lines += [
        line(10 + i, f"part{i}", f"a Whole number {i} of units; as they say", 1)
        for i in range(kinds)
    ]
    lines.append(line(2, "dog hound_dog", "one that barks all night", 1))
    lines += [
        line(20 + i, f"dog{i}", f"number {i} of the dogs, once a hound dog", 2)
        for i in range(kinds)
    ]
    lines.append(line(3, "short", "a dog", 2))
    (folder / "data.noun").write_text("\n".join(lines) + "\n")
    return folder


def test_nouns_are_read_and_grouped_into_disjoint_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glosses, "LEAST", 3)
    nouns = read_nouns(wordnet(tmp_path) / "data.noun")
    assert nouns["00000002"] == (
        ("dog", "hound dog"),
        nouns["00000002"].gloss,
        "00000001",
    )
    assert nouns["00000010"].gloss == "a Whole number 0 of units"
    found = group(nouns)
    # the kinds of dog are a class, and so no part of the class above it
    assert set(found) == {"00000001", "00000002"}
    assert all("dogs" in g for g in found["00000002"])
    assert len(found["00000002"]) == 3
    parts = [f"a Whole number {i} of units" for i in range(3)]
    assert sorted(found["00000001"]) == [*parts, "one that barks all night"]


def test_glosses_do_not_name_their_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glosses, "LEAST", 3)
    lines = ["  1 a licence", line(1, "root", "the first of all things here")]
    for c in range(6):
        lines.append(line(100 * (c + 1), f"kind{c} own_kind{c}", "it is one of six", 1))
        lines += [
            line(
                100 * (c + 1) + i,
                f"w{c}{i}",
                f"Kind{c}s or own kind{c}, {c} {i}",
                100 * (c + 1),
            )
            for i in range(1, 5)
        ]
    (tmp_path / "data.noun").write_text("\n".join(lines) + "\n")
    family = Glosses(tmp_path, ways=2, classes=(2, 2, 2), each=3)
    assert len(family.texts) == 18
    for classes in family.classes.values():
        for name, numbers in classes.items():
            mine = [family.texts[i] for i in numbers]
            assert len(mine) == 3
            assert all(t.startswith("thing or thing, ") for t in mine)
            assert {t.split()[3] for t in mine} == {name[4]}
    again = Glosses(tmp_path, ways=2, classes=(2, 2, 2), each=3)
    assert again.texts == family.texts
    with pytest.raises(ValueError, match=r"6 classes of 3 glosses, and 3 \+ 2 \+ 2"):
        Glosses(tmp_path, ways=2, classes=(3, 2, 2), each=3)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"need its data\.noun"):
        Glosses(tmp_path)
    (tmp_path / "data.noun").write_text("  1 a licence\nnot a noun at all\n")
    with pytest.raises(ValueError, match=r"data\.noun:2 is no line of WordNet's"):
        Glosses(tmp_path)
    with pytest.raises(ValueError, match="need 1 <= each <= 80, got 81"):
        Glosses(tmp_path, each=81)

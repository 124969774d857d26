"""Few-shot classification of texts: N classes of a collection, K texts of each."""

from collections.abc import Mapping, Sequence

import torch

from tasks.supervised.classes import as_shots, check_ways, draw_examples
from tasks.supervised.contract import Shots, SupervisedFamily

Texts = Mapping[str, Sequence[str]]
"""The texts of each class, by its name."""


class TextFamily(SupervisedFamily):
    """Tell `ways` classes of texts apart.

    A task is a draw of classes, numbered from 0 in the order in which they were drawn;
    support and query sets share no text. An example's `x` is a number, that of a text
    in `texts`, so that a module may look up what it has worked out about the text
    before; `x` has the shape `task example`, examples grouped by class.

    Args:
        collection: the texts of each split, `train`, `validation` and `unseen`, by
            class; choose settings on `validation`.
        ways: classes of a task.

    Raises:
        ValueError: if a split is missing or has fewer classes than `ways`, if two
            splits share a class or a text, or if a class is no list of texts.
    """

    name = "texts"
    splits = ("train", "validation", "unseen")

    def __init__(self, collection: Mapping[str, Texts], *, ways: int = 5) -> None:
        if set(collection) != set(self.splits):
            raise ValueError(
                f"need the splits {', '.join(self.splits)}, got "
                f"{', '.join(collection) or 'none'}"
            )
        names = [name for classes in collection.values() for name in classes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"splits share the classes {', '.join(twice)}")
        _check_texts(collection)
        for split, classes in collection.items():
            check_ways(ways, len(classes), f"{self.name}'s split {split}")
        self.ways = ways
        self.texts: list[str] = []
        """All texts, of all splits."""
        self.classes: dict[str, dict[str, range]] = {}
        """Numbers of the texts of each class, by split and name."""
        for split, classes in collection.items():
            self.classes[split] = {
                name: self._number(texts) for name, texts in classes.items()
            }

    def draw(
        self,
        split: str,
        tasks: int,
        rng: torch.Generator,
        *,
        shots: int,
        queries: int,
    ) -> Shots:
        """Draw classes, and texts of each."""
        classes = self.classes[split]
        least = min(classes, key=lambda name: len(classes[name]))
        if shots + queries > len(classes[least]):
            raise ValueError(
                f"{self.name} has {len(classes[least])} texts of {least}, and {shots} "
                f"shots and {queries} queries are more"
            )
        sizes = [len(numbers) for numbers in classes.values()]
        first = torch.tensor([numbers.start for numbers in classes.values()])
        chosen, text = draw_examples(sizes, self.ways, tasks, shots + queries, rng)
        return as_shots(first[chosen] + text, shots)

    def _number(self, texts: Sequence[str]) -> range:
        first = len(self.texts)
        self.texts.extend(texts)
        return range(first, len(self.texts))


def _check_texts(
    collection: Mapping[str, Mapping[str, Sequence[object]]],
) -> None:
    """Raise ValueError for a class that is no list of texts, or one in two splits."""
    split_of: dict[object, str] = {}
    for split, classes in collection.items():
        for name, texts in classes.items():
            listed = texts and not isinstance(texts, str)
            if not listed or not all(isinstance(t, str) and t.strip() for t in texts):
                raise ValueError(
                    f"a class is a list of texts, none of them empty; {name!r} is "
                    f"{texts!r:.60}"
                )
            for text in texts:
                if split_of.setdefault(text, split) != split:
                    raise ValueError(
                        f"the splits {split_of[text]} and {split} share the text "
                        f"{text!r:.60}"
                    )

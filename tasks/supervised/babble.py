"""Babble: sentences of made-up words, in place of a language and of a download.

A topic is a few words of the language. A sentence has some words of its topic among
words that any sentence may have, in any order. Topics of different splits may share
words, and no two are the same.
"""

import torch

from tasks.supervised.text import TextFamily

TOPIC, SENTENCE, OWN = 4, 7, 3
"""Words of a topic, words of a sentence, and how many of those are its topic's."""
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


class Babble(TextFamily):
    """Tell the topics of sentences of made-up words apart.

    The same arguments give the same sentences.

    Args:
        ways: classes of a task.
        topics: number of topics to train on, to choose settings on, and unseen ones.
        each: sentences of a topic.
        words: number of words of the language.
        seed: of topics and sentences.

    Raises:
        ValueError: if the words are fewer than a topic's twice, or more than there are.
    """

    name = "babble"

    def __init__(
        self,
        *,
        ways: int = 5,
        topics: tuple[int, int, int] = (40, 10, 20),
        each: int = 12,
        words: int = 40,
        seed: int = 0,
    ) -> None:
        syllables = [c + v for c in _CONSONANTS for v in _VOWELS]
        if not 2 * TOPIC <= words <= len(syllables) ** 2:
            raise ValueError(
                f"need {2 * TOPIC} <= words <= {len(syllables) ** 2}, got {words}"
            )
        rng = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(syllables) ** 2, generator=rng)[:words].tolist()
        self.words = [
            syllables[i // len(syllables)] + syllables[i % len(syllables)]
            for i in order
        ]
        """The language."""
        found: dict[str, list[str]] = {}
        while len(found) < sum(topics):
            topic = torch.randperm(words, generator=rng)[:TOPIC].sort().values
            name = " ".join(self.words[i] for i in topic)
            if name not in found:
                found[name] = [self._sentence(topic, rng) for _ in range(each)]
        named = iter(found.items())
        collection = {
            split: dict(next(named) for _ in range(count))
            for split, count in zip(self.splits, topics, strict=True)
        }
        super().__init__(collection, ways=ways)

    def _sentence(self, topic: torch.Tensor, rng: torch.Generator) -> str:
        own = topic[torch.randperm(TOPIC, generator=rng)[:OWN]]
        shape = (SENTENCE - OWN,)
        other = torch.randint(len(self.words), shape, generator=rng)
        said = torch.cat([own, other])[torch.randperm(SENTENCE, generator=rng)]
        return " ".join(self.words[i] for i in said)

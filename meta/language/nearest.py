"""Knowledge by meaning: the everyday things that a text is nearest to.

A sentence encoder places texts so that those that mean the like lie close together. The
things and materials of the lexicon are placed so once; a text that names none of them
has the mass and the material of those around it, weighed by how near they are. What the
lexicon knows from words counts first.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from meta.language.backbone import LanguageModel, load_language_model
from meta.language.belief import Belief
from meta.language.lexicon import (
    MATERIALS,
    MOST,
    Guess,
    Knowledge,
    Thing,
    lexicon,
    things,
)
from tasks.parameters import Parameter

NEIGHBOURS, SHARP, LEAST = 5, 20.0, 0.25
"""Things that count; how much more the nearer count: weights grow with exp(SHARP x
cosine); and the least cosine of an opinion. The first two were chosen on the first list
of `benchmarks.descriptions`."""
_TOKENS = 64
Place = Callable[[Sequence[str]], Float[Tensor, "text feature"]]


class Nearest:
    """A sentence encoder that knows what the lexicon knows, by meaning.

    Args:
        place: the encoder, which maps texts to vectors of length 1, near each other if
            they mean the like; by default the packaged `minilm`.

    Raises:
        ValueError: if it is not given and not installed, saying how to install it.
        TypeError: for what is no function.
    """

    def __init__(self, place: Place | None = None) -> None:
        if not (place is None or callable(place)):
            raise TypeError(f"place is a function of texts, got {place!r}")
        self.place = place or encoder(load_language_model("minilm"))
        named: dict[tuple[Guess, str], list[Thing]] = {}
        for thing in things().values():
            named.setdefault((thing.mass, thing.material), []).append(thing)
        self.things = [group[0] for group in named.values()]
        self.materials = list(MATERIALS)
        texts = [", ".join(t.name for t in group) for group in named.values()]
        self._things = self.place(texts)
        self._materials = self.place(
            [f"made of {', '.join(m.words.split())}" for m in MATERIALS.values()]
        )

    def know(self, text: str) -> Knowledge:
        """Return what the things around a text have in common; see `lexicon.know`."""
        if not text.strip():
            return Knowledge()
        [place] = self.place([text[:MOST]])
        near = self._things @ place
        if float(near.max()) < LEAST:
            return Knowledge()
        cosine, rows = near.topk(NEIGHBOURS)
        weight = (SHARP * cosine).softmax(0).tolist()
        found = [self.things[i] for i in rows.tolist()]
        logs = [math.log(t.mass.median) for t in found]
        mean = sum(w * x for w, x in zip(weight, logs, strict=True))
        spread = sum(
            w * ((x - mean) ** 2 + t.mass.spread**2)
            for w, x, t in zip(weight, logs, found, strict=True)
        )
        share = (SHARP * (self._materials @ place)).softmax(0)
        for w, thing in zip(weight, found, strict=True):
            share[self.materials.index(thing.material)] += w
        material = self.materials[int(share.argmax())]
        return Knowledge(
            thing=found[0].name,
            material=material,
            mass=Guess(math.exp(mean), math.sqrt(spread)),
            friction=Guess(MATERIALS[material].friction, 0.4),
        )

    def prior(self, text: str, parameters: Sequence[Parameter]) -> Belief:
        """Return the belief that a text calls up, by words and then by meaning.

        Args:
            text: anything.
            parameters: the hidden parameters of a family.
        """
        return lexicon(text, parameters, beside=self.know)


def encoder(model: LanguageModel) -> Place:
    """Return a sentence encoder as `Nearest` takes one."""

    def place(texts: Sequence[str]) -> Float[Tensor, "text feature"]:
        with torch.no_grad():
            reader = model.reader(texts, adapt=1, tokens=_TOKENS, length=1.0)
            return reader(torch.arange(len(texts)))

    return place

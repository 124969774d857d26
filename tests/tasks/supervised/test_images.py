"""Few-shot classification: tasks, made-up characters, and a copy of Omniglot."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from tasks.supervised.glyphs import Glyphs, render
from tasks.supervised.images import ImageFamily
from tasks.supervised.omniglot import Omniglot


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(classes: int, each: int) -> torch.Tensor:
    """Images that say which they are: class in one pixel, image in another."""
    images = torch.zeros(classes, each, 2, 2, dtype=torch.uint8)
    images[..., 0, 0] = torch.arange(classes)[:, None]
    images[..., 0, 1] = torch.arange(each)
    return images


def test_a_task_is_some_classes_and_disjoint_images_of_each() -> None:
    family = ImageFamily({"train": numbered(9, 8), "unseen": numbered(5, 8)}, ways=4)
    support, query = family.sample("train", 300, seeded(), shots=2, queries=5)
    assert support.x.shape == (300, 8, 1, 2, 2)
    assert query.x.shape == (300, 20, 1, 2, 2)
    assert support.y[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    x, y = (torch.cat(pair, dim=1) for pair in zip(support, query, strict=True))
    drawn = (255 * x[:, :, 0, 0]).round().long()
    seen = set()
    for task, labels in zip(drawn, y, strict=True):
        by_class = [set(task[labels == way, 0].tolist()) for way in range(4)]
        assert [len(c) for c in by_class] == [1] * 4
        classes = [c.pop() for c in by_class]
        assert len(set(classes)) == 4
        seen.add(tuple(classes))
        for way in range(4):
            assert len(set(task[labels == way, 1].tolist())) == 7
    assert len(seen) > 250
    assert torch.unique(drawn[..., 0]).tolist() == list(range(9))


def test_rotations_are_classes_of_their_own_in_training_alone() -> None:
    collection = numbered(3, 2)
    family = ImageFamily(
        {"train": collection, "unseen": collection}, ways=3, rotations=True
    )
    assert family.images["train"].shape == (12, 2, 2, 2)
    assert torch.equal(family.images["train"][3:6], collection.rot90(1, (2, 3)))
    assert torch.equal(family.images["unseen"], collection)


def test_what_cannot_be_drawn_is_refused() -> None:
    images = {"train": numbered(6, 4), "unseen": numbered(3, 4)}
    with pytest.raises(
        ValueError, match="<= the 3 classes of images's split unseen, got 5"
    ):
        ImageFamily(images)
    with pytest.raises(ValueError, match="need 2 <= ways"):
        ImageFamily(images, ways=1)
    with pytest.raises(
        ValueError, match="4 images of a class, and 2 shots and 3 queries"
    ):
        ImageFamily(images, ways=3).sample("train", 1, seeded(), shots=2, queries=3)
    with pytest.raises(ValueError, match="splits: train, unseen"):
        ImageFamily(images, ways=3).sample("held-out", 1, seeded(), shots=1, queries=1)


def small_glyphs(seed: int = 0) -> Glyphs:
    return Glyphs(alphabets=(3, 2), characters=4, drawings=6, size=20, seed=seed)


def test_glyphs_are_reproducible_and_no_alphabet_is_in_both_splits() -> None:
    a, b, other = small_glyphs(), small_glyphs(), small_glyphs(seed=1)
    assert a.images["train"].shape == (12, 6, 20, 20)
    assert a.images["unseen"].shape == (8, 6, 20, 20)
    assert torch.equal(a.images["unseen"], b.images["unseen"])
    assert not torch.equal(a.images["train"], other.images["train"])
    ink = a.images["train"].float().mean((2, 3)) / 255
    assert ink.min() > 0.01
    assert ink.max() < 0.5


def test_drawings_of_a_character_are_alike_and_not_the_same() -> None:
    """Pixels tell five characters apart better than chance (1 / 5), and not by far."""
    family = Glyphs(alphabets=(1, 4), characters=10, drawings=4)
    support, query = family.sample("unseen", 200, seeded(), shots=1, queries=3)
    away = torch.cdist(query.x.flatten(2), support.x.flatten(2))
    share = (away.argmin(-1) == query.y).double().mean()
    assert 0.5 < share < 0.8
    images = family.images["unseen"].flatten(2).float()
    assert torch.cdist(images, images)[:, 0, 1:].min() > 0


def test_a_line_is_drawn_where_it_is() -> None:
    """A level stroke through the square's middle; half its width is 0.02 to 0.045."""
    line = torch.tensor([[[[0.25, 0.5], [0.5, 0.5], [0.75, 0.5]]]])
    [image] = render(line, 100, seeded())
    inked = image == 255
    rows, columns = inked.any(1).nonzero()[:, 0], inked.any(0).nonzero()[:, 0]
    half = (rows.max() - rows.min() + 1) / 2 / 100
    assert 0.015 < half < 0.046
    assert (rows.max() + rows.min() + 1) / 2 == 50
    assert columns.min().item() == pytest.approx(25 - 100 * half, abs=1)
    assert columns.max().item() == pytest.approx(75 + 100 * half, abs=2)
    assert (image[:, :10] == 0).all()


def published(folder: Path, *, skip: str = "") -> Path:
    """A folder as Omniglot is published, with a square of ink at the class's place."""
    for name, alphabets in (("images_background", 2), ("images_evaluation", 1)):
        for alphabet in range(alphabets):
            for character in range(3):
                place = folder / name / f"A_{alphabet}" / f"character{character:02}"
                place.mkdir(parents=True)
                for drawing in range(4):
                    file = place / f"{character:04}_{drawing:02}.png"
                    if file.name == skip:
                        continue
                    image = np.ones((105, 105), bool)  # a bit a pixel, 1 for white
                    left = 30 * character
                    image[50 * alphabet :, left : left + 15 + drawing] = 0
                    iio.imwrite(file, image)
    return folder


def test_omniglot_is_read_as_it_is_published(tmp_path: Path) -> None:
    family = Omniglot(published(tmp_path), ways=3, size=21, rotations=False)
    train, unseen = family.images["train"], family.images["unseen"]
    assert train.shape == (6, 4, 21, 21)
    assert unseen.shape == (3, 4, 21, 21)
    # the second alphabet's first character: ink in columns 0 to 15 of 105, from row 50
    assert (train[3, 0, 12:, :2] == 255).all()
    assert (train[3, 0, :8] == 0).all()
    assert (train[3, 0, :, 6:] == 0).all()
    # an image is scaled by area: its ink is kept
    share = train[5].float().mean((1, 2)) / 255
    expected = torch.tensor([55 * (15 + d) / 105**2 for d in range(4)])
    torch.testing.assert_close(share, expected, rtol=0.05, atol=0)
    support, _ = family.sample("unseen", 2, seeded(), shots=1, queries=3)
    assert support.x.shape == (2, 3, 1, 21, 21)
    assert Omniglot(tmp_path, ways=3).images["train"].shape == (24, 4, 28, 28)


def test_files_that_are_not_as_published_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no characters in .*images_background: need <al"
    ):
        Omniglot(tmp_path)
    published(tmp_path / "few", skip="0001_03.png")
    with pytest.raises(ValueError, match=r"character01 has 3 images, and .*00 has 4"):
        Omniglot(tmp_path / "few", ways=3)
    broken = published(tmp_path / "broken")
    file = broken / "images_background" / "A_0" / "character00" / "0000_00.png"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"0000_00.png is no image"):
        Omniglot(broken, ways=3)
    file.write_text("no picture")
    with pytest.raises(ValueError, match=r"0000_00.png is no image"):
        Omniglot(broken, ways=3)

"""Omniglot: handwritten characters of real alphabets, from a copy of your own.

Lake et al. 2015, doi 10.1126/science.aab3050. The published archives unpack to
`images_background/<alphabet>/<character>/*.png` and `images_evaluation/...`, black
strokes on white. Nothing is downloaded.
"""

from pathlib import Path

import imageio.v3 as iio
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from tasks.supervised.images import Collection, ImageFamily

FOLDERS = {"train": "images_background", "unseen": "images_evaluation"}
"""The published folder of each split; they share no alphabet."""


class Omniglot(ImageFamily):
    """Tell handwritten characters apart.

    Args:
        folder: holds `images_background` and `images_evaluation`.
        ways: classes of a task.
        size: pixels of an image's side, to which the files are scaled.
        rotations: turn training characters into more of them, as most published results
            do; see `ImageFamily`.

    Raises:
        ValueError: if a folder or its files are not as published, naming it.
    """

    name = "omniglot"

    def __init__(
        self,
        folder: str | Path,
        *,
        ways: int = 5,
        size: int = 28,
        rotations: bool = True,
    ) -> None:
        images = {
            split: read_characters(Path(folder) / name, size)
            for split, name in FOLDERS.items()
        }
        super().__init__(images, ways=ways, rotations=rotations)


def read_characters(folder: Path, size: int) -> Collection:
    """Read `<alphabet>/<character>/*.png`, the classes in the order of their names.

    Args:
        folder: one of the published folders.
        size: pixels to scale an image's side to.

    Returns:
        Ink of each pixel: 255 is black, 0 white.

    Raises:
        ValueError: if there are no characters, or a character has another number of
            images than the first.
    """
    characters = sorted(path for path in folder.glob("*/*") if path.is_dir())
    if not characters:
        raise ValueError(
            f"no characters in {folder}: need <alphabet>/<character>/*.png"
        )
    files = [sorted(character.glob("*.png")) for character in characters]
    for character, found in zip(characters, files, strict=True):
        if not found or len(found) != len(files[0]):
            raise ValueError(
                f"{character} has {len(found)} images, and {characters[0]} has "
                f"{len(files[0])}: every character needs the same number, at least one"
            )
    return torch.stack([torch.stack([_read(f, size) for f in fs]) for fs in files])


def _read(path: Path, size: int) -> UInt8[Tensor, "size size"]:
    try:
        grey = torch.from_numpy(iio.imread(path, plugin="pillow", mode="L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is no image: {error}") from error
    ink = 255 - grey.float()
    scaled = interpolate(ink[None, None], (size, size), mode="bilinear", antialias=True)
    return scaled[0, 0].round().clamp(0, 255).to(torch.uint8)

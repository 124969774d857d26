"""Few-shot classification of images: N classes of a collection, K images of each."""

from collections.abc import Mapping

import torch
from jaxtyping import UInt8
from torch import Tensor

from tasks.supervised.classes import as_shots, check_ways, draw_examples
from tasks.supervised.contract import Shots, SupervisedFamily

Collection = UInt8[Tensor, "class image height width"]


class ImageFamily(SupervisedFamily):
    """Tell `ways` classes of images apart (Vinyals et al. 2016, arXiv 1606.04080).

    A task is a draw of classes, numbered from 0 in the order in which they were drawn;
    support and query sets share no image. Images come as `task example 1 height width`
    in [0, 1], examples grouped by class.

    Args:
        images: the collection of each split, of `uint8`; the classes of no split are
            those of another.
        ways: classes of a task.
        rotations: turn training classes by 90, 180 and 270 degrees into classes of
            their own (Santoro et al. 2016, arXiv 1605.06065); images must be square.

    Raises:
        ValueError: if a split has fewer classes than `ways`.
    """

    name = "images"
    splits = ("train", "unseen")

    def __init__(
        self,
        images: Mapping[str, Collection],
        *,
        ways: int = 5,
        rotations: bool = False,
    ) -> None:
        self.ways = ways
        self.images = dict(images)
        if rotations:
            turned = [self.images["train"].rot90(k, (2, 3)) for k in range(4)]
            self.images["train"] = torch.cat(turned)
        for split, collection in self.images.items():
            check_ways(ways, len(collection), f"{self.name}'s split {split}")

    def draw(
        self,
        split: str,
        tasks: int,
        rng: torch.Generator,
        *,
        shots: int,
        queries: int,
    ) -> Shots:
        """Draw classes, and images of each."""
        images = self.images[split]
        classes, each = images.shape[:2]
        if shots + queries > each:
            raise ValueError(
                f"{self.name} has {each} images of a class, and {shots} shots and "
                f"{queries} queries are more"
            )
        sizes = [each] * classes
        chosen, image = draw_examples(sizes, self.ways, tasks, shots + queries, rng)
        return as_shots(images[chosen, image].float().div(255).unsqueeze(3), shots)

"""Few-shot classification of images: N classes of a collection, K images of each."""

from collections.abc import Mapping

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from tasks.supervised.contract import Examples, Shots, SupervisedFamily

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
            if not 2 <= ways <= len(collection):
                raise ValueError(
                    f"need 2 <= ways <= the {len(collection)} classes of {self.name}'s "
                    f"split {split}, got {ways}"
                )

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
        chosen = _subsets(classes, self.ways, (tasks,), rng)[:, :, None]
        image = _subsets(each, shots + queries, (tasks, self.ways), rng)
        x = images[chosen, image].float().div(255).unsqueeze(3)
        y = torch.arange(self.ways)[None, :, None].expand(image.shape)
        return Shots(
            Examples(x[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1, 2)),
            Examples(x[:, :, shots:].flatten(1, 2), y[:, :, shots:].flatten(1, 2)),
        )


def _subsets(
    size: int, count: int, batch: tuple[int, ...], rng: torch.Generator
) -> Int[Tensor, "*batch count"]:
    """Draw `count` of `size` numbers without repetition, for each of a batch."""
    return torch.rand(*batch, size, generator=rng).topk(count, dim=-1).indices

"""Few-shot classification: N classes of a collection, and K examples of each."""

from collections.abc import Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tasks.supervised.contract import Examples, Shots


def check_ways(ways: int, classes: int, what: str) -> None:
    """Raise ValueError unless a task can have so many of the classes.

    Args:
        ways: classes of a task.
        classes: classes to draw from.
        what: whose they are, for the message.
    """
    if not 2 <= ways <= classes:
        raise ValueError(
            f"need 2 <= ways <= the {classes} classes of {what}, got {ways}"
        )


def draw_examples(
    sizes: Sequence[int], ways: int, tasks: int, each: int, rng: torch.Generator
) -> tuple[Int[Tensor, "task way 1"], Int[Tensor, "task way each"]]:
    """Draw classes without repetition, and of each some of its examples.

    Args:
        sizes: number of examples of every class, each of them >= `each`.
        ways: classes of a task.
        tasks: number of tasks.
        each: examples of a class.
        rng: where they are drawn from.

    Returns:
        Numbers of the classes, and of the examples within their class.
    """
    count = torch.tensor(sizes)
    chosen = torch.rand(tasks, len(sizes), generator=rng).topk(ways).indices
    order = torch.rand(tasks, ways, int(count.max()), generator=rng)
    missing = torch.arange(order.shape[-1]) >= count[chosen][..., None]
    return chosen[..., None], order.masked_fill(missing, -1.0).topk(each).indices


def as_shots(drawn: Shaped[Tensor, "task way each *features"], shots: int) -> Shots:
    """Share examples out: the first `shots` of each class to adapt on, then queries.

    Classes are numbered from 0 in the order in which they were drawn.
    """
    label = torch.arange(drawn.shape[1])[None, :, None].expand(drawn.shape[:3])
    parts = slice(None, shots), slice(shots, None)
    support, query = (
        Examples(drawn[:, :, part].flatten(1, 2), label[:, :, part].flatten(1, 2))
        for part in parts
    )
    return Shots(support, query)

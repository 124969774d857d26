"""Memories of earlier pieces that a run keeps: the contract, and the simplest kinds.

A memory keeps no state: all that it knows is in `kept`, tensors by name, which is part
of a checkpoint. Every kind is a hook around the updates of any learner: which pieces
the tasks are drawn from, a loss that is added to the learner's own before each step of
the optimiser, and values that are put back after it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from meta.experience.rollout import Experience
from meta.learner import Learner, Reproduces
from meta.theta import Theta

Loss = Callable[[], Tensor]
"""Returns a scalar, differentiable in theta's trained tensors."""


class Moment(NamedTuple):
    """One iteration of a run of pieces."""

    iteration: int
    piece: int
    pieces: int
    progress: float
    """Share of the piece's iterations that have passed."""
    first: bool
    """True in the piece's first iteration."""
    last: bool
    """True in its last."""


class Schedule(NamedTuple):
    """Iterations of a run, shared equally by its pieces.

    The first iteration belongs to none: it is lived in tasks of all pieces, and settles
    the scales of observations without a step.
    """

    iterations: int
    pieces: int

    def start(self, piece: int) -> int:
        """Return the first iteration of a piece."""
        return 1 + piece * (self.iterations - 1) // self.pieces

    def at(self, iteration: int) -> Moment:
        """Return where in the run an iteration from 1 on is."""
        piece = next(
            p for p in reversed(range(self.pieces)) if iteration >= self.start(p)
        )
        begin, end = self.start(piece), self.start(piece + 1)
        return Moment(
            iteration=iteration,
            piece=piece,
            pieces=self.pieces,
            progress=(iteration - begin) / (end - begin),
            first=iteration == begin,
            last=iteration == end - 1,
        )


class Memory:
    """A memory of earlier pieces; this one keeps nothing, which is fine-tuning.

    Args:
        learner: what learns.
        hold: how strongly earlier pieces are held on to, in the unit of the kind.
    """

    title: ClassVar[str] = "fine-tuning"
    default: ClassVar[float] = 0.0
    """The hold, unless another is given."""
    most: ClassVar[float] = float("inf")
    """The greatest hold."""
    at_once: ClassVar[bool] = False
    """True if all pieces are there from the start, and the run has no parts."""
    reproduces: ClassVar[bool] = False
    """True if it serves only a learner that `Reproduces`."""

    def __init__(self, learner: Learner, hold: float) -> None:
        self.learner = learner
        self.hold = hold

    def draw(self, moment: Moment, count: int) -> list[int]:
        """Return the piece that each task of an iteration is drawn from."""
        return [moment.piece] * count

    def begin(self, kept: Theta, theta: Theta, moment: Moment) -> Theta:
        """Return what is kept when a piece begins; may change theta in place."""
        return kept

    def loss(
        self, kept: Theta, theta: Theta, count: int, rng: torch.Generator
    ) -> Loss | None:
        """Return the loss to add in an iteration of `count` tasks, if there is one."""
        return None

    def settle(self, kept: Theta, theta: Theta) -> None:
        """Put back what a step of the optimiser must not have changed, in place."""

    def learned(
        self,
        kept: Theta,
        theta: Theta,
        moment: Moment,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Return what is kept after an iteration; may change theta in place."""
        return kept

    def recalled(self, kept: Theta, theta: Theta, piece: int) -> Theta:
        """Return what acts in a piece: theta, for a memory that need not be told."""
        return theta

    def reproducing(self) -> Reproduces:
        """Return the learner, which can say what it would do now."""
        assert isinstance(self.learner, Reproduces)
        return self.learner


class Together(Memory):
    """All pieces from the start, which learning them in turn is held against."""

    title = "multi-task"
    at_once = True

    def draw(self, moment: Moment, count: int) -> list[int]:
        """Return every piece in turn, beginning where the last iteration ended."""
        first = moment.iteration * count
        return [(first + i) % moment.pieces for i in range(count)]


def trained(theta: Theta) -> Mapping[str, Tensor]:
    """Return the tensors of theta that the optimiser changes."""
    return {k: v for k, v in theta.items() if v.requires_grad}


def is_spread(name: str) -> bool:
    """Tell whether a tensor is the spread of actions, which each piece sets anew."""
    return name.endswith("/log_std")

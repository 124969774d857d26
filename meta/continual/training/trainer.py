"""The training loop of a run whose tasks arrive in pieces.

It is `Trainer`'s, with three differences. The scales of observations are those of the
first iteration, which is lived in tasks of all pieces and takes no step: were they to
follow the pieces, a policy would forget though none of its weights changed. Each piece
begins with a fresh optimiser, whose step size falls to 0 at the piece's end, and with
the initial spread of actions, which no memory holds: after a narrow one, a policy that
acts the wrong way never finds out. And some metrics are measured: the success of the
mean action on held-out tasks of the piece under way a few times, and of all pieces
whenever one ends.
"""

import math
import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from meta.continual.training.memory import (
    Loss,
    Memory,
    Moment,
    Schedule,
    is_spread,
    trained,
)
from meta.experience.rollout import Experience, collect
from meta.learner import (
    Learner,
    Metrics,
    Relives,
    Reproduces,
    adapt_to_worlds,
)
from meta.learners.critic import CRITIC
from meta.machine.devices import simulator_threads
from meta.machine.distributed import share
from meta.machine.seeds import derived_generator, derived_seed
from meta.registry import MEMORIES
from meta.theta import Theta
from meta.training.config import TrainCfg
from meta.training.trainer import Trainer
from tasks.contract import Worlds, check_alone
from tasks.named import imported
from tasks.pieces import Piece, make_pieces
from tasks.task import Task

REMEMBER, MEASURE, HELD_OUT = 2, 3, 4
"""Streams of random numbers, beside those of `Trainer`."""
OFTEN = 4
"""Times that a piece is measured while it is under way, and at its end."""


class PiecesTrainer(Trainer):
    """A run of pieces; between iterations it is theta, optimiser and memory alone.

    Args:
        cfg: what to train.
        env: its worlds.
        learner: what learns.

    Raises:
        ValueError: for pieces that the family does not have, fewer iterations than
            they take, a team, several processes, or a method that cannot remember so.
    """

    def __init__(self, cfg: TrainCfg, env: Worlds, learner: Learner) -> None:
        check_alone(env.family, "a run of pieces")
        self.pieces = make_pieces(env.family, cfg.pieces, cfg.seed)
        if share().size > 1:
            raise ValueError(f"a run of pieces has one process, got {share().size}")
        if isinstance(learner, Relives) and learner.relives:
            raise ValueError(
                "an adapter that learns from all earlier iterations would remember "
                "every piece: in pieces, replay must be 0 (--replay 0)"
            )
        if cfg.iterations <= len(self.pieces):
            raise ValueError(
                f"{len(self.pieces)} pieces need at least {len(self.pieces) + 1} "
                f"iterations, the first of which settles scales; got {cfg.iterations}"
            )
        super().__init__(cfg, env, learner)
        self.schedule = Schedule(cfg.iterations, len(self.pieces))
        self.remembers = make_memory(cfg, learner)
        self._loss: Loss | None = None
        self.optimizer.register_step_pre_hook(self._pull)
        self.optimizer.register_step_post_hook(self._settle)

    @property
    def moment(self) -> Moment | None:
        """Place of the iteration under way; none for the first one."""
        return self.schedule.at(self.iteration) if self.iteration else None

    def progress(self) -> float:
        """Return the share of the piece that has passed, or of the run without any."""
        moment = self.moment
        if moment is None or self.remembers.at_once:
            return max(0, self.iteration - 1) / (self.cfg.iterations - 1)
        return moment.progress

    def draw(self, seed: int) -> list[Task]:
        """Draw tasks of the piece under way, or of those that the memory wants."""
        count, moment = self.cfg.tasks, self.moment
        if moment is None:
            places = [i % len(self.pieces) for i in range(count)]
        else:
            places = self.remembers.draw(moment, count)
        seeds = np.random.SeedSequence([seed]).generate_state(count, np.uint64)
        return [
            self.pieces[place].task(self.env.family, "train", int(s))
            for place, s in zip(places, seeds, strict=True)
        ]

    def step(self) -> Metrics:
        """One iteration, and what is measured after it."""
        moment = self.moment
        if moment is None or not moment.first:
            return super().step() | self._measured(moment)
        if not (self.remembers.at_once and moment.piece):
            self._begin_anew()
        self.memory = self.remembers.begin(self.memory, self.theta, moment)
        return super().step() | self._measured(moment)

    def _begin_anew(self) -> None:
        """Forget the optimiser's steps, and explore as widely as a fresh policy."""
        self.optimizer.state.clear()
        for name, value in self.theta.items():
            if is_spread(name):
                with torch.no_grad():
                    value.fill_(math.log(self.cfg.initial_std))

    def learn(self, learner: Learner, experiences: list[Experience]) -> Metrics:
        """Update theta, and what is kept."""
        moment = self.moment
        if moment is None:
            for entry in self.optimizer.param_groups:
                entry["lr"] = 0.0
            return super().learn(learner, experiences)
        rng = derived_generator(
            self.cfg.seed, REMEMBER, self.iteration, device=self.env.device
        )
        scales = {k: v.clone() for k, v in self.theta.items() if _is_scale(k)}
        self._loss = self.remembers.loss(self.memory, self.theta, self.cfg.tasks, rng)
        metrics = super().learn(learner, experiences)
        self._loss = None
        for name, value in scales.items():
            self.theta[name].copy_(value)
        self.memory = self.remembers.learned(
            self.memory, self.theta, moment, experiences, rng
        )
        return metrics | {"piece": float(moment.piece)}

    def _settle(self, *_: object) -> None:
        self.remembers.settle(self.memory, self.theta)

    def _pull(self, *_: object) -> None:
        """Add the gradient of what is remembered to the learner's own."""
        if self._loss is None:
            return
        leaves = [
            v
            for k, v in trained(self.theta).items()
            if not (is_spread(k) or k.startswith(f"{CRITIC}/"))
        ]
        # a critic takes steps of its own, and nothing of it is remembered
        if all(leaf.grad is None for leaf in leaves):
            return
        with torch.enable_grad():
            found = torch.autograd.grad(self._loss(), leaves, materialize_grads=True)
        for leaf, gradient in zip(leaves, found, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient

    def _measured(self, moment: Moment | None) -> Metrics:
        """Measure all pieces when one has ended, and the one under way now and then."""
        if moment is None or moment.last:
            due: Sequence[int] = range(len(self.pieces))
        else:
            length = self.schedule.start(moment.piece + 1)
            length -= self.schedule.start(moment.piece)
            done = self.iteration - self.schedule.start(moment.piece)
            now, before = (OFTEN * n // length for n in (done, done - 1))
            due = [moment.piece] if now > before else []
        found: Metrics = {}
        for i in due:
            theta = self.remembers.recalled(self.memory, self.theta, i)
            found |= measure_piece(self, self.pieces[i], i, theta)
        return found


def make_memory(cfg: TrainCfg, learner: Learner) -> Memory:
    """Make the memory of a configuration.

    Raises:
        ValueError: for a hold that it cannot have, or a learner that it cannot serve.
    """
    kind: type[Memory] = imported(MEMORIES[cfg.remember])
    if cfg.hold > kind.most:
        raise ValueError(
            f"the hold of {cfg.remember} is at most {kind.most:g}, got {cfg.hold:g}"
        )
    if kind.reproduces and not isinstance(learner, Reproduces):
        raise ValueError(
            f"{cfg.method} cannot remember by {cfg.remember}, which serves learners "
            "whose theta is one policy (meta.learner.Reproduces)"
        )
    return kind(learner, cfg.hold or kind.default)


def measure_piece(
    trainer: PiecesTrainer, piece: Piece, place: int, theta: Theta
) -> Metrics:
    """Measure a policy on held-out tasks of a piece, the same ones at every time.

    Each world has a task of its own, but for a method that adapts: it gets as many
    tasks as in training, and an episode in each of their worlds first.
    """
    env, learner, cfg = trainer.env, trainer.learner, trainer.cfg
    tasks = cfg.tasks if learner.inner_steps else env.worlds
    # its own numbers, wherever in a run it comes
    name = zlib.crc32(str(piece).encode())
    make = partial(derived_generator, cfg.seed, MEASURE, name, device=env.device)
    drawn = piece.sample(
        env.family, "held-out", derived_seed(cfg.seed, HELD_OUT, name), tasks
    )
    env.assign([task for task in drawn for _ in range(env.worlds // tasks)])
    adaptation = learner.begin(theta, tasks)
    with simulator_threads():
        for step in range(learner.inner_steps):
            adaptation = adapt_to_worlds(learner, theta, adaptation, env, make(step))
        act = learner.act(theta, adaptation)
        seen = collect(env, act, make(learner.inner_steps), explore=False)
    means = {"return": seen.returns.mean(), "success": seen.success.float().mean()}
    return {f"piece{place}/{k}": v.item() for k, v in means.items()}


def _is_scale(name: str) -> bool:
    return name.split("/")[0].endswith("moments")

"""Trials: the episodes of one task in order, as one sequence of steps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from meta.experience.rollout import Experience
from policies.distribution import Distribution


class Trials(NamedTuple):
    """Steps of whole trials, one after another; the rest of a row is not `valid`."""

    obs: Float[Tensor, "trial step obs"]
    next_obs: Float[Tensor, "trial step obs"]
    action: Float[Tensor, "trial step action"]
    old: Distribution
    """The distribution that the actions were drawn from."""
    reward: Float[Tensor, "trial step"]
    valid: Float[Tensor, "trial step"]
    """1 for each step of an episode, then 0 for what is left of the row."""
    first: Float[Tensor, "trial step"]
    """1 where an episode begins, else 0."""
    clock: Float[Tensor, "trial step 2"]
    """Shares of the episode, and of the trial's episodes, that have gone by."""
    fresh: Float[Tensor, "trial step"]
    """1 for the steps to learn from: of steps that several trials share, one has it."""


def trials_of(experiences: Sequence[Experience]) -> Trials:
    """Lay experience out as one row per trial, in the order that it was lived.

    The episodes of a phase follow one another. Those of the last, where there are
    several, are all acted from one memory: each of them ends a trial of its own, and
    the first of these learns from the steps that they share.
    """
    *before, last = experiences
    ends = last.valid.shape[1] if before else 1
    whole = _joined([*(_repeated(e, ends) for e in before), _ends(last, ends)])
    count, episodes, horizon = whole.valid.shape
    own = last.valid.shape[1] // ends
    fresh = whole.valid.unflatten(0, (-1, ends)).clone()
    fresh[:, 1:, : episodes - own] = 0
    order = whole.valid.flatten(1).argsort(dim=1, descending=True, stable=True)

    def lay(x: Tensor) -> Tensor:
        flat = x.flatten(1, 2)
        index = order.reshape(*order.shape, *[1] * (flat.ndim - 2)).expand_as(flat)
        return flat.gather(1, index)

    step, episode = (
        torch.arange(n, device=order.device, dtype=whole.valid.dtype) / n
        for n in (horizon, episodes)
    )
    clock = torch.stack([step.expand(episodes, -1), episode[:, None] + 0 * step], -1)
    starts = (step == 0).to(whole.valid.dtype) * whole.valid
    return Trials(
        obs=lay(whole.obs),
        next_obs=lay(whole.next_obs),
        action=lay(whole.action),
        old=type(whole.old)(*map(lay, whole.old)),
        reward=lay(whole.reward),
        valid=lay(whole.valid),
        first=lay(starts),
        clock=lay(clock.expand(count, -1, -1, -1)),
        fresh=lay(fresh.flatten(0, 1)),
    )


def some_trials(trials: Trials, keep: slice) -> Trials:
    """Return some rows."""
    kept = {k: v[keep] for k, v in trials._asdict().items() if k != "old"}
    return Trials(**kept, old=type(trials.old)(*(x[keep] for x in trials.old)))


def _repeated(e: Experience, times: int) -> Experience:
    """Return as many copies of each task, side by side."""

    def repeat(pieces: list[Tensor]) -> Tensor:
        return pieces[0].repeat_interleave(times, dim=0)

    return _mapped([e], repeat)


def _ends(e: Experience, ends: int) -> Experience:
    """Return the episodes of a task as tasks of their own, if there are so many."""

    def part(pieces: list[Tensor]) -> Tensor:
        return pieces[0].unflatten(1, (ends, -1)).flatten(0, 1)

    return _mapped([e], part)


def _joined(experiences: Sequence[Experience]) -> Experience:
    return _mapped(experiences, lambda pieces: torch.cat(pieces, dim=1))


def _mapped(
    experiences: Sequence[Experience], change: Callable[[list[Tensor]], Tensor]
) -> Experience:
    """Change every tensor, given that of each experience."""
    first = experiences[0]
    names = [n for n in first._fields if n not in ("old", "lived", "others")]
    made = {n: change([getattr(e, n) for e in experiences]) for n in names}
    parts = zip(*(e.old for e in experiences), strict=True)
    return Experience(**made, old=type(first.old)(*(change(list(p)) for p in parts)))

"""A memory within the episode: the last few steps, as part of the observation."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from meta.experience.moments import standardised
from meta.theta import Theta
from policies.acting import RecurrentPolicy, Transition
from policies.distribution import Distribution


def window_width(obs_dim: int, action_dim: int, length: int) -> int:
    """Return the number of features of a window of so many steps."""
    # of a step: change of the observation, reward, action, and that there was one
    return length * (obs_dim + action_dim + 2)


def remembering(
    theta: Theta,
    decide: Callable[[Float[Tensor, "world read"]], Distribution],
    tasks: int,
    width: int,
) -> RecurrentPolicy:
    """Return a policy that reads the window after its observation.

    Args:
        theta: holds the moments that scale both.
        decide: maps what is read to distributions over actions.
        tasks: number of tasks that the worlds are grouped by.
        width: features of the window.
    """

    def policy(obs: Tensor, window: Tensor) -> Distribution:
        return decide(torch.cat([standardised(theta, obs), window], dim=-1))

    def watch(window: Tensor, step: Transition) -> Tensor:
        n = step.obs.shape[-1]
        change = torch.cat([step.next_obs - step.obs, step.reward[..., None]], dim=-1)
        # moments are those of an observation, its change and the reward, in this order
        scaled = standardised(theta, torch.cat([step.obs, change], dim=-1))
        newest = _features(scaled[..., n:], step.action, step.valid)
        return torch.cat([window[..., newest.shape[-1] :], newest], dim=-1)

    empty = torch.zeros(tasks, width, device=theta["moments/mean"].device)
    return RecurrentPolicy(memory=empty, policy=policy, watch=watch)


def windows(
    change: Float[Tensor, "*batch time change"],
    action: Float[Tensor, "*batch time action"],
    valid: Float[Tensor, "*batch time"],
    length: int,
) -> Float[Tensor, "*batch time window"]:
    """Return the window before each step of whole episodes.

    Args:
        change: scaled change of the observation, and reward.
        action: actions.
        valid: 1 where a step belongs to the episode, else 0.
        length: steps that a window holds, the oldest first.
    """
    steps = _features(change, action, valid)
    # before step t lie the steps t - length to t - 1, and nothing before the first
    before = pad(steps, (0, 0, length, 0))[..., :-1, :]
    return before.unfold(-2, length, 1).transpose(-1, -2).flatten(-2)


def _features(
    change: Float[Tensor, "*batch change"],
    action: Float[Tensor, "*batch action"],
    valid: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch features"]:
    happened = torch.ones_like(valid)[..., None]
    return torch.cat([change, action, happened], dim=-1) * valid[..., None]

"""A memory of a trial: what it reads of each step, at once or as the steps come."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from meta.experience.moments import standardised
from meta.experience.trials import Trials
from meta.theta import Theta, group
from policies.acting import Transition
from policies.attention import CausalTransformer
from policies.recurrent import Gru

MEMORY = "memory"
"""Group of the memory's parameters in theta."""


def read_width(obs_dim: int, action_dim: int) -> int:
    """Return the number of features that a memory reads at each step."""
    return obs_dim + _brought_width(obs_dim, action_dim)


def _brought_width(obs_dim: int, action_dim: int) -> int:
    # change of the observation, reward, action, and that an episode ended
    return obs_dim + 1 + action_dim + 1


class TrialMemory:
    """A network that reads a trial, and the flat state that it goes on from.

    At each step it reads the observation, and what the step before brought. So the
    state is the network's own, and after it what the last step brought: nothing, before
    the first of all. What is remembered are the network's features, and the last step.

    Args:
        network: reads features of `read_width`.
        obs_dim: features of an observation.
        action_dim: action components, or choices.
    """

    def __init__(
        self, network: Gru | CausalTransformer, obs_dim: int, action_dim: int
    ) -> None:
        self.network = network
        self.own = network.state_dim
        self.brought = _brought_width(obs_dim, action_dim)
        self.width = network.width + self.brought

    def empty(self, theta: Theta, rows: int) -> Float[Tensor, "row memory"]:
        """Return the state of a trial that has not begun."""
        like = next(iter(group(theta, MEMORY).values())).detach()
        return like.new_zeros(rows, self.own + self.brought)

    def look(
        self,
        theta: Theta,
        obs: Float[Tensor, "world obs"],
        memory: Float[Tensor, "world memory"],
    ) -> Float[Tensor, "world width"]:
        """Return what is remembered at a step, given its observation."""
        return self._step(theta, obs, torch.ones_like(obs[:, :1]), memory)[0]

    def watch(
        self, theta: Theta, memory: Float[Tensor, "world memory"], seen: Transition
    ) -> Float[Tensor, "world memory"]:
        """Return the state after a step; one that does not count leaves it."""
        valid = seen.valid[:, None]
        _, state = self._step(theta, seen.obs, valid, memory)
        going_on = torch.zeros_like(valid)
        brought = torch.cat([_brought(theta, seen), going_on], dim=-1)
        before = torch.where(valid > 0, brought, memory[:, self.own :])
        return torch.cat([state, before], dim=-1)

    def read(
        self,
        theta: Theta,
        trials: Trials,
        memory: Float[Tensor, "trial memory"] | None = None,
    ) -> tuple[Float[Tensor, "trial step width"], Float[Tensor, "trial memory"]]:
        """Read whole episodes.

        Args:
            theta: the network's parameters, and the moments that scale what it reads.
            trials: the episodes.
            memory: the state that they were begun with; an empty one by default.

        Returns:
            What is remembered at each step, and the state after the last episode.
        """
        state, left = None, trials.obs.new_zeros(len(trials.obs), self.brought)
        if memory is not None:
            state, left = memory.tensor_split((self.own,), dim=-1)
        brought = _brought(theta, step_of(trials))
        # the step before one that begins an episode ended another
        ended = trials.first[:, 1:, None]
        inner = torch.cat([brought[:, :-1], ended], dim=-1)
        before = torch.cat([left[:, None], inner], dim=1)
        x = torch.cat([standardised(theta, trials.obs), before], dim=-1)
        features, state = self._run(theta, x, trials.valid, state)
        over = torch.cat([brought, torch.ones_like(brought[..., :1])], dim=-1)
        ends = torch.cat([left[:, None], over], dim=1)
        last = trials.valid.sum(1).long()[:, None, None].expand(-1, 1, self.brought)
        return features, torch.cat([state, ends.gather(1, last)[:, 0]], dim=-1)

    def _step(
        self,
        theta: Theta,
        obs: Float[Tensor, "world obs"],
        valid: Float[Tensor, "world 1"],
        memory: Float[Tensor, "world memory"],
    ) -> tuple[Float[Tensor, "world width"], Float[Tensor, "world state"]]:
        state, before = memory.tensor_split((self.own,), dim=-1)
        x = torch.cat([standardised(theta, obs), before], dim=-1)[:, None]
        features, state = self._run(theta, x, valid, state)
        return features[:, 0], state

    def _run(
        self,
        theta: Theta,
        x: Float[Tensor, "row step features"],
        valid: Float[Tensor, "row step"],
        state: Float[Tensor, "row state"] | None,
    ) -> tuple[Float[Tensor, "row step width"], Float[Tensor, "row state"]]:
        own = group(theta, MEMORY)
        features, after = functional_call(self.network, own, (x, valid, state))
        # what the last step brought need not go through the network
        return torch.cat([features, x[..., -self.brought :]], dim=-1), after


def step_of(trials: Trials) -> Transition:
    """Return trials as a policy with a memory sees them."""
    return Transition(
        trials.obs, trials.action, trials.reward, trials.next_obs, trials.valid
    )


def step_features(s: Transition) -> Float[Tensor, "*batch features"]:
    """Observation, its change over the step, and the reward."""
    return torch.cat([s.obs, s.next_obs - s.obs, s.reward[..., None]], dim=-1)


def _brought(theta: Theta, s: Transition) -> Float[Tensor, "*batch brought"]:
    """Return change, reward and action of a step, the first two scaled."""
    scaled = standardised(theta, step_features(s))[..., s.obs.shape[-1] :]
    return torch.cat([scaled, s.action], dim=-1)

"""Spaces of Gymnasium as tensors: actions in [-1, 1] or one-hot, observations flat."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, flatdim, flatten
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from tasks.contract import TaskFamily

Vector = VectorEnv[Any, Any, Any]


class Spaces:
    """Observations and actions of a vector environment, as policies see them.

    Args:
        family: states the sizes.
        envs: the vector environment.

    Raises:
        ValueError: for observations that Gymnasium cannot flatten to `obs_dim` numbers,
            or actions that are neither a bounded box of `action_dim` numbers nor, of a
            family that is `discrete`, as many choices.
    """

    def __init__(self, family: TaskFamily, envs: Vector) -> None:
        self.envs, self.family = envs, family.name
        self.single: gymnasium.Space[Any] = envs.single_observation_space
        self.action: Any = envs.single_action_space
        if not self.single.is_np_flattenable or flatdim(self.single) != family.obs_dim:
            raise ValueError(
                f"observations of family {family.name} are to flatten to a Box of "
                f"{family.obs_dim} numbers, got {self.single}"
            )
        kind, wanted = Box, f"a Box of {family.action_dim} numbers"
        if family.discrete:
            kind, wanted = Discrete, f"Discrete, {family.action_dim} choices"
        if not isinstance(self.action, kind) or _size(self.action) != family.action_dim:
            hint = ""
            if isinstance(self.action, Discrete) and not family.discrete:
                hint = f"; state discrete = True and action_dim = {self.action.n}"
            raise ValueError(
                f"actions of family {family.name} are to be {wanted}, got "
                f"{self.action}{hint}"
            )
        if isinstance(self.action, Box) and not self.action.is_bounded("both"):
            raise ValueError(
                f"actions of family {family.name} need bounds, which [-1, 1] is "
                f"stretched to; got {self.action}"
            )

    def actions(self, action: Float[Tensor, "world action"]) -> NDArray[Any]:
        """Return actions as the environment takes them.

        Those in [-1, 1] are stretched to its bounds, and rounded where it wants whole
        numbers; of choices, the largest component is taken.
        """
        space = self.action
        if isinstance(space, Discrete):
            return action.argmax(-1).numpy().astype(space.dtype) + space.start
        low, high = (np.float64(bound) for bound in (space.low, space.high))
        wide = action.double().numpy().reshape(len(action), *space.shape)
        stretched = (low + high) / 2 + (high - low) / 2 * wide
        stretched = np.clip(stretched, low, high)
        if np.issubdtype(space.dtype, np.integer):
            stretched = np.rint(stretched)
        return stretched.astype(space.dtype)

    def rows(self, obs: Any) -> Float[Tensor, "world obs"]:  # noqa: ANN401  (any space)
        """Return the observations of all worlds, as `gymnasium.spaces.flatten` does.

        Raises:
            ValueError: for those of another shape than the space of a Box says.
        """
        if isinstance(self.single, Box):
            found, wanted = np.array(obs), (self.envs.num_envs, *self.single.shape)
            if found.shape != wanted:
                raise ValueError(
                    f"family {self.family}: observations have shape {wanted}, as the "
                    f"observation space says, got {found.shape}"
                )
            return torch.from_numpy(found).float().flatten(1)
        worlds = iterate(self.envs.observation_space, obs)
        return torch.stack([self.row(one) for one in worlds])

    def row(self, obs: Any) -> Float[Tensor, "obs"]:  # noqa: ANN401
        """Return the observation of one world, flat."""
        return torch.from_numpy(np.array(flatten(self.single, obs))).float()


def autoreset_mode(family: TaskFamily, envs: Vector) -> AutoresetMode:
    """Return the autoreset mode that a vector environment states.

    Raises:
        ValueError: if it states none.
    """
    mode = envs.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise ValueError(
            f"family {family.name}: metadata['autoreset_mode'] is to be one of "
            f"{', '.join(m.name for m in AutoresetMode)}, got {mode!r}"
        ) from None


def _size(space: Box | Discrete) -> int:
    return int(space.n) if isinstance(space, Discrete) else int(np.prod(space.shape))

"""cheetah-direction: run forwards or backwards, whichever is rewarded.

Gymnasium's half_cheetah under the protocol of ProMP (Rothfuss et al. 2019, arXiv
1810.06784): horizon 100, two tasks, reward direction * velocity minus a control cost.
The reward is the protocol's, in [m/s], and not a sum of terms in [0, 1].
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.half_cheetah import HalfCheetah
from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.locomotion.legged_family import LeggedFamily, heavier
from tasks.parameters import Choice, Scalar


class CheetahDirection(LeggedFamily):
    """Half-cheetah with a hidden direction."""

    name = "cheetah-direction"
    summary = "run forwards or backwards, whichever is rewarded (ProMP's protocol)"
    success = "the cheetah ends more than 5 m away in the rewarded direction"
    robot = HalfCheetah
    horizon = 100
    substeps = 5
    obs_dim = 17
    action_dim = 6
    in_episode = True
    parameters = (
        Choice(name="direction", options=("forwards", "backwards")),
        # one value in training: there are two tasks only, so leaving the training
        # distribution means another body
        Scalar(name="mass", unit="of nominal", low=1.0, high=1.0, beyond=((1.2, 1.5),)),
    )
    fields = ("body_mass", "body_inertia")
    weights: ClassVar[Mapping[str, float]] = {"velocity": 1.0, "control": -0.05}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._sign = torch.tensor([1.0, -1.0], device=device)

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Masses and inertias in proportion."""
        return heavier(self.model, values["mass"])

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Velocity along the direction over the step, and squared controls."""
        sign = self._sign[now.values["direction"].long()]
        end, along = self.run(before, now)
        velocity = sign * along
        return Outcome(
            terms={"velocity": velocity, "control": action.square().sum(-1)},
            success=sign * end > 5.0,
            terminated=torch.zeros_like(velocity, dtype=torch.bool),
        )

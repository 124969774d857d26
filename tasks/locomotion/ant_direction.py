"""ant-direction: run forwards or backwards, whichever is rewarded.

Gymnasium's ant under the protocol of MAML (Finn et al. 2017, arXiv 1703.03400): two
tasks, horizon 200, reward direction * velocity minus a control cost, 0.05 for each step
on its feet, and the episode ends where it is not. The reward is the protocol's, in
[m/s], and not a sum of terms in [0, 1].

It differs in this: MAML's step is rllab's; forces of contact are neither observed nor
charged for (the published cost is at most 0.04 a step).
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.locomotion.ant_family import AntFamily
from tasks.locomotion.legged_family import heavier
from tasks.parameters import Choice, Scalar


class AntDirection(AntFamily):
    """Ant with a hidden direction."""

    name = "ant-direction"
    summary = "run on four legs, forwards or backwards (MAML's protocol)"
    success = "the ant ends on its feet, more than 5 m away in the rewarded direction"
    # taken to be as cheetah-direction is
    in_episode = True
    parameters = (
        Choice(name="direction", options=("forwards", "backwards")),
        # one value in training: there are two tasks only, so leaving the training
        # distribution means another body
        Scalar(name="mass", unit="of nominal", low=1.0, high=1.0, beyond=((1.2, 1.5),)),
    )
    fields = ("body_mass", "body_inertia")
    weights: ClassVar[Mapping[str, float]] = {
        "velocity": 1.0,
        "control": -0.005,
        "standing": 0.05,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._sign = torch.tensor([1.0, -1.0], device=device)

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Masses and inertias in proportion."""
        return heavier(self.model, values["mass"])

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Velocity along the direction over the step, controls, and standing."""
        sign = self._sign[now.values["direction"].long()]
        end, along = self.run(before, now)
        stands = self.stands(now)
        return Outcome(
            terms={
                "velocity": sign * along,
                "control": action.square().sum(-1),
                "standing": stands.float(),
            },
            success=stands & (sign * end > 5.0),
            terminated=~stands,
        )

"""ant-crippled: run on three legs, whichever the fourth is.

Gymnasium's ant under the protocol of Nagabandi et al. 2019 (arXiv 1803.11347): one leg
is shrunk and its two motors are dead; three legs are crippled in training, one at a
time, and the fourth is kept for the split `unseen`. The reward is the protocol's
velocity along x, in [m/s], without its 0.05 a step, which is the same for all: nothing
ends an episode. It is not a sum of terms in [0, 1].

It differs in this: their step is 20 ms and their episode 1,000 steps, this one's is 200
steps of 50 ms, as in MAML's tasks of the ant; their ant is rllab's.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.ant import LEGS
from robots.sim.coordinates import control_columns
from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.locomotion.ant_family import AntFamily
from tasks.locomotion.legged_family import heavier
from tasks.parameters import SPLITS, Choice, Scalar

_SIDES = {"front": 1.0, "back": -1.0, "left": 1.0, "right": -1.0}


class AntCrippled(AntFamily):
    """Ant with a hidden leg that does not work."""

    name = "ant-crippled"
    summary = "run on three legs of four, whichever they are"
    success = "the ant ends on its feet, more than 5 m ahead"
    splits = SPLITS
    parameters = (
        Choice(
            name="leg",
            options=LEGS[:3],
            unseen=LEGS[3:],
            traits={leg: tuple(_SIDES[s] for s in leg.split("-")) for leg in LEGS},
        ),
        # one value in training: three tasks, so leaving the training distribution
        # means another body
        Scalar(name="mass", unit="of nominal", low=1.0, high=1.0, beyond=((1.2, 1.5),)),
    )
    fields = ("geom_size", "geom_pos", "body_mass", "body_inertia")
    weights: ClassVar[Mapping[str, float]] = {"velocity": 1.0}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        works = torch.ones(len(LEGS), self.model.nu)
        size = torch.from_numpy(self.model.geom_size).repeat(len(LEGS), 1, 1)
        pos = torch.from_numpy(self.model.geom_pos).repeat(len(LEGS), 1, 1)
        for leg in range(len(LEGS)):
            joints = (f"hip_{leg + 1}", f"ankle_{leg + 1}")
            works[leg, control_columns(self.model, joints)] = 0.0
            bodies = [self.model.joint(joint).bodyid[0] for joint in joints]
            upper, lower = (int(self.model.body_geomadr[body]) for body in bodies)
            size[leg, [upper, lower]] /= 2
            pos[leg, lower] = pos[leg, upper]
        self._works, self._size, self._pos = works.to(device), size, pos

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Shrink the leg into its hip."""
        leg = values["leg"].long()
        shrunk = {"geom_size": self._size[leg], "geom_pos": self._pos[leg]}
        return shrunk | heavier(self.model, values["mass"])

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Motors of the leg get no control."""
        return action * self._works[now.values["leg"].long()]

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Velocity along x over the step."""
        end, velocity = self.run(before, now)
        return Outcome(
            terms={"velocity": velocity},
            success=self.stands(now) & (end > 5.0),
            terminated=torch.zeros_like(velocity, dtype=torch.bool),
        )

"""cheetah-velocity: run at the velocity that is rewarded.

Gymnasium's half_cheetah under the protocol of MAML (Finn et al. 2017, arXiv
1703.03400): velocities uniform in [0, 2] m/s, horizon 200, reward -|velocity - goal|
minus a control cost. The reward is the protocol's, in [m/s], and not a sum of terms in
[0, 1].

It differs from the protocol in the body. MAML's is rllab's, which observes where its
torso is and whose step is 10 ms; this one's step is Gymnasium's, 50 ms, so that an
episode of as many steps is five times as long. `extrapolation` is what ProMP (Rothfuss
et al. 2019, arXiv 1810.06784) draws beyond it, up to 3 m/s.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.half_cheetah import HalfCheetah
from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.locomotion.legged_family import LeggedFamily
from tasks.parameters import Scalar

_CLOSE = 0.2
"""Greatest difference at which the velocity counts as the goal's [m/s]."""


class CheetahVelocity(LeggedFamily):
    """Half-cheetah with a hidden goal velocity."""

    name = "cheetah-velocity"
    summary = "run at the velocity that is rewarded (MAML's protocol)"
    success = "the velocity over the last step is within 0.2 m/s of the rewarded one"
    robot = HalfCheetah
    horizon = 200
    substeps = 5
    obs_dim = 17
    action_dim = 6
    # what is observed does not tell, but what is rewarded does
    in_episode = True
    parameters = (
        Scalar(name="velocity", unit="m/s", low=0.0, high=2.0, beyond=((2.0, 3.0),)),
    )
    fields = ()
    weights: ClassVar[Mapping[str, float]] = {"miss": -1.0, "control": -0.05}

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Return none: all tasks have the same body."""
        return {}

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Difference from the goal's velocity over the step, and squared controls."""
        _, velocity = self.run(before, now)
        miss = (velocity - now.values["velocity"]).abs()
        return Outcome(
            terms={"miss": miss, "control": action.square().sum(-1)},
            success=miss < _CLOSE,
            terminated=torch.zeros_like(miss, dtype=torch.bool),
        )

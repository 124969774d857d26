"""cheetah-direction: run forwards or backwards, whichever is rewarded.

Gymnasium's half_cheetah under the protocol of ProMP (Rothfuss et al. 2019, arXiv
1810.06784): horizon 100, two tasks, reward direction * velocity minus a control cost.
The reward is the protocol's, in [m/s], and not a sum of terms in [0, 1].
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.half_cheetah import HalfCheetah
from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome
from tasks.parameters import Choice, Scalar

_DT = 0.05  # [s], five physics steps of 10 ms


class CheetahDirection(Family):
    """Half-cheetah with a hidden direction."""

    name = "cheetah-direction"
    summary = "run forwards or backwards, whichever is rewarded (ProMP's protocol)"
    success = "the cheetah ends more than 5 m away in the rewarded direction"
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
        distance, *body = HalfCheetah.joints
        self._distance = Coordinates(self.model, [distance], device)
        self._body = Coordinates(self.model, body, device)
        self._sign = torch.tensor([1.0, -1.0], device=device)

    def compile(self) -> mujoco.MjModel:
        """Compile Gymnasium's own scene."""
        return HalfCheetah().compile_alone()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Masses and inertias in proportion."""
        mass = torch.from_numpy(self.model.body_mass)
        inertia = torch.from_numpy(self.model.body_inertia)
        scale = values["mass"].double()[:, None]
        return {
            "body_mass": scale * mass,
            "body_inertia": scale[:, :, None] * inertia,
        }

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Gymnasium's reset: positions +-0.1 uniform, velocities 0.1 normal."""
        worlds, nq = len(values["mass"]), self.model.nq
        qpos = torch.rand(worlds, nq, generator=rng, device=self.device) * 0.2 - 0.1
        qvel = torch.randn(worlds, nq, generator=rng, device=self.device) * 0.1
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Actions are the motors' controls."""
        return action

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Positions but the distance run, then velocities."""
        posture = self._body.positions(now.readings)
        return torch.cat([posture, now.readings.qvel], dim=-1)

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Velocity along the direction over the step, and squared controls."""
        sign = self._sign[now.values["direction"].long()]
        start, end = (self._distance.positions(i.readings)[:, 0] for i in (before, now))
        velocity = sign * (end - start) / _DT
        return Outcome(
            terms={"velocity": velocity, "control": action.square().sum(-1)},
            success=sign * end > 5.0,
            terminated=torch.zeros_like(velocity, dtype=torch.bool),
        )

"""walker-parameters: walk in a body whose masses, joints and soles are unknown.

Gymnasium's walker2d in the distribution that ProMP (Rothfuss et al. 2019, arXiv
1810.06784) and PEARL (Rakelly et al. 2019, arXiv 1903.08254) train on: the mass,
inertia and friction of every link are multiplied by 1.5^u, the damping of every joint
by 1.3^u, with u uniform in [-3, 3] and drawn for each; horizon 200, five physics steps
a step, reward the velocity plus 1 for each step on its feet minus a control cost, and
the episode ends where it is not. The reward is the protocol's, in [m/s], and not a sum
of terms in [0, 1].

Of what the papers draw, this leaves out what moves nothing: inertias about axes that
the plane forbids, friction against rolling and turning, and damping of the root, which
is zero. In the papers' model one sole has half the friction of the other; in
Gymnasium's, since version 5, both have 1.9.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from robots.legged.walker2d import Walker2d
from tasks.contract import Values
from tasks.family import Instant, Outcome
from tasks.locomotion.legged_family import LeggedFamily
from tasks.parameters import Scalar

LINKS = ("torso", "thigh", "leg", "foot", "thigh_left", "leg_left", "foot_left")
_HEIGHT, _TILT = (0.8, 2.0), 1.0
"""Heights of the torso [m], and the tilt [rad], within which the walker stands."""
_SPREAD, _FURTHER = 3.0, 4.0
"""Greatest exponent in training, and beyond it."""


def _factor(name: str, base: float) -> Scalar:
    low, high = base**-_SPREAD, base**_SPREAD
    beyond = ((base**-_FURTHER, low), (high, base**_FURTHER))
    return Scalar(
        name=name, unit="of nominal", low=low, high=high, beyond=beyond, log=True
    )


class WalkerParameters(LeggedFamily):
    """Walker with hidden masses, inertias, damping and friction."""

    name = "walker-parameters"
    summary = "walk in a body of unknown masses, joints and soles (ProMP's protocol)"
    success = "the walker has not fallen"
    robot = Walker2d
    horizon = 200
    substeps = 5
    obs_dim = 17
    action_dim = 6
    parameters = (
        *(_factor(f"mass_{link}", 1.5) for link in LINKS),
        *(_factor(f"inertia_{link}", 1.5) for link in LINKS),
        *(_factor(f"damping_{joint}", 1.3) for joint in LINKS[1:]),
        *(_factor(f"friction_{link}", 1.5) for link in ("floor", *LINKS)),
    )
    fields = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
    weights: ClassVar[Mapping[str, float]] = {
        "velocity": 1.0,
        "control": -1e-3,
        "standing": 1.0,
    }

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Gymnasium's reset of the walker: +-0.005 uniform, of velocities too."""
        worlds, nq = len(next(iter(values.values()))), self.model.nq
        shape = (worlds, nq + self.model.nv)
        u = torch.rand(shape, generator=rng, device=self.device) * 0.01 - 0.005
        return self._rest + u[:, :nq], u[:, nq:]

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Scale each link, joint and sole by its own factor."""
        return {
            "body_mass": self._scaled("body_mass", values, "mass", ("", *LINKS)),
            "body_inertia": self._scaled(
                "body_inertia", values, "inertia", ("", *LINKS)
            ),
            "dof_damping": self._scaled(
                "dof_damping", values, "damping", ("", "", "", *LINKS[1:])
            ),
            "geom_friction": self._scaled(
                "geom_friction", values, "friction", ("floor", *LINKS)
            ),
        }

    def _scaled(
        self, field: str, values: Values, kind: str, rows: tuple[str, ...]
    ) -> Float[Tensor, "world ..."]:
        """Return a field with each row that has a name scaled."""
        base = torch.from_numpy(getattr(self.model, field))
        one = torch.ones_like(next(iter(values.values())))
        factors = [values[f"{kind}_{row}"] if row else one for row in rows]
        scale = torch.stack(factors, dim=-1).double()
        return base * (scale if base.ndim == 1 else scale[:, :, None])

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Positions but the distance walked, then velocities, at most 10 each."""
        posture, velocity = now.readings.qpos[:, self.places :], now.readings.qvel
        return torch.cat([posture, velocity.clamp(-10.0, 10.0)], dim=-1)

    def stands(self, now: Instant) -> Bool[Tensor, "world"]:
        """Tell where the torso is at the height of a walker's, and upright."""
        height, tilt = now.readings.qpos[:, 1], now.readings.qpos[:, 2]
        low, high = _HEIGHT
        return (height > low) & (height < high) & (tilt.abs() < _TILT)

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Velocity over the step, squared controls, and standing."""
        _, velocity = self.run(before, now)
        stands = self.stands(now)
        return Outcome(
            terms={
                "velocity": velocity,
                "control": action.square().sum(-1),
                "standing": stands.float(),
            },
            success=stands,
            terminated=~stands,
        )

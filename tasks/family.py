"""A task family: a scene, its parameters, what is observed and what is rewarded."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from robots.sim.simulator import Readings
from tasks.contract import TaskFamily, Values
from tasks.stated import check_counts, check_tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """All that a family may look at: one moment of every world."""

    readings: Readings
    progress: Float[Tensor, "world"]
    """Share of the horizon that has passed, 0 to 1."""
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The value of one step."""

    terms: Mapping[str, Float[Tensor, "world ..."]]
    """Named reward terms; the reward is their weighted sum. A team's that lack the
    agent's axis are shared, as are the other two."""
    success: Bool[Tensor, "world ..."]
    """True where the task would count as done if the episode ended now."""
    terminated: Bool[Tensor, "world ..."]
    """Worlds whose episode ends here by the task's own rule."""


class Family(TaskFamily):
    """A distribution of tasks on one compiled model.

    Subclasses state the class attributes and the abstract methods. They keep no state
    that changes with the worlds. In a team, actions, observations and what outcomes
    have for each agent are laid out as (world, agent, ...).

    Args:
        device: where the tensors of `start`, `control`, `observe` and `judge` live.
    """

    stated = (*TaskFamily.stated, "substeps", "fields", "weights")
    substeps: ClassVar[int]
    """Physics steps per step."""
    fields: tuple[str, ...]
    """MjModel fields that differ between tasks."""
    weights: ClassVar[Mapping[str, float]]
    """Weight of each reward term."""
    fixed_within_episode: ClassVar[Mapping[str, str]] = {}
    """Parameters that cannot change while an episode is under way, and why."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        check_counts(self, "substeps")
        check_tuple(self, "fields", "isidentifier", "names")
        self.model = self.compile()

    def on(self, device: torch.device | str) -> "Family":
        """Build the same family on a device."""
        return type(self)(device)

    @abstractmethod
    def compile(self) -> mujoco.MjModel:
        """Build the scene."""

    @abstractmethod
    def model_fields(self, values: Values) -> Mapping[str, Num[Tensor, "world ..."]]:
        """Compute the values of `fields` for each world, SI units, on the CPU."""

    @abstractmethod
    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Draw the state that each world's episode starts in."""

    @abstractmethod
    def control(
        self, now: Instant, action: Float[Tensor, "world *agent action"]
    ) -> Float[Tensor, "world nu"]:
        """Turn actions in [-1, 1] into the controls held for one step."""

    @abstractmethod
    def observe(self, now: Instant) -> Float[Tensor, "world *agent obs"]:
        """Return what the policy sees, which must not depend on hidden parameters."""

    @abstractmethod
    def judge(
        self,
        before: Instant,
        now: Instant,
        action: Float[Tensor, "world *agent action"],
    ) -> Outcome:
        """Compute reward terms, success and termination of one step."""


def per_world(
    model: mujoco.MjModel,
    **entries: tuple[int | Sequence[int], Num[Tensor, "world ..."]],
) -> dict[str, Num[Tensor, "world ..."]]:
    """Return model fields for each world: the model's values with some rows replaced.

    Args:
        model: the compiled model.
        **entries: field name to (row or rows, their values per world).
    """
    filled: dict[str, Tensor] = {}
    for name, (rows, values) in entries.items():
        base = torch.from_numpy(getattr(model, name)).to(values.device)
        field = base.repeat(len(values), *[1] * base.ndim)
        field[:, rows] = values.to(field.dtype)
        filled[name] = field
    return filled

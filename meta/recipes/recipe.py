"""A family's recipe, and the settings that each method makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meta.learners.explore_cfg import ExploreCfg
from meta.learners.maml_cfg import MamlCfg
from meta.learners.rma_cfg import RmaCfg

WINDOW = 4
"""Steps that DR with memory reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Training settings of a family: what all methods share, and MAML-PPO's own."""

    maml: MamlCfg
    plain: MamlCfg | None = None
    """Settings without a learned advantage, where they differ in more than that."""
    iterations: int
    tasks: int
    episodes: int
    measure_rounds: int = 1
    min_std: float = 0.1
    iterations_of: Mapping[str, int] = field(default_factory=dict[str, int])
    """Another number of iterations, by method."""

    @property
    def phases(self) -> int:
        """Times that every world runs an episode in one iteration, by every method."""
        return self.maml.inner_steps + self.measure_rounds


def maml(recipe: Recipe) -> MamlCfg:
    """Return MAML-PPO's settings."""
    return recipe.maml


def plain(recipe: Recipe) -> MamlCfg:
    """Return MAML-PPO's settings without a learned advantage."""
    return recipe.plain or replace(recipe.maml, learned_advantage=False)


def robust(recipe: Recipe) -> MamlCfg:
    """Return the settings of PPO over all tasks."""
    return replace(_unadapting(recipe), adapt_episodes=())


def remembering(recipe: Recipe) -> MamlCfg:
    """Return the settings of PPO over all tasks that remembers its episode."""
    return replace(robust(recipe), window=WINDOW)


def rma(recipe: Recipe) -> RmaCfg:
    """Return RMA's settings."""
    return RmaCfg(teacher=_unadapting(recipe), own_moments=True, averaging=0.8)


def explore(recipe: Recipe) -> ExploreCfg:
    """Return the settings of RMA with an explorer."""
    return ExploreCfg(adapter=rma(recipe))


def sysid(recipe: Recipe) -> RmaCfg:
    """Return the settings of system identification: RMA without an encoder."""
    return replace(rma(recipe), latent=0)


def _unadapting(recipe: Recipe) -> MamlCfg:
    return replace(plain(recipe), inner_steps=0, unadapted=0.0)

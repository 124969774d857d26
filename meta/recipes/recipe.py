"""A family's recipe, and the settings that each method makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meta.learners.explore_cfg import ExploreCfg
from meta.learners.maml_cfg import MamlCfg, OuterBaseline
from meta.learners.rl2_cfg import Rl2Cfg
from meta.learners.rma_cfg import RmaCfg
from meta.learners.varibad_cfg import VaribadCfg, VaribadExploreCfg

WINDOW = 4
"""Steps that DR with memory reads."""
REPLAY = 500_000
"""Env steps that adapters learn from at once."""
STEPS = 16
"""Steps of Adam in an iteration of an adapter: 40 infer no better from what is kept."""
TRIAL = 6
"""Most episodes of a trial of RL² in training: it adapts on all but the last."""


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
    initial_std: float = 0.5
    min_std: float = 0.1
    outer_baseline: OuterBaseline = "task"
    """Baseline of PPO over all tasks, of a teacher and of a policy that acts on what is
    inferred: of all methods but MAML-PPO, RL² and another library's."""
    iterations_of: Mapping[str, int] = field(default_factory=dict[str, int])
    """Another number of iterations, by method."""

    @property
    def phases(self) -> int:
        """Times that every world runs an episode in one iteration.

        By every method, but for those whose worlds live a whole trial each: there are
        fewer of these worlds, so that they run as many episodes in all.
        """
        return self.maml.inner_steps + self.measure_rounds

    @property
    def lived(self) -> int:
        """Episodes of one iteration, by every method."""
        return self.tasks * self.episodes * self.phases


def maml(recipe: Recipe) -> MamlCfg:
    """Return MAML-PPO's settings."""
    return recipe.maml


def plain(recipe: Recipe) -> MamlCfg:
    """Return MAML-PPO's settings without a learned advantage."""
    estimated = {"learned_advantage": False, "weighed_summary": False}
    return recipe.plain or replace(recipe.maml, **estimated)


def robust(recipe: Recipe) -> MamlCfg:
    """Return the settings of PPO over all tasks."""
    return replace(_unadapting(recipe), adapt_episodes=())


def robust_elsewhere(recipe: Recipe) -> MamlCfg:
    """Return the settings of PPO of another library, which has a critic of its own."""
    return replace(robust(recipe), outer_baseline="task")


def remembering(recipe: Recipe) -> MamlCfg:
    """Return the settings of PPO over all tasks that remembers its episode."""
    return replace(robust(recipe), window=WINDOW)


def rma(recipe: Recipe) -> RmaCfg:
    """Return RMA's settings."""
    return RmaCfg(
        teacher=_unadapting(recipe),
        own_moments=True,
        averaging=0.8,
        weighs=True,
        replay=REPLAY,
        regression_epochs=STEPS,
    )


def explore(recipe: Recipe) -> ExploreCfg:
    """Return the settings of RMA with an explorer."""
    return ExploreCfg(adapter=rma(recipe))


def rl2(recipe: Recipe) -> Rl2Cfg:
    """Return RL²'s settings: trials of equal length, which make up an iteration."""
    trial = next((n for n in range(TRIAL, 1, -1) if not recipe.lived % n), 2)
    return Rl2Cfg(inner_steps=trial - 1)


def rl2_transformer(recipe: Recipe) -> Rl2Cfg:
    """Return the settings of RL² with a transformer."""
    return replace(rl2(recipe), memory="transformer", width=64, rate=1e-3)


def varibad(recipe: Recipe) -> VaribadCfg:
    """Return VariBAD's settings."""
    return VaribadCfg(acting=_unadapting(recipe))


def varibad_explore(recipe: Recipe) -> VaribadExploreCfg:
    """Return the settings of VariBAD with an explorer."""
    return VaribadExploreCfg(adapter=varibad(recipe))


def sysid(recipe: Recipe) -> RmaCfg:
    """Return the settings of system identification: RMA without an encoder."""
    return replace(rma(recipe), latent=0)


def _unadapting(recipe: Recipe) -> MamlCfg:
    return replace(
        plain(recipe),
        inner_steps=0,
        unadapted=0.0,
        outer_baseline=recipe.outer_baseline,
    )

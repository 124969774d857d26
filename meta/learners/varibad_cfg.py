"""Settings of VariBAD, alone and with an explorer."""

from dataclasses import dataclass, field

from meta.bounds import check_bounds
from meta.learners.explore_cfg import ExplorerCfg
from meta.learners.maml_cfg import MAX_EPOCHS, MamlCfg
from meta.learners.rma_cfg import MAX_LATENT

MAX_DECODED = 4096
"""More are a slip of the keyboard: each belief foretells each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaribadCfg:
    """Settings of a belief, and of a policy that acts on it."""

    acting: MamlCfg = field(default_factory=lambda: MamlCfg(inner_steps=0))
    """PPO of the acting policy; its step size, discount and lengths of experience are
    the belief's, too."""
    latent: int = 8
    """Width of what is believed in: the policy reads as many means and log deviations.
    """
    kl_weight: float = 1.0
    """Weight of the KL divergence of each belief from the one before it: 1 is the
    bound's own."""
    decoded: int = 24
    """Steps of a task that are foretold from each of as many of its beliefs."""
    regression_epochs: int = 15
    """Steps of Adam of belief and decoder, on the experience of an iteration."""
    averaging: float = 0.8
    """Share that an iteration keeps of the average of the weights by which it believes;
    0: it believes by the weights as the last few tasks left them."""
    weighs: bool = False
    """Weigh steps and episodes, as an adapter may."""

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to learn."""
        check_bounds(
            self,
            f"1 <= latent <= {MAX_LATENT:,}",
            f"1 <= decoded <= {MAX_DECODED:,}",
            f"1 <= regression_epochs <= {MAX_EPOCHS:,}",
            *("kl_weight >= 0", "0 <= averaging < 1"),
        )
        acting = self.acting
        if acting.inner_steps or acting.learned_advantage or acting.window:
            raise ValueError(
                "a policy that acts on a belief adapts by nothing else: need 0 inner "
                "steps, no learned advantage and no window, got "
                f"{acting.inner_steps}, {acting.learned_advantage}, {acting.window}"
            )

    @property
    def ppo(self) -> MamlCfg:
        """PPO's settings: the acting policy's."""
        return self.acting

    @property
    def own_moments(self) -> bool:
        """It scales what it reads by what it met, for there is nothing else."""
        return True

    @property
    def forgets(self) -> bool:
        """It believes in all episodes of its task."""
        return False

    @property
    def inner_steps(self) -> int:
        """It adapts once, on all episodes before those it is measured in."""
        return 1

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """Lengths of experience: those of the acting policy's settings."""
        return self.acting.adapt_episodes

    @property
    def rate(self) -> float:
        """Step size: that of the acting policy's settings."""
        return self.acting.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class VaribadExploreCfg(ExplorerCfg):
    """Settings of a belief, a policy that acts on it, and an explorer for it."""

    adapter: VaribadCfg = field(default_factory=VaribadCfg)
    """Settings of the belief and of the policy that acts on it."""
    tuning_rate: float = 1.0
    """The acting policy's step size once there is an explorer, as a multiple of the
    belief's."""

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """Lengths of experience: those of the belief's settings."""
        return self.adapter.adapt_episodes

    @property
    def rate(self) -> float:
        """Step size: that of the belief's settings."""
        return self.adapter.rate

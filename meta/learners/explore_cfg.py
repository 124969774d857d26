"""Settings of explorers."""

from dataclasses import dataclass, field

from meta.bounds import check_bounds
from meta.learners.rma_cfg import RmaCfg


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerCfg:
    """Settings of a policy of the adapting episodes, whatever adapts on them."""

    explore_after: float = 0.15
    """Share of the adapter's iterations before the explorer and the acting policy learn
    from it: what an untrained adapter is told teaches nothing."""
    explorer_rate: float = 1.0
    """The explorer's step size, as a multiple of the adapter's."""
    tuning_rate: float = 0.25
    """The acting policy's step size on inferred latents, as a multiple of the
    adapter's; 0: it stays as the teacher left it."""
    explorer_std: float = 0.4
    """Standard deviation of the explorer's actions when it begins to learn."""

    def __post_init__(self) -> None:
        """Refuse shares and rates that cannot work."""
        check_bounds(
            self,
            *("0 <= explore_after < 1", "explorer_rate >= 0", "tuning_rate >= 0"),
            "1e-6 <= explorer_std <= 1e6",
        )

    @property
    def inner_steps(self) -> int:
        """The adapter adapts once."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreCfg(ExplorerCfg):
    """Settings of a teacher, an adapter, and a policy of the adapting episodes."""

    adapter: RmaCfg = field(
        default_factory=lambda: RmaCfg(own_moments=True, averaging=0.8)
    )
    """Settings of teacher and adapter, as RMA has them."""

    def __post_init__(self) -> None:
        """Refuse an adapter that forgets, too."""
        ExplorerCfg.__post_init__(self)
        if self.adapter.forgets:
            raise ValueError(
                "an explorer needs an adapter that remembers: forgets must be False"
            )

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """Lengths of experience: those of the adapter's settings."""
        return self.adapter.adapt_episodes

    @property
    def rate(self) -> float:
        """Step size: that of the adapter's settings."""
        return self.adapter.rate

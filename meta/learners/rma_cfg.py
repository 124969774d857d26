"""Settings of RMA and of system identification."""

from dataclasses import dataclass, field

from meta.bounds import check_bounds
from meta.learners.maml_cfg import MAX_EPOCHS, MamlCfg

MAX_LATENT = 4096
MAX_REPLAY = 10**8
"""More would not fit into any memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RmaCfg:
    """Settings of a teacher, and of an adapter that takes its place."""

    teacher: MamlCfg = field(default_factory=lambda: MamlCfg(inner_steps=0))
    """The teacher's PPO; its step size, discount and lengths of experience are the
    adapter's, too."""
    latent: int = 8
    """Width of what the teacher is told; 0: the hidden parameters as they are."""
    teacher_share: float = 0.5
    """Share of the iterations that train the teacher; the rest train the adapter."""
    own_moments: bool = False
    """Scale what the adapter reads by moments of its own experience. Otherwise it reads
    by the teacher's, as all did at first: a reward that only the teacher often earns is
    then too small to be read."""
    averaging: float = 0.0
    """Share that an iteration keeps of the average of the adapter's weights by which it
    infers; 0: it infers by the weights as the last few tasks left them."""
    forgets: bool = False
    """Ignore the adapting episodes: infer within the episode under way alone, as RMA
    was published."""
    weighs: bool = False
    """Summarise each episode by a mean of its steps that learned weights weigh, and the
    trial by such a mean of its episodes. Otherwise all steps of all episodes count
    alike, as they did at first: what one step tells is then hardly heard, nor which
    command belongs to which outcome."""
    replay: int = 0
    """Env steps of earlier iterations that the adapter goes on learning from, of more
    the latest; 0: it learns from each iteration's few tasks while it lasts."""
    regression_epochs: int = 40
    """Steps of Adam on the experience of an iteration of the adapter."""

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to learn."""
        check_bounds(
            self,
            f"0 <= latent <= {MAX_LATENT:,}",
            f"1 <= regression_epochs <= {MAX_EPOCHS:,}",
            f"0 <= replay <= {MAX_REPLAY:,}",
            *("0 <= averaging < 1", "0 < teacher_share < 1"),
        )
        teacher = self.teacher
        if teacher.inner_steps or teacher.learned_advantage or teacher.window:
            raise ValueError(
                "a teacher knows its task, and neither adapts nor remembers: need 0 "
                "inner steps, no learned advantage and no window, got "
                f"{teacher.inner_steps}, {teacher.learned_advantage}, {teacher.window}"
            )

    @property
    def ppo(self) -> MamlCfg:
        """PPO's settings: the teacher's."""
        return self.teacher

    @property
    def inner_steps(self) -> int:
        """The adapter adapts once, on all episodes before those it is measured in."""
        return 1

    @property
    def adapt_episodes(self) -> tuple[int, ...]:
        """Lengths of experience: those of the teacher's settings."""
        return self.teacher.adapt_episodes

    @property
    def rate(self) -> float:
        """Step size: that of the teacher's settings."""
        return self.teacher.rate

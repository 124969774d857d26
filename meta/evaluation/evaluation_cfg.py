"""Settings of an evaluation, the same for every method in it."""

from dataclasses import dataclass

import torch

from meta.bounds import check_bounds
from robots.sim.simulator import MAX_THREADS
from tasks.objects.object_set import Objects, ObjectSet, as_set

MOST = 100_000
"""Most tasks, and most episodes of one; more are a slip of the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationCfg:
    """Tasks, episodes and random numbers that every method is measured with."""

    split: str = "held-out"
    """Split that the tasks come from."""
    tasks: int = 40
    """Number of tasks."""
    episodes: tuple[int, ...] = (0, 1, 2, 3, 5, 10)
    """Numbers of episodes to adapt on, the k of the curve."""
    seed: int = 0
    """Decides the tasks and every random number."""
    measure_episodes: int = 5
    """Episodes measured per task, training seed and k."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: torch.device | str = "cpu"
    """Device that simulates: that of the policies."""
    objects: Objects | None = None
    """Objects that the tasks are about, instead of the family's own."""

    @property
    def own(self) -> ObjectSet | None:
        """The objects as a set, however they were given."""
        return as_set(self.objects)

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be measured with."""
        check_bounds(
            self,
            f"0 <= seed < {2**63:,}",
            f"0 <= threads <= {MAX_THREADS:,}",
            f"1 <= tasks <= {MOST:,}",
            f"1 <= measure_episodes <= {MOST:,}",
        )
        ks = self.episodes
        if not ks or min(ks) < 0 or max(ks) > MOST or len(set(ks)) < len(ks):
            given = ", ".join(map(str, ks)) or "none"
            raise ValueError(
                f"episodes to adapt on are different numbers of 0 to {MOST:,}, got "
                f"{given}"
            )

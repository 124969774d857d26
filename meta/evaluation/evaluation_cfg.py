"""Settings of an evaluation, the same for every method in it."""

from dataclasses import dataclass

import torch

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
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be >= 0, got {self.seed}; at most 63 bits")
        if not 0 <= self.threads <= MAX_THREADS:
            raise ValueError(f"threads must be 0 to {MAX_THREADS}, got {self.threads}")
        most = max(self.tasks, self.measure_episodes, *self.episodes, 1)
        if most > MOST:
            raise ValueError(
                f"at most {MOST:,} tasks and episodes are measured, got {most:,}"
            )
        if self.tasks < 1 or self.measure_episodes < 1:
            raise ValueError(
                "tasks and measured episodes must be at least 1, got "
                f"{self.tasks} and {self.measure_episodes}"
            )
        ks = self.episodes
        if not ks or min(ks) < 0 or len(set(ks)) < len(ks):
            given = ", ".join(map(str, ks)) or "none"
            raise ValueError(
                f"episodes to adapt on must be different numbers >= 0, got {given}"
            )

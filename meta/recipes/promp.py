"""ProMP's published protocol on HalfCheetah, as a configuration.

Rothfuss et al. 2019, arXiv 1810.06784: 40 tasks of 20 episodes a phase, one inner step.
"""

from meta.learners.promp import PrompCfg
from meta.training.config import TrainCfg

FAMILY = "cheetah-direction"
METHOD = "meta.learners.promp:Promp"
ITERATIONS = 282
"""45 million env steps, at which RLlib's curve has a published value."""


def promp_config(seed: int, device: str = "cpu", threads: int = 0) -> TrainCfg:
    """Return the configuration; a standard deviation of 1 is in its box of +-10."""
    return TrainCfg(
        family=FAMILY,
        method=METHOD,
        learner=PrompCfg(),
        iterations=ITERATIONS,
        tasks=40,
        episodes=20,
        initial_std=1.0,
        min_std=1e-6,
        seed=seed,
        threads=threads,
        device=device,
    )

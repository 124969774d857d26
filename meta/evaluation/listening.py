"""Listening: a policy that infers learns how far to trust what it is told.

It is trained on, for a while, on hints about its tasks of which some are noisy, some
say nothing and some are another task's (`meta.language.hints`). What it acts on is what
follows from the hint and from its own steps (`meta.learners.told`), most often in its
first episode with a task. What changes is the acting policy, and the adapter, which
learns to infer from steps that were taken on false words. The policy keeps its kind: it
is told, asked and measured as it was before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from meta.bounds import check_bounds
from meta.evaluation.calibration import fit_evidence
from meta.experience.batch import limit_episodes
from meta.experience.rollout import Experience
from meta.language.belief import Belief, log_weights
from meta.language.evidence import Evidence
from meta.language.hints import HintCfg, draw_hints
from meta.learner import Metrics
from meta.learners.told import Told
from meta.machine.seeds import derived_seed
from meta.training.build import make_worlds
from meta.training.checkpoint import checksum_of
from meta.training.trained import Trained
from meta.training.trainer import TASKS, Trainer
from tasks.contract import check_alone

_HINTS = 5
"""Stream of random numbers, beside those of `Trainer`."""
_LIVED = (0, 0, 0, 1, 2)
"""Numbers of adapting episodes, one drawn per task: what is told counts at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenCfg:
    """Settings of learning to listen."""

    iterations: int = 100
    """Iterations, each of as many env steps as the policy's own training had."""
    hints: HintCfg = field(default_factory=HintCfg)
    """Shares of the hints that are wrong, silent and incomplete."""
    doubt: float = 0.3
    """Share of doubt by which hints are weighed; tell it with the same one later."""
    refit: int = 30
    """Iterations after which the relation of inference and truth is fitted anew."""
    seed: int = 0
    """Decides every random number."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU."""

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        check_bounds(self, "iterations >= 1", "refit >= 1", "0 <= doubt <= 1")


class Listening(Trainer):
    """A run that trains a policy on, while it is told hints.

    A policy that ships has left its critic behind: a new one takes its place.

    Args:
        policy: RMA, system identification, or RMA with an explorer.
        cfg: hints, and how long.

    Raises:
        ValueError: for a policy that infers no latent, or a team.
    """

    def __init__(self, policy: Trained, cfg: ListenCfg) -> None:
        run = replace(
            policy.cfg,
            iterations=cfg.iterations,
            seed=cfg.seed,
            threads=cfg.threads,
            device=str(policy.device),
        )
        self.policy, self.listen = policy, cfg
        self.evidence = self._fitted(policy)
        env = make_worlds(run)
        check_alone(env.family, "a belief that is told")
        super().__init__(run, env, self._told([Belief()]))
        with torch.no_grad():
            for name, value in policy.theta.items():
                self.theta[name].copy_(value)

    def step(self) -> Metrics:
        """One iteration, in which each task is hinted at."""
        cfg, family = self.listen, self.env.family
        if self.iteration and not self.iteration % cfg.refit:
            self.evidence = self._fitted(self.trained())
        tasks = self.draw(derived_seed(self.cfg.seed, TASKS, self.iteration))
        rng = np.random.default_rng([self.cfg.seed, _HINTS, self.iteration])
        self.learner = self._told(draw_hints(family.hidden, tasks, cfg.hints, rng))
        return super().step()

    def limited(self, e: Experience, rng: torch.Generator) -> Experience:
        """Leave out episodes to adapt on, of most tasks all."""
        counts = torch.tensor(_LIVED, device=e.valid.device)
        drawn = torch.randint(
            len(counts), (len(e.valid),), generator=rng, device=counts.device
        )
        return limit_episodes(e, counts[drawn])

    def trained(self) -> Trained:
        """Return the policy as it is now."""
        start = self.policy
        now = replace(
            start,
            source=f"{start.source}, after listening",
            cfg=replace(start.cfg, iterations=start.iteration + self.iteration),
            theta={k: v.detach().clone() for k, v in self.theta.items()},
            iteration=start.iteration + self.iteration,
            env_steps=start.env_steps + self.env_steps,
        )
        return replace(now, checksum=checksum_of(now))

    def _told(self, hints: list[Belief]) -> Told:
        e = self.evidence
        rows = [
            log_weights(b, e.parameters, e.numbers, self.listen.doubt) for b in hints
        ]
        return Told(self.policy.learner, e, torch.stack(rows).float())

    def _fitted(self, policy: Trained) -> Evidence:
        return fit_evidence(policy, seed=self.listen.seed, threads=self.listen.threads)


def listen(
    policy: Trained,
    cfg: ListenCfg | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Return a policy that has learned how far to trust what it is told.

    Args:
        policy: RMA, system identification, or RMA with an explorer; it stays as it is.
        cfg: hints, and how long; the defaults if not given.
        progress: told how many iterations are done, and of how many.

    Raises:
        ValueError: for a policy that infers no latent, or a team.
    """
    cfg = cfg or ListenCfg()
    run = Listening(policy, cfg)
    for done in range(1, cfg.iterations + 1):
        run.step()
        if progress:
            progress(done, cfg.iterations)
    return run.trained()

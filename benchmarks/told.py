"""Returns of policies that are told something, or the truth, beside others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from meta.evaluation.calibration import known
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import MEASURE
from meta.experience.moments import standardised
from meta.experience.rollout import collect
from meta.language.belief import Belief, log_weights
from meta.language.evidence import Evidence
from meta.learners.told import adapter_of
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained
from policies.acting import Act
from policies.distribution import Distribution
from tasks.contract import TaskFamily
from tasks.registry import make_env
from tasks.task import Task

_SHIFT = 7
"""Wrong words are those of the task so many places after, or the next that differ."""


def other(spoken: Sequence[str], place: int) -> int:
    """Return the place of another task, of which other things are said."""
    turns = range(place + _SHIFT, place + _SHIFT + len(spoken))
    others = (i % len(spoken) for i in turns)
    return next(i for i in others if spoken[i] != spoken[place])


def true_latent(
    policy: Trained, family: TaskFamily, tasks: Sequence[Task], cfg: EvaluationCfg
) -> Tensor:
    """Return what the acting policy earns that reads its teacher's true latent."""
    _, latents = known(policy, family, tasks)
    adapter, theta = adapter_of(policy.learner), policy.theta

    def act(obs: Tensor) -> Distribution:
        each = latents.repeat_interleave(len(obs) // len(latents), dim=0)
        return adapter.decide(theta, standardised(theta, obs), each)

    return earned(family, tasks, cfg, act, oracle=False)


def told_oracle(
    oracle: Trained,
    evidence: Evidence,
    family: TaskFamily,
    tasks: Sequence[Task],
    said: Sequence[Belief],
    cfg: EvaluationCfg,
) -> Tensor:
    """Return what the oracle earns that is told words in the place of the truth.

    It reads the features that are expected under the belief, and doubts nothing.
    """
    columns = evidence.numbers.unbind(1)
    names = [p.name for p in family.hidden]
    features = family.reveal(dict(zip(names, columns, strict=True)))
    weights = [
        log_weights(b, family.hidden, evidence.numbers, 0.0).softmax(0) for b in said
    ]
    told = (torch.stack(weights).float() @ features).repeat_interleave(
        cfg.measure_episodes, dim=0
    )
    act = oracle.begin(len(tasks)).act

    def lied(obs: Tensor) -> Distribution:
        return act(torch.cat([obs[:, : -told.shape[1]], told], dim=-1))

    return earned(family, tasks, cfg, lied, oracle=True)


def earned(
    family: TaskFamily,
    tasks: Sequence[Task],
    cfg: EvaluationCfg,
    act: Act,
    *,
    oracle: bool,
) -> Tensor:
    """Return the mean return of each task, from the initial states of `Bench`."""
    each = cfg.measure_episodes
    env = make_env(family, worlds=each * len(tasks), oracle=oracle, threads=cfg.threads)
    env.assign([task for task in tasks for _ in range(each)])
    rng = derived_generator(cfg.seed, MEASURE, 0)
    returns = collect(env, act, rng, explore=False).returns
    return returns.reshape(-1, each).mean(1)

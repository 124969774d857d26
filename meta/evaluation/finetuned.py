"""DR fine-tuned on the test task's own episodes, and PPO from scratch on them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger, Steps
from meta.learners.by_role import instead, within
from meta.learners.finetune import FineTune
from meta.learners.maml import Maml
from meta.theta import on_device
from meta.training.build import make_learner, sizes_of
from meta.training.trained import Trained
from tasks.registry import find_family

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
"""Step sizes of Adam; which one serves is decided on training tasks."""
TRIALS = 2 * len(RATES)
"""Times that `tuned` measures a policy."""
_TUNING_SEED, _TUNING_TASKS = 2**31, 20


def tunable(
    dr: Sequence[Trained], policies: Sequence[Trained]
) -> tuple[str, list[Trained]]:
    """Return what is fine-tuned, and its key: DR, or without it the unadapted policies.

    Those that observe the hidden parameters, or that adapt by a memory, are not.
    """
    if dr:
        return f"{dr[0].cfg.method}-finetune", list(dr)
    plain: list[Trained] = []
    for trained in policies:
        own = within(trained.learner)
        if isinstance(own, Maml) and not trained.cfg.told:
            cfg = own.cfg.without_adaptation()
            learner = Maml(cfg, own.policy, window=own.window)
            plain.append(replace(trained, learner=instead(trained.learner, learner)))
    return "finetune", plain


def tuned(
    dr: Sequence[Trained],
    episodes: int,
    device: torch.device | str,
    done: Steps | None = None,
) -> tuple[list[Trained], list[Trained]]:
    """Robust policies that are fine-tuned, and PPO from scratch on the same episodes.

    Of the step sizes, each takes the one that does best with the first policy and
    that many episodes of training tasks, so that no baseline is held back by it.
    After each of the `TRIALS` that this takes, `done` makes a step.
    """
    made: list[list[Trained]] = []
    done = done or Steps(TRIALS)
    for make in (fine_tuned, from_scratch):
        worth = done.after(_worth(make(dr[0], r), episodes, device) for r in RATES)
        tried = list(zip(worth, RATES, strict=True))
        made.append([make(trained, max(tried)[1]) for trained in dr])
    return made[0], made[1]


def _worth(trained: Trained, episodes: int, device: torch.device | str) -> float:
    """Mean return on training tasks after fine-tuning on some episodes."""
    tasks = find_family(trained.cfg.family).sample("train", _TUNING_SEED, _TUNING_TASKS)
    cfg = EvaluationCfg(seed=_TUNING_SEED, episodes=(episodes,), device=device)
    bench = Bench(tasks, cfg)
    [row] = bench.curve(trained, (episodes,), Ledger())
    return float(row.returns.mean())


def fine_tuned(dr: Trained, rate: float) -> Trained:
    """A robust policy that is fine-tuned to its task."""
    own = within(dr.learner)
    if not isinstance(own, Maml) or own.inner_steps:
        raise ValueError(f"{dr.source} adapts by itself and cannot be fine-tuned")
    return replace(dr, learner=instead(dr.learner, FineTune(own, rate)))


def from_scratch(dr: Trained, rate: float) -> Trained:
    """The same with a policy that has learned nothing, of the same size and seed."""
    cfg = replace(dr.cfg, learner=replace(dr.cfg.learner, inner_baseline="task"))
    learner = make_learner(cfg)
    own = within(learner)
    if not isinstance(own, Maml):
        raise TypeError("the robust policy is no Maml")
    theta = on_device(learner.initial(sizes_of(cfg.family).obs), dr.device)
    # keep the observation statistics: relearning them is not part of the comparison
    theta |= {k: v for k, v in dr.theta.items() if "moments" in k.split("/")}
    tuning = instead(learner, FineTune(own, rate))
    return replace(dr, cfg=cfg, learner=tuning, theta=theta, env_steps=0)

"""The evaluation of a policy beside its baselines, on the same tasks.

Random, DR, DR fine-tuned with the same episodes, PPO from scratch with them and the
oracle are always there; other methods, rivals, where they are given.

For each task and each k, the unadapted policy collects k episodes by sampling its
actions, adapts once on all of them, and is then measured on a fixed number of other
episodes acting by its mean. The k episodes are the first k of one collection, and all
methods and all k are measured from the same initial states. A method that plays each
episode in the knowledge of those before (`meta.learner.sequential`) collects them one
after another, and adapts after each; one of several inner steps shares them out among
its steps (`meta.learner.turns`).
"""

from collections.abc import Callable, Mapping, Sequence

import torch

from meta.evaluation.baselines import check_policies, sources
from meta.evaluation.estimates import estimates
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.finetuned import TRIALS, tunable, tuned
from meta.evaluation.leak import probe_family
from meta.evaluation.measure import Bench, Ledger, Measured, Steps, stack
from meta.evaluation.results import POLICY, Evaluation, levels
from meta.machine.devices import simulator_threads
from meta.registry import CEILING
from meta.training.trained import Trained
from tasks.parameters import current_split
from tasks.registry import find_family


def evaluate(
    policies: Sequence[Trained],
    cfg: EvaluationCfg,
    *,
    floor: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure the adaptation curve of a method, its baselines and its rivals.

    Args:
        policies: one per training seed.
        cfg: tasks, episodes and random numbers.
        floor: the robust baseline, one per training seed; fine-tuned too. Without any,
            the unadapted policies are fine-tuned.
        oracle: the ceiling, one per training seed; without floor or ceiling, no shares
            of the gap between them are given.
        rivals: other methods, one per method and training seed.
        progress: told how many policies are measured, and of how many; those tried to
            tune the baselines count too.

    Raises:
        ValueError: for policies of different families or of the wrong method, or an
            unknown split.
    """
    check_policies(policies, floor, oracle, rivals)
    family = find_family(policies[0].cfg.family, objects=cfg.objects)
    drawn = family.sample(cfg.split, cfg.seed, cfg.tasks)
    bench = Bench(drawn, cfg)
    most = max(cfg.episodes)
    base = tunable(floor, policies)[1]
    made = 2 * len(base) + TRIALS if most and base else 0
    done = Steps(len((*policies, *floor, *oracle, *rivals)) + made + 1, progress)
    groups = _methods(policies, floor, oracle, rivals, most, cfg.device, done)
    found, ledgers = _measured(bench, groups, cfg.episodes, done)
    return Evaluation(
        family=family.name,
        success=family.success,
        split=current_split(cfg.split),
        seed=cfg.seed,
        tasks=cfg.tasks,
        measure_episodes=cfg.measure_episodes,
        leaks=probe_family(family, cfg.split, cfg.seed),
        ledgers=ledgers,
        policies=sources(groups),
        scores=found,
        task_hashes=[task.hash for task in drawn],
        object=cfg.own and cfg.own.name,
        foreign=tuple(cfg.own.by_name) if cfg.own else (),
        objects=len({*map(family.object_of, drawn)} - {""}),
        **estimates(found, cfg.episodes, family, drawn, cfg.seed),
    )


def _measured(
    bench: Bench,
    groups: Mapping[str, Sequence[Trained]],
    episodes: Sequence[int],
    done: Steps,
) -> tuple[dict[str, dict[int, Measured]], dict[str, Ledger]]:
    """Every method's scores by episodes of adaptation, and what they took."""
    ledgers = {name: Ledger() for name in ("random", *groups)}
    # harm is measured against no adaptation, whether or not it was asked for
    adapting = sorted({0, *episodes})
    found: dict[str, dict[int, Measured]] = {}
    with simulator_threads():
        for name, group in groups.items():
            ks = (0,) if name in levels(groups) else adapting
            curves = done.after(bench.curve(p, ks, ledgers[name]) for p in group)
            found[name] = stack(list(curves))
        found["random"] = stack([[bench.random(ledgers["random"])]])
        done.step()
    return found, ledgers


def _methods(
    policies: Sequence[Trained],
    floor: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained],
    episodes: int,
    device: torch.device | str,
    done: Steps,
) -> Mapping[str, Sequence[Trained]]:
    """Everything that is measured, by method."""
    groups: dict[str, list[Trained]] = {POLICY: list(policies)}
    groups |= {t.cfg.method: list(floor) for t in floor[:1]}
    name, base = tunable(floor, policies)
    if episodes and base:
        groups[name], groups["scratch"] = tuned(base, episodes, device, done)
    for trained in rivals:
        groups.setdefault(trained.cfg.method, []).append(trained)
    groups[CEILING] = list(oracle)
    return {name: group for name, group in groups.items() if group}

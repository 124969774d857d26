"""Measure what it is worth to a team that its agents adapt together, and not one alone.

    python -m benchmarks.teams shove --policies shipped:shove shipped:shove-explore

All agents live the same adapting episodes. Then all adapt, or one of them while the
others stay as they were; an agent alone is each of them in turn, and the mean counts.
`--again FILE ...` prints what was written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from benchmarks.study import Kept, text_of
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import ADAPT, MEASURE
from meta.evaluation.statistics import estimate, mean
from meta.experience.batch import limit_episodes
from meta.experience.rollout import by_task, collect
from meta.learner import sequential
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.swapping import swapped
from meta.training.trained import Adapted, Trained, load_trained, shipped_policies
from tasks.contract import TaskFamily
from tasks.registry import find_family, make_env
from tasks.task import Task

EPISODES = (1, 3, 5)
METHODS = ("dr-memory", "oracle")
"""Beside the policies: what does not adapt."""


@dataclass(frozen=True, kw_only=True)
class Study(Kept):
    """Options that studies of teams share."""

    family: Positional[str] = ""
    """Team family."""
    split: str = "held-out"
    """Split that the tasks are drawn from."""
    teams: int = 100
    """Teams, each with a world of its own."""
    measure_episodes: int = 5
    """Measured episodes of each team."""
    seed: int = 31
    """Decides the tasks."""


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of the study."""

    policies: tuple[str, ...] = ()
    """Policies that adapt."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    if not (o.again or o.policies):
        raise SystemExit("name the policies: --policies shipped:shove ...")
    for raw in o.studies(lambda: study(o)):
        print_table(raw)


def study(o: Options) -> dict[str, Any]:
    """Measure the policies of one family on the same teams."""
    family = find_family(o.family)
    tasks = family.sample(o.split, o.seed, o.teams * family.team)
    cfg = EvaluationCfg(
        seed=o.seed, measure_episodes=o.measure_episodes, threads=o.threads
    )
    returns: dict[str, dict[str, list[float]]] = {}
    with simulator_threads():
        for spec in o.policies:
            returns[spec] = _together_and_alone(load_trained(spec), family, tasks, cfg)
        for method in METHODS:
            for name in shipped_policies(family.name, method):
                start = load_trained(f"shipped:{name}").begin(len(tasks))
                earned = _earned(start, family, tasks, cfg)
                returns[f"shipped:{name}"] = {"neither": earned}
    return {
        "family": family.name,
        "split": o.split,
        "seed": o.seed,
        "teams": o.teams,
        "agents": list(family.agents),
        "returns": returns,
    }


def _together_and_alone(
    policy: Trained, family: TaskFamily, tasks: Sequence[Task], cfg: EvaluationCfg
) -> dict[str, list[float]]:
    """Return each team's mean return, by who adapts and after how many episodes."""
    if sequential(policy.learner):
        raise SystemExit(f"{policy.source} plays its episodes one after another")
    start, most = policy.begin(len(tasks)), max(EPISODES)
    env = make_env(family, worlds=len(tasks) * most, threads=cfg.threads)
    env.assign([task for task in tasks for _ in range(most)])
    rng = derived_generator(cfg.seed, ADAPT, 0)
    lived = by_task(collect(env, start.explore, rng), len(tasks))
    found = {"neither": _earned(start, family, tasks, cfg)}
    for k in EPISODES:
        after = start.after(limit_episodes(lived, torch.full((len(tasks),), k)))
        found[f"together {k}"] = _earned(after, family, tasks, cfg)
        for agent in family.agents:
            others = [name for name in family.agents if name != agent]
            some = swapped(after, *others)
            found[f"{agent} {k}"] = _earned(some, family, tasks, cfg)
    return found


def _earned(
    adapted: Adapted, family: TaskFamily, tasks: Sequence[Task], cfg: EvaluationCfg
) -> list[float]:
    """Return the mean return of each team's agents, from the same initial states."""
    each = cfg.measure_episodes
    env = make_env(
        family,
        worlds=each * len(tasks),
        oracle=adapted.policy.cfg.told,
        threads=cfg.threads,
    )
    env.assign([task for task in tasks for _ in range(each)])
    rng = derived_generator(cfg.seed, MEASURE, 0)
    returns = collect(env, adapted.act, rng, explore=False).returns
    return returns.reshape(-1, family.team * each).mean(1).tolist()


def print_table(raw: dict[str, Any]) -> None:
    """Print what policies earn, and what adapting together adds."""
    rng = np.random.default_rng(raw["seed"])
    about = f"{raw['family']}, {raw['split']}"
    print(f"{about}, {raw['teams']} teams, seed {raw['seed']}\n")
    print(
        "| policy | episodes | none adapts | one alone | together | together over "
        "alone | alone over none |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for spec, scores in raw["returns"].items():
        neither = np.array([scores["neither"]])
        name = spec.removeprefix("shipped:")
        if len(scores) == 1:
            print(f"| {name} | - | {neither.mean():.2f} | | | | |")
            continue
        for k in EPISODES:
            alone = np.mean([[scores[f"{a} {k}"]] for a in raw["agents"]], axis=0)
            both = np.array([scores[f"together {k}"]])
            gains = (both - alone, alone - neither)
            cells = [f"{x.mean():.2f}" for x in (neither, alone, both)]
            cells += [text_of(estimate([gain], mean, rng)) for gain in gains]
            print(f"| {' | '.join([name, str(k), *cells])} |")


if __name__ == "__main__":
    main()

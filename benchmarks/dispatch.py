"""Measure plans of who does which job, from what robots have told about themselves.

    python -m benchmarks.dispatch drive-park --teams 50 --out dispatch.json

Each team is robots of one family, each with hidden parameters of its own, and fewer
jobs, so that some stay at home. They tell the words of the codebook for them, and
`pliant.dispatch` plans.
Beside it: plans from what is true, from nothing told, from another team's words, and
at random. What a plan is worth is what the robots earn that carry it out, with the
family's oracle, that is, once each knows itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import Positional

import pliant
from meta.evaluation.dispatch import Plan, earned, make_plan
from meta.evaluation.statistics import Scores, estimate, mean
from meta.language.belief import Belief
from meta.language.codebook import describe
from meta.training.trained import Trained, load_trained
from tasks.registry import make_family
from tasks.task import Task

TOLD = ("the truth", "words", "nothing", "another team's words", "at random")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    family: Positional[str] = "drive-park"
    """Task family, whose hidden parameters are the robots' own."""
    teams: int = 50
    """Number of teams."""
    robots: int = 6
    """Robots of a team."""
    jobs: int = 4
    """Jobs of a team."""
    split: str = "held-out"
    """Split of the robots' tasks."""
    seed: int = 41
    """Decides tasks and jobs."""
    out: Path | None = None
    """Write the raw numbers here."""


def main() -> None:
    """Run the study."""
    options = tyro.cli(Options, description=__doc__)
    scores = study(options)
    if options.out:
        raw = {name: values.tolist() for name, values in scores.items()}
        options.out.write_text(json.dumps(raw, indent=1))
    print_table(scores)


def study(options: Options) -> Mapping[str, Scores]:
    """Return the mean return of a job, of each team by each way to plan."""
    oracle = load_trained(f"shipped:{options.family}-oracle")
    count = options.teams * options.robots
    drawn = make_family(options.family).sample(options.split, options.seed, count)
    teams = [drawn[i :: options.teams] for i in range(options.teams)]
    rows = [
        _returns(oracle, team, teams[i - 1], replace(options, seed=options.seed + i))
        for i, team in enumerate(teams)
    ]
    return {name: np.array([[row[name] for row in rows]]) for name in TOLD}


def _returns(
    oracle: Trained, team: Sequence[Task], other: Sequence[Task], options: Options
) -> dict[str, float]:
    """Return the mean return of a team's jobs, by each way to plan."""
    family, seed = make_family(options.family), options.seed
    robots = [f"robot {k}" for k in range(options.robots)]
    jobs = [f"job {k}" for k in range(options.jobs)]
    true = earned(oracle, team, len(jobs), seed=seed, threads=1)

    def plan(said: Sequence[str | Belief]) -> float:
        told = dict(zip(robots, said, strict=True))
        return worth(pliant.dispatch(oracle, told, jobs, seed=seed, threads=1))

    def worth(plan: Plan) -> float:
        pairs = plan.jobs.items()
        return float(np.mean([true[robots.index(r), jobs.index(j)] for r, j in pairs]))

    def words(some: Sequence[Task]) -> list[str]:
        but = family.scenery
        return [describe(family.hidden, task.parameters, but) for task in some]

    return {
        "the truth": worth(make_plan(true, robots, jobs)),
        "words": plan(words(team)),
        "nothing": plan([Belief()] * len(team)),
        "another team's words": plan(words(other)),
        # the mean over all plans, of which each pair is in as many
        "at random": float(true.mean()),
    }


def print_table(scores: Mapping[str, Scores]) -> None:
    """Print returns, and shares of what planning can gain, with 95 % intervals.

    It can gain what the best plan is worth over one at random.
    """
    rng = np.random.default_rng(0)
    floor = scores["at random"]
    gap = scores["the truth"] - floor
    teams = gap.shape[1]
    chosen = rng.integers(teams, size=(2000, teams))
    print("| plans from | return of a job | share of what planning can gain |")
    print("|---|---:|---:|")
    for name, values in scores.items():
        level = estimate([values], mean, rng)
        more = values - floor
        shares = more[0, chosen].sum(1) / gap[0, chosen].sum(1)
        low, high = np.quantile(shares, [0.025, 0.975])
        print(
            f"| {name} | {level.value:.2f} [{level.low:.2f}, {level.high:.2f}] | "
            f"{more.sum() / gap.sum():.2f} [{low:.2f}, {high:.2f}] |"
        )


if __name__ == "__main__":
    main()

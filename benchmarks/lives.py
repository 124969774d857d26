"""Measure lives in streams of unlabelled tasks, with a library of earlier ones or not.

    python -m benchmarks.lives strike --policy shipped:strike-rma --out strike.json

Every agent lives the same streams from the same initial states, all of them at once;
how exploring episodes are sampled differs. Habits are tuned on
streams of training tasks, for the agent with a memory and for the one without by
equally many tries. Of a team all robots are such agents, and a stream counts once, by
the mean over its robots. `--again FILE ...` prints what was written.
"""

import time
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from benchmarks.lives_habits import NONE, SIMILAR, all_agents, read_tuned
from benchmarks.lives_tables import SHOWN, pooled, print_tables
from benchmarks.study import Kept
from meta.continual.agent import Agent, Guide
from meta.continual.draw import make_stream
from meta.continual.habits import Habits
from meta.continual.life import Lived, live, live_steadily
from meta.continual.measures import MEASURES, by_age, by_visit, measures
from meta.continual.senses import Senses, fit_senses
from meta.continual.stream import Stream
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily, Values
from tasks.registry import find_family, make_env

AGES, FIFTHS = 5, 5
NEAR = 0.2
"""Distance of hidden parameters, whose ranges are 2 wide, within which one who knows
them takes a task for an earlier one."""
_TUNED = 1000
"""First seed of the streams that habits are tuned on."""


@dataclass(frozen=True, kw_only=True)
class Options(Kept):
    """Options of the study."""

    family: Positional[str]
    """Task family."""
    policy: str = ""
    """Policy that adapts; shipped:FAMILY-explore by default."""
    kind: str = "recurring"
    """Kind of stream."""
    changes: Literal["task", "agent", "both"] = "task"
    """Part of a team's task that changes."""
    visits: int = 100
    """Visits of a stream."""
    streams: int = 10
    """Number of streams."""
    first: int = 100
    """Seed of the first stream; the others follow. Habits that are the same for all
    agents were settled on streams 0 to 9."""
    tuning: tuple[int, int] = (2, 50)
    """Streams, and visits of each, that habits are tuned on; 0 0: the first of those
    that would be tried are taken."""
    tuned: Path | None = None
    """Take the habits from these raw numbers, and tune nothing."""
    agents: tuple[str, ...] = ()
    """Some of the agents alone."""
    again: tuple[Path, ...] = ()
    """Print the raw numbers in these files; measure nothing. Streams of one policy are
    taken together, of the agents that are in all of its files."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    print_tables(pooled(o.studies(lambda: study(o))))


def study(o: Options) -> dict[str, Any]:
    """Tune the two agents, and let all of them live the streams."""
    policy = load_trained(o.policy or f"shipped:{o.family}-explore")
    family = find_family(o.family, "cpu")
    senses = fit_senses(policy, threads=o.threads)
    runs = _Runs(policy, family, senses, o.threads)
    none, similar = read_tuned(o.tuned) if o.tuned else tuned(runs, o)
    agents = all_agents(none, similar)
    chosen = {k: v for k, v in agents.items() if not o.agents or k in o.agents}
    streams = _streams(runs, "held-out", o, range(o.first, o.first + o.streams))
    began = time.process_time()
    oracle = runs.steady(load_trained(f"shipped:{o.family}-oracle"), streams)
    lived = runs.lives(list(chosen.values()), streams)
    spent = time.process_time() - began
    raw: dict[str, Any] = {
        "family": o.family,
        "policy": policy.source,
        "kind": o.kind,
        "changes": o.changes,
        "first": o.first,
        "visits": o.visits,
        "episodes": [len(s) for s in streams],
        "oracle": float(np.mean([r.returns for life in oracle for r in life])),
        "agents": {},
    }
    raw["milliseconds"] = 1000 * spent / sum(raw["episodes"]) / (len(chosen) + 1)
    for (name, habits), lives in zip(chosen.items(), lived, strict=True):
        told = {"habits": asdict(habits), "bytes": [held for _, held in lives]}
        rows = [life for life, _ in lives]
        raw["agents"][name] = _report(rows, streams, oracle, family) | told
    return raw


Lives = list[tuple[list[Lived], list[int]]]
"""Episodes of each life, and the bytes of its library after each fifth of them."""


@dataclass(frozen=True, kw_only=False)
class _Runs:
    """Lives of one policy's agents."""

    policy: Trained
    family: TaskFamily
    senses: Senses
    threads: int

    def lives(self, habits: Sequence[Habits], streams: Sequence[Stream]) -> list[Lives]:
        """Let agents of each habits live the streams, from the same initial states."""
        everyone = [
            (h, i, own)
            for h in habits
            for i, stream in enumerate(streams)
            for own in stream.by_agent(self.family)
        ]
        agents = [
            Agent(
                self.policy,
                self.senses,
                h,
                seed=i,
                guide=self._guide(stream) if h.recall == "truth" else None,
            )
            for h, i, stream in everyone
        ]
        family = _alike(self.family, len(streams))
        env = make_env(family, worlds=len(agents), threads=self.threads)
        whole = [own for _, _, own in everyone]
        lives: Lives = [([], []) for _ in agents]
        for episode, rows in enumerate(live(agents, [*streams] * len(habits), env, 0)):
            left = iter(rows)
            for agent, stream, (life, held) in zip(agents, whole, lives, strict=True):
                if episode < len(stream):
                    life.append(next(left))
                    if (episode + 1) * FIFTHS // len(stream) > len(held):
                        held.append(agent.library.nbytes)
        each = len(streams) * self.family.team
        return [lives[i * each : (i + 1) * each] for i in range(len(habits))]

    def steady(self, policy: Trained, streams: Sequence[Stream]) -> list[list[Lived]]:
        """Let a policy live streams that does not adapt."""
        env = make_env(
            self.family,
            worlds=len(streams) * self.family.team,
            oracle=policy.cfg.told,
            threads=self.threads,
        )
        own = _rows(streams, self.family)
        return _by_life(live_steadily(policy, streams, env, 0), own)

    def _guide(self, stream: Stream) -> Guide:
        """Return a guide that goes by the hidden parameters that matter."""
        free = [p for p in self.family.hidden if p.name not in self.family.scenery]
        values = self.family.values(stream.tasks)
        where = torch.cat([p.encode(values[p.name]) for p in free], dim=-1)
        place = {task.hash: i for i, task in enumerate(stream.tasks)}

        def nearest(names: Sequence[str], name: str) -> int | None:
            known = where[[place[n] for n in names]]
            away = (known - where[place[name]]).norm(dim=1)
            return int(away.argmin()) if float(away.min()) <= NEAR else None

        return nearest


def _alike(family: TaskFamily, count: int) -> TaskFamily:
    """Return a family of whose worlds each so many begin as the first so many do."""
    alike = copy(family)

    def start(values: Values, rng: torch.Generator) -> tuple[Tensor, ...]:
        first = {name: v[:count] for name, v in values.items()}
        times = len(next(iter(values.values()))) // count
        return tuple(x.repeat(times, 1) for x in family.start(first, rng))

    alike.start = start
    return alike


def _streams(
    runs: "_Runs", split: str, o: Options, seeds: Sequence[int]
) -> list[Stream]:
    kind = "recurring" if split == "train" else o.kind
    visits = o.tuning[1] if split == "train" else o.visits
    return [
        make_stream(
            runs.family,
            kind,
            visits=visits,
            split=split,
            seed=seed,
            changes=o.changes,
        )
        for seed in seeds
    ]


def _rows(streams: Sequence[Stream], family: TaskFamily) -> list[Stream]:
    """Return the streams of all agents, those of a team side by side."""
    return [own for stream in streams for own in stream.by_agent(family)]


def _by_life(
    rows: Iterator[list[Lived]], streams: Sequence[Stream]
) -> list[list[Lived]]:
    found: list[list[Lived]] = [[] for _ in streams]
    for episode, lived in enumerate(rows):
        left = iter(lived)
        for life, stream in zip(found, streams, strict=True):
            if episode < len(stream):
                life.append(next(left))
    return found


def tuned(runs: "_Runs", o: Options) -> tuple[Habits, Habits]:
    """Return the best habits of an agent without a library, and of one with it."""
    if not o.tuning[0]:
        return NONE[0], SIMILAR[0]
    streams = _streams(runs, "train", o, range(_TUNED, _TUNED + o.tuning[0]))
    tried = (*NONE, *SIMILAR)
    earned = [
        float(np.mean([r.returns for life, _ in lives for r in life]))
        for lives in runs.lives(tried, streams)
    ]
    for h, mean in zip(tried, earned, strict=True):
        told = ", ".join(f"{name} {getattr(h, name)}" for name in SHOWN)
        print(f"tuning: {h.recall}, {told}: {mean:.3f}")
    return (
        NONE[int(np.argmax(earned[: len(NONE)]))],
        SIMILAR[int(np.argmax(earned[len(NONE) :]))],
    )


def _report(
    lives: Sequence[Sequence[Lived]],
    streams: Sequence[Stream],
    oracle: Sequence[Sequence[Lived]],
    family: TaskFamily,
) -> dict[str, Any]:
    """Return measures of each stream, and what they are of each robot of a team."""
    rows = list(zip(lives, _rows(streams, family), oracle, strict=True))
    found = [measures(*row) for row in rows]
    teams = [slice(i, i + family.team) for i in range(0, len(rows), family.team)]
    each = {k: [[m[k] for m in found[team]] for team in teams] for k in MEASURES}
    named = {k: [_mean(x) for x in xs] for k, xs in each.items()}
    if family.agents:
        named["alone"] = [_alone(lives[team]) for team in teams]
    visits = [[by_visit(*row) for row in rows[team]] for team in teams]
    told: dict[str, Any] = {"ages": by_age, "success": partial(by_age, earned=_won)}
    for name, aged in told.items():
        ages = aged(lives, _rows(streams, family), AGES)
        told[name] = {"new": ages[False].tolist(), "again": ages[True].tolist()}
    return told | {
        "measures": named,
        "agents": {k: xs for k, xs in each.items() if family.agents},
        "visits": [np.mean(own, axis=0).tolist() for own in visits],
    }


def _mean(numbers: Sequence[float]) -> float:
    """Return the mean over the robots of a team of whom there is a number."""
    there = [x for x in numbers if not np.isnan(x)]
    return float(np.mean(there)) if there else float("nan")


def _alone(team: Sequence[Sequence[Lived]]) -> float:
    """Return in which share of a team's exploring episodes not all of it explored."""
    explored = [{r.explored for r in rows} for rows in zip(*team, strict=True)]
    some = explored.count({True, False})
    return some / (some + explored.count({True})) if any(map(max, explored)) else np.nan


def _won(row: Lived) -> float:
    return float(row.success)


if __name__ == "__main__":
    main()

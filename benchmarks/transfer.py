"""Measure what a library of earlier tasks is worth, beside the transfer between them.

    python -m benchmarks.transfer push --policy shipped:push --out push.json

Held-out tasks are library and queries at once: every adaptation acts on every task, and
what is said of a task leaves its own entry out. The embedding is fitted to training
tasks and sees no hidden parameter. `--again FILE ...` prints what was written.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from benchmarks.transfer_tables import print_tables
from meta.evaluation import transfer as t
from meta.experience.rollout import Experience, mapped, some_episodes
from meta.library.embedding import (
    Embedding,
    features_after,
    fit_embedding,
    joined,
    live_with,
)
from meta.library.library import Library
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily
from tasks.parameters import Scalar
from tasks.registry import find_family
from tasks.task import Task

KEPT, QUERIES, NOVEL = 5, (1, 3), 60
"""Episodes behind an entry, and behind a query; tasks inside and outside."""
TRAINING = 150
"""Training tasks of the library that abstains by more than the held-out ones."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    family: Positional[str]
    """Task family."""
    policy: str = ""
    """Policy that adapts; shipped:FAMILY by default."""
    seeds: tuple[int, ...] = (1, 2)
    """One library each; seed 0 chose the embedding."""
    tasks: int = 30
    """Held-out tasks of a library."""
    episodes: int = 5
    """Measured episodes of each pair."""
    threads: int = 1
    """Simulator threads."""
    out: Path | None = None
    """Write the raw numbers here."""
    again: tuple[Path, ...] = ()
    """Print the raw numbers in these files, of one policy; measure nothing."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    if o.again:
        files = [json.loads(path.read_text()) for path in o.again]
        studies = [study for raw in files for study in raw["studies"]]
        merged = {k: v for raw in files for k, v in raw.items()}
        print_tables(merged | {"studies": studies})
        return
    policy = load_trained(o.policy or f"shipped:{o.family}")
    if policy.cfg.family != o.family:
        raise SystemExit(f"{policy.source} is a policy for {policy.cfg.family}")
    embedding = fit_embedding(policy, threads=o.threads)
    raw: dict[str, Any] = {"policy": policy.source, "studies": []}
    for seed in o.seeds:
        raw["studies"].append(study(policy, embedding, o, seed))
        if o.out:
            o.out.write_text(json.dumps(raw))
    raw["cost"] = cost(policy, embedding)
    if o.out:
        o.out.write_text(json.dumps(raw))
    print_tables(raw)


def study(
    policy: Trained, embedding: Embedding, o: Options, seed: int
) -> dict[str, Any]:
    """Measure one library and its queries."""
    family = find_family(policy.cfg.family, "cpu")
    tasks = family.sample("held-out", seed, o.tasks)
    train = family.sample("train", 7000 + seed, TRAINING)
    kept, more, lived = (
        live_with(policy, family, drawn, n, 10 * seed + i, o.threads)
        for i, (drawn, n) in enumerate(
            [(tasks, KEPT), (train, KEPT), (tasks, max(QUERIES))]
        )
    )
    small = embedding(features_after(policy, kept, slice(KEPT)))
    large = torch.cat([small, embedding(features_after(policy, more, slice(KEPT)))])
    queries = {k: embedding(features_after(policy, lived, slice(k))) for k in QUERIES}
    setting = {"episodes": o.episodes, "seed": seed, "threads": o.threads}
    ways = {"unadapted": policy.begin(o.tasks).adaptation}
    for k in QUERIES:
        part = some_episodes(lived, slice(k))
        ways[f"own {k}"] = policy.begin(o.tasks).after(part).adaptation
    entries = joined([kept, more], axis=0)
    for points in (small, large):
        found = torch.cdist(queries[1], points).fill_diagonal_(torch.inf).argmin(1)
        near = _rows(entries, found)
        ways[f"retrieved of {len(points)}"] = policy.begin(o.tasks).after(near)[1]
        both = joined([some_episodes(lived, slice(1)), near], axis=1)
        ways[f"joined of {len(points)}"] = policy.begin(o.tasks).after(both)[1]
    adapted = policy.begin(o.tasks).after(kept).adaptation
    return {
        "transfer": t.transfer_matrix(policy, adapted, tasks, **setting).tolist(),
        "distance": {
            str(k): torch.cdist(q, small).tolist() for k, q in queries.items()
        },
        "true": _true_distances(family, tasks, tasks),
        "returns": {
            name: t.measured_returns(policy, way, tasks, **setting).tolist()
            for name, way in ways.items()
        },
        "threshold": {str(k): embedding.threshold(k) for k in QUERIES},
        "objects": [family.object_of(task) for task in tasks],
        "outside": {
            split: [family.object_of(task) for task in drawn]
            for split, drawn in novel_tasks(family, seed).items()
        },
        "novel": novelty(
            policy,
            embedding,
            {len(tasks): (tasks, small), len(large): (tasks + train, large)},
            seed,
            o.threads,
        ),
    }


def novelty(
    policy: Trained,
    embedding: Embedding,
    libraries: dict[int, tuple[list[Task], torch.Tensor]],
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Measure distances to the nearest entry, inside and outside the training range.

    Args:
        policy: the policy.
        embedding: of its tasks.
        libraries: tasks and points of each.
        seed: decides the tasks and the episodes.
        threads: simulator threads.

    Returns:
        By the episodes of a query and the size of a library, the distances of the tasks
        of each split; and those between true parameters.
    """
    family = find_family(policy.cfg.family, "cpu")
    found: dict[str, Any] = {}
    for split, drawn in novel_tasks(family, seed).items():
        lived = live_with(policy, family, drawn, max(QUERIES), 200 + seed, threads)
        for k in QUERIES:
            query = embedding(features_after(policy, lived, slice(k)))
            for size, (_, kept) in libraries.items():
                near = torch.cdist(query, kept).min(1).values
                found.setdefault(f"{k} {size}", {})[split] = near.tolist()
        for size, (those, _) in libraries.items():
            for name, away in _true_distances(family, drawn, those).items():
                near = np.min(away, axis=1).tolist()
                found.setdefault(f"{name} {size}", {})[split] = near
    return found


def novel_tasks(family: TaskFamily, seed: int) -> dict[str, list[Task]]:
    """Return tasks inside and outside the training range, by their split."""
    inside = family.sample("held-out", 5000 + seed, NOVEL)
    return {
        "held-out": inside,
        "extrapolation": family.sample("extrapolation", seed, NOVEL),
        "far": far_tasks(family, inside, seed),
    }


def far_tasks(family: TaskFamily, tasks: list[Task], seed: int) -> list[Task]:
    """Return tasks whose parameters that matter lie far outside the training range.

    1.5 to 2 times as far from its middle as its ends are: all numbers among them that
    are hidden and no scenery.
    """
    rng = np.random.default_rng(seed)
    moved: list[Task] = []
    for task in tasks:
        values = dict(task.parameters)
        for p in family.hidden:
            if isinstance(p, Scalar) and p.name not in family.scenery:
                away = rng.uniform(1.5, 2) * rng.choice([-1, 1])
                ends = np.array([p.low, p.high])
                low, high = np.log(ends) if p.log else ends
                value = (low + high) / 2 + away * (high - low) / 2
                values[p.name] = float(np.exp(value) if p.log else value)
        moved.append(replace(task, parameters=values))
    return moved


def _true_distances(
    family: TaskFamily, queries: list[Task], entries: list[Task]
) -> dict[str, Any]:
    """Distances between true hidden parameters, scaled to their training ranges.

    Of all of them, and of those that matter.
    """
    a, b = (family.reveal(family.values(x)) for x in (queries, entries))
    matter = torch.tensor(
        [p.name not in family.scenery for p in family.hidden for _ in range(p.width)]
    )
    return {
        "true parameters": torch.cdist(a, b).tolist(),
        "true parameters that matter": torch.cdist(a[:, matter], b[:, matter]).tolist(),
    }


def _rows(e: Experience, index: torch.Tensor) -> Experience:
    """Experience of some tasks, again."""
    return mapped(e, lambda x: x[index])


def cost(policy: Trained, embedding: Embedding) -> list[dict[str, float]]:
    """Time of a query and bytes, as the library grows."""
    family = find_family(policy.cfg.family, "cpu")
    lived = live_with(policy, family, family.sample("train", 0, 1), KEPT, 0, 1)
    adaptation = policy.begin(1).after(lived).adaptation
    tensors = [*adaptation.values(), *lived.old]
    tensors += [getattr(lived, k) for k in ("obs", "next_obs", "action")]
    tensors += [lived.reward, lived.valid]
    each = sum(x.numel() * x.element_size() for x in tensors) + 4 * embedding.dim
    rng = torch.Generator().manual_seed(0)
    rows: list[dict[str, float]] = []
    library = Library.of(policy, embedding)
    for size in (10, 1000, 10_000):
        while len(library) < size:
            point = torch.randn(1, embedding.dim, generator=rng)
            library.add(point, adaptation, lived)
        query = torch.randn(1, embedding.dim, generator=rng)
        times: list[float] = []
        for _ in range(100):
            start = time.perf_counter()
            library.nearest(query, 3)
            times.append(time.perf_counter() - start)
        row = {"entries": size, "ms": 1e3 * float(np.median(times))}
        rows.append(row | {"bytes": float(each * size)})
    return rows


if __name__ == "__main__":
    main()

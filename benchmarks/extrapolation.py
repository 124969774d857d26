"""Measure adaptation beyond the training ranges, of one parameter at a time and of all.

    python -m benchmarks.extrapolation intercept insert

The policies that ship, of all training seeds, on the same tasks. A share is that of the
gap from DR with memory to the oracle, which never trained there either.
"""

from dataclasses import dataclass

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from benchmarks.inference import curve, trained
from benchmarks.study import text_of
from meta.evaluation.statistics import Scores, estimate, mean, share_of_gap
from meta.machine.devices import simulator_threads
from tasks.contract import TaskFamily
from tasks.registry import find_family
from tasks.splits import all_splits

JOINT = "extrapolation"
METHODS = ("maml", "explore")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    families: Positional[tuple[str, ...]]
    """Families."""
    episodes: int = 3
    """Episodes of adaptation."""
    tasks: int = 60
    """Tasks per row."""
    seed: int = 0
    """Decides the tasks and the initial states."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    print(
        "| beyond the range | DR with memory | MAML-PPO | share | RMA with an explorer "
        "| share | oracle |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with simulator_threads():
        for name in o.families:
            family = find_family(name)
            for split in leaving(family):
                print(_row(o, family, split), flush=True)


def leaving(family: TaskFamily) -> list[str]:
    """Return the splits that leave what matters: one range at a time, then all."""
    prefix = f"{JOINT}:"
    alone = [
        split
        for split in all_splits(family.splits, family.parameters)
        if split.startswith(prefix) and split.removeprefix(prefix) not in family.scenery
    ]
    return [*alone, JOINT]


def _row(o: Options, family: TaskFamily, split: str) -> str:
    tasks = family.sample(split, o.seed, o.tasks)
    labels = [family.object_of(task) for task in tasks]

    def scores(method: str) -> Scores:
        after = (0,) if method in ("dr-memory", "oracle") else (o.episodes,)
        policies = trained(family.name, method)
        return np.stack([curve(tasks, p, after, o.seed)[0] for p in policies])

    def level(found: Scores) -> str:
        rng = np.random.default_rng(o.seed)
        return text_of(estimate([found], mean, rng, clusters=labels))

    def share(found: Scores) -> str:
        rng = np.random.default_rng(o.seed)
        gap = [found, floor, ceiling]
        return text_of(estimate(gap, share_of_gap, rng, clusters=labels))

    floor, ceiling = scores("dr-memory"), scores("oracle")
    cells = [level(floor)]
    for method in METHODS:
        found = scores(method)
        cells += [level(found), share(found)]
    name = split.removeprefix(f"{JOINT}:") if split != JOINT else "all"
    row = [f"`{family.name}`: {name}", *cells, level(ceiling)]
    return f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main()

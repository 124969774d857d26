"""Measure every way to remember earlier pieces by Continual World's figures.

    python -m benchmarks.pieces open --picture pieces.png

Runs are those of `pliant train FAMILY --pieces ... --remember ...`, each in a folder of
its own; one that is there already is not trained again, and one that was stopped goes
on. All have equally many env steps: a piece has as many from scratch as in a sequence,
and multi-task as many as the whole sequence. The measuring episodes do not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from benchmarks.lives_tables import cell, interval
from benchmarks.pieces_picture import draw_courses
from meta.continual.training.measures import (
    Course,
    Curve,
    average_performance,
    forgetting,
    forward_transfer,
    late_plasticity,
    read_course,
)
from meta.continual.training.memory import Memory, Schedule
from meta.recipes.registry import make_config
from meta.registry import MEMORIES
from meta.training.config import TrainCfg
from meta.training.run import train
from tasks.named import imported
from tasks.pieces import make_pieces
from tasks.registry import find_family

ALONE = "alone"
PIECES = tuple(
    f"mechanism={name}"
    for name in (
        *("door-right", "door-left", "slide-right"),
        *("slide-left", "swing-in-right", "swing-in-left"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    family: Positional[str]
    """Task family."""
    method: str = "oracle"
    """Method that learns."""
    pieces: tuple[str, ...] = PIECES
    """Pieces, as `pliant train` takes them. By default six mechanisms of open, told
    apart by what the oracle observes, of which neighbours ask for opposite actions."""
    remember: tuple[str, ...] = (*MEMORIES, ALONE)
    """Ways to remember; and alone, which learns each piece from scratch."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds, which also draw the order of pieces that a number stands for."""
    each: int = 20
    """Iterations of each piece."""
    episodes: int = 1
    """Times that an iteration's worlds run an episode, beside those of adapting."""
    threads: int = 1
    """Simulator threads."""
    hold: float = 0.0
    """Hold of all runs with a memory; 0: each kind's own."""
    folder: Path = Path("runs/pieces")
    """Folder of the runs."""
    train_only: bool = False
    """Print no table."""
    again: bool = False
    """Print the table of runs that have ended; train nothing."""
    picture: Path | None = None
    """Draw the courses here."""


def main() -> None:
    """Train what is not there yet, and print the tables."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    for cfg, folder in [] if o.again else runs(o):
        done = train(cfg, folder, resume=folder.is_dir())
        if done.signal:
            raise SystemExit(128 + done.signal)
    if not o.train_only:
        report(o)


def runs(o: Options) -> Iterator[tuple[TrainCfg, Path]]:
    """Yield the configuration and the folder of every run."""
    for seed in o.seeds:
        for name in o.remember:
            if name == ALONE:
                for i, cfg in enumerate(_alone(o, seed)):
                    yield cfg, _folder(o, f"{ALONE}{i}", seed)
            else:
                cfg = replace(_config(o, seed), remember=name, hold=o.hold)
                yield cfg, _folder(o, name, seed)


def _config(o: Options, seed: int) -> TrainCfg:
    cfg = make_config(o.family, o.method)
    count = len(make_pieces(find_family(o.family), o.pieces, seed))
    return replace(
        cfg,
        pieces=o.pieces,
        iterations=1 + o.each * count,
        measure_rounds=o.episodes,
        seed=seed,
        threads=o.threads,
    )


def _alone(o: Options, seed: int) -> list[TrainCfg]:
    """Return the configurations that learn each piece from scratch."""
    cfg = _config(o, seed)
    pieces = make_pieces(find_family(o.family), o.pieces, seed)
    each = replace(cfg, iterations=1 + o.each)
    return [replace(each, pieces=(str(piece),)) for piece in pieces]


def _folder(o: Options, name: str, seed: int) -> Path:
    return o.folder / f"{name}-seed{seed}"


def report(o: Options) -> None:
    """Print the figures of every way to remember, and draw the courses."""
    names = [n for n in o.remember if n != ALONE]
    bases = [_scratch(o, seed) for seed in o.seeds]
    courses = {name: [_course(o, name, seed) for seed in o.seeds] for name in names}
    print(
        "| remembers by | average performance | of multi-task | forgetting | forward "
        "transfer | late plasticity |\n|---|---:|---:|---:|---:|---:|"
    )
    bound = [average_performance(c) for c in courses.get("together", [])]
    for name in names:
        print(_row(name, courses[name], bases, bound))
    ends = [[base[1][-1] for base in alone] for alone in bases]
    scratch = cell([float(np.mean(e)) for e in ends], rate=True)
    print(f"\nfrom scratch, at the end of a piece: {scratch}")
    for seed in o.seeds:
        print(f"seed {seed}: {' '.join(_order(o, seed))}")
    if o.picture:
        draw_courses({_title(n): c for n, c in courses.items()}, o.picture)
        print(f"drawn in {o.picture}")


def _row(
    name: str,
    courses: Sequence[Course],
    bases: Sequence[Sequence[Curve]],
    bound: Sequence[float],
) -> str:
    average = [average_performance(c) for c in courses]
    cells = [cell(average, rate=True), "", "", "", ""]
    if bound and name != "together":
        value, low, high = interval(np.divide, average, bound)
        cells[1] = f"{value:.2f} [{low:.2f}, {high:.2f}]"
    if name != "together":
        both = list(zip(courses, bases, strict=True))
        cells[2] = cell([forgetting(c) for c in courses])
        cells[3] = cell([forward_transfer(c, base) for c, base in both])
        cells[4] = cell([late_plasticity(c, base) for c, base in both])
    return f"| {_title(name)} | " + " | ".join(cells) + " |"


def _title(name: str) -> str:
    kind: type[Memory] = imported(MEMORIES[name])
    return kind.title


def _course(o: Options, name: str, seed: int) -> Course:
    count = len(_order(o, seed))
    return read_course(_folder(o, name, seed), Schedule(1 + o.each * count, count))


def _scratch(o: Options, seed: int) -> list[Curve]:
    found = [
        read_course(_folder(o, f"{ALONE}{i}", seed), Schedule(1 + o.each, 1))
        for i in range(len(_order(o, seed)))
    ]
    return [course.own[0] for course in found]


def _order(o: Options, seed: int) -> list[str]:
    return [str(p) for p in make_pieces(find_family(o.family), o.pieces, seed)]


if __name__ == "__main__":
    main()

"""The commands `pliant bench gpu` and `pliant bench suite`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro import conf

from pliant.cli.names import check_family, check_method
from pliant.cli.options import Device, check_can_be_written, numbers
from pliant.cli.parsing import File, Files, Folder, Names, Numbers
from pliant.cli.progress import progress_bar

BENCH = """\
usage: pliant bench gpu|suite [options]

  gpu      measure how fast a GPU simulates and learns, beside the CPU
  suite    train and evaluate every method on every family, and write the tables

  pliant bench gpu --help
  pliant bench suite --help

Example: pliant bench gpu --families strike
"""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """Measure how fast a GPU simulates and learns, beside the CPU and the bare physics.

    The first build compiles kernels, which takes a minute or two; Warp keeps them.

    Example: pliant bench gpu --families strike --worlds 512,4096 --json speed.json
    """

    families: Names = ""
    """Families to measure, with commas between; all by default."""
    worlds: Numbers = "512,2048,8192,32768"
    """Numbers of worlds to measure with."""
    seconds: float = 3.0
    """Time to spend on each figure."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Device that Warp runs on; its CPU device is serial, and only there to try the
    command."""
    json: File = None
    """Write the figures to this file."""
    timelines: Folder = None
    """Write a timeline of one full iteration of each family to this folder, for
    Perfetto, and print where its time went."""

    def run(self) -> int:
        """Measure and print the table."""
        from meta.training.config import MAX_WORLDS
        from robots.sim.simulator import check_device
        from tasks.registry import FAMILIES

        check_can_be_written(self.json)
        from pliant.bench.gpu import bench

        names = self.families.split(",") if self.families else sorted(FAMILIES)
        for name in names:
            check_family(name)
        check_device(self.device)
        sizes = numbers(self.worlds, "--worlds")
        if not all(1 <= n <= MAX_WORLDS for n in sizes) or not 0 < self.seconds < 1e6:
            raise ValueError(
                f"need --worlds of 1 to {MAX_WORLDS:,} and --seconds > 0, got "
                f"{self.worlds} and {self.seconds}"
            )
        if self.timelines:
            self.timelines.mkdir(parents=True, exist_ok=True)
        with progress_bar("measuring") as progress:
            bench(
                names,
                sizes,
                self.device,
                seconds=self.seconds,
                timelines=self.timelines,
                file=self.json,
                progress=progress,
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Train and evaluate every family, method and seed, and write the tables.

    Finished runs are left alone, and shipped policies count as finished. Start the
    command again after it was killed: it goes on where it was.

    Example: pliant bench suite --as-is --families cheetah-direction --splits held-out
    """

    families: Names = ""
    """Families, with commas between; all by default."""
    methods: Names = ""
    """Methods, with commas between, on every family with every seed; `core` stands for
    those that claims rest on. By default the core, and the others with the first seed
    on a few families."""
    seeds: Numbers = "0,1,2"
    """Training seeds."""
    splits: Names = "held-out,extrapolation,unseen,change"
    """Splits to evaluate on, where a family has them; `change` is a change of the task
    in mid-episode."""
    tasks: int = 100
    """Number of tasks in each evaluation."""
    iterations: int | None = None
    """Train no longer than this, to try the suite out."""
    retrain: bool = False
    """Train the policies that ship, too."""
    as_is: bool = False
    """Train nothing: evaluate and show what there is."""
    workers: int = 0
    """Processes at once, of one thread each; 0 means one per CPU."""
    device: Device = "cpu"
    """Device that simulates and learns; on a GPU, one worker is best."""
    out: Annotated[Path, conf.arg(metavar="FOLDER")] = Path("runs/suite")
    """Folder of runs, logs, results and the tables, such as table.md and price.md."""
    into: Files = ()
    """Also fill the marked places of these documents with the tables."""

    def run(self) -> int:
        """Train, evaluate and write the tables."""
        from meta.machine.devices import pick_device
        from meta.registry import CORE
        from pliant.bench.suite import SuiteCfg, run_suite
        from pliant.views.tables import NAMES, check_places, write_tables
        from tasks.registry import FAMILIES

        names = self.families.split(",") if self.families else list(FAMILIES)
        asked = self.methods.split(",") if self.methods else []
        chosen = [n for a in asked for n in (CORE if a == "core" else (a,))]
        for name in names:
            check_family(name)
        for name in chosen:
            check_method(name)
        cfg = SuiteCfg(
            families=tuple(names),
            methods=tuple(dict.fromkeys(chosen)),
            seeds=numbers(self.seeds, "--seeds"),
            splits=tuple(self.splits.split(",")),
            tasks=self.tasks,
            iterations=self.iterations,
            retrain=self.retrain,
            as_is=self.as_is,
            workers=self.workers,
            device=pick_device(self.device),
        )
        check_places(self.into)
        results = run_suite(cfg, self.out)
        write_tables(results, self.out, self.into)
        print(f"wrote {self.out}/{'.md, '.join(NAMES)}.md")
        return 0

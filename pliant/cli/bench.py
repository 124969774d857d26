"""The commands `pliant bench gpu` and `pliant bench suite`: options, and what they do.

Each imports what it needs when it runs, so that `--help` stays fast.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pliant.cli.options import Device, check_can_be_written, numbers


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure how fast a GPU simulates and learns, beside the CPU and the bare physics.

    The first build compiles kernels, which takes a minute or two; Warp keeps them.

    Example: pliant bench gpu --families strike --worlds 512,4096 --json speed.json
    """

    what: Literal["gpu"]
    """What to measure."""
    families: str = ""
    """Names, with commas between; all by default."""
    worlds: str = "512,2048,8192,32768"
    """Numbers of worlds."""
    seconds: float = 3.0
    """For each figure."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Where Warp runs; its CPU device is serial, and only there to try the command."""
    json: Path | None = None
    """Write the figures here."""
    timelines: Path | None = None
    """Write a timeline of one full iteration of each family into this folder, for
    Perfetto, and print where its time went."""

    def run(self) -> int:
        """Measure and print the table."""
        from robots.sim.simulator import check_device
        from tasks.registry import FAMILIES

        check_device(self.device)
        check_can_be_written(self.json)
        from pliant.bench.gpu import bench

        names = self.families.split(",") if self.families else sorted(FAMILIES)
        sizes = numbers(self.worlds, "--worlds")
        if self.timelines:
            self.timelines.mkdir(parents=True, exist_ok=True)
        bench(
            names,
            sizes,
            self.device,
            seconds=self.seconds,
            timelines=self.timelines,
            file=self.json,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Train and evaluate every family, method and seed, and write the one table.

    What is done is left alone, and what ships counts as done; a killed suite, or one of
    its runs, goes on where it was.

    Example: pliant bench suite --families reach-rotated --into docs/results.md
    """

    families: str = ""
    """Names, with commas between; all by default."""
    methods: str = ""
    """Names, with commas between; all by default."""
    seeds: str = "0,1,2"
    """Training seeds."""
    tasks: int = 100
    """In each evaluation."""
    iterations: int | None = None
    """Train no longer than this, to try the suite out."""
    retrain: bool = False
    """Train what ships, too."""
    as_is: bool = False
    """Train nothing: evaluate and show what there is."""
    workers: int = 0
    """Processes at once, of one thread each; 0 means one per CPU."""
    device: Device = "cpu"
    """What simulates and learns, cpu, cuda, or auto; one worker a GPU is best."""
    out: Path = Path("runs/suite")
    """Run folders, logs, results, and the tables: table.md and details.md."""
    into: tuple[Path, ...] = ()
    """Also fill the marked places of these documents with the tables."""

    def run(self) -> int:
        """Train, evaluate, draw."""
        from meta.machine.devices import pick_device
        from meta.registry import METHODS, find_method
        from pliant.bench.suite import SuiteCfg, run_suite
        from pliant.views.tables import write_tables
        from tasks.registry import FAMILIES

        names = self.families.split(",") if self.families else list(FAMILIES)
        chosen = self.methods.split(",") if self.methods else METHODS
        cfg = SuiteCfg(
            families=tuple(names),
            methods=tuple(find_method(name).name for name in chosen),
            seeds=numbers(self.seeds, "--seeds"),
            tasks=self.tasks,
            iterations=self.iterations,
            retrain=self.retrain,
            as_is=self.as_is,
            workers=self.workers,
            device=pick_device(self.device),
        )
        results = run_suite(cfg, self.out)
        write_tables(results, self.out, self.into)
        print(f"wrote {self.out}/table.md and {self.out}/details.md")
        return 0

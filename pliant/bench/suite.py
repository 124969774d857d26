"""The suite: train and evaluate families, methods and seeds.

Finished work is left alone: a finished run in the suite's folder, a shipped policy that
was trained by the very same configuration, an evaluation of the very same policies. The
rest is run in processes of one thread each, as many at once as there are cores; one
that is killed is started again and resumes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rich.console import Console

from meta.experience.changes import mattering
from meta.machine.files import read_bytes, read_json
from meta.recipes.registry import make_config
from meta.registry import CEILING, CORE, DEFAULT, FLOORS, METHODS, find_method
from meta.training.config import TrainCfg
from meta.training.folder import METRICS, begun
from meta.training.run import RESUMABLE
from meta.training.trained import (
    CHECKPOINT,
    SHIPPED,
    checkpoint_config,
    checksum,
    locate,
    shipped_policies,
)
from pliant.bench.jobs import Job, run_jobs
from tasks.parameters import SPLITS, current_split, split_parts
from tasks.registry import make_family
from tasks.strict_json import BROKEN

CHANGE = "change"
"""Name of the evaluation of tasks that change in mid-episode."""
ATLAS = ("strike", "grasp", "insert", "cheetah-direction")
"""Families that methods outside the core are trained on, with the first seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCfg:
    """Settings of the suite."""

    families: tuple[str, ...]
    methods: tuple[str, ...] = ()
    """Methods, with every seed on every family; without any, those of the core, and the
    others with the first seed on the families of `ATLAS`."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds."""
    splits: tuple[str, ...] = ("held-out", "extrapolation", "unseen", CHANGE)
    """Splits to evaluate on, where a family has them, and changes in mid-episode."""
    tasks: int = 100
    """Number of tasks in each evaluation."""
    iterations: int | None = None
    """Iterations of every run, to try the suite out; by default the configuration's."""
    workers: int = 0
    """Processes at once; 0 means one per CPU that this process was given."""
    device: str = "cpu"
    """Device that simulates and learns; Stable-Baselines3's runs stay on the CPU."""
    retrain: bool = False
    """Train the policies that ship, too."""
    as_is: bool = False
    """Train nothing: evaluate the policies that there are."""

    def __post_init__(self) -> None:
        """Refuse settings that no evaluation could be made of."""
        if self.methods and _lacking(self.methods):
            raise ValueError(
                f"no table without {_lacking(self.methods)}; got "
                f"{', '.join(self.methods)}"
            )
        strange = {split_parts(s)[0] for s in self.splits} - {*SPLITS, CHANGE}
        if strange or not self.splits:
            raise ValueError(
                f"splits are {', '.join((*SPLITS, CHANGE))}; got "
                f"{', '.join(self.splits)}"
            )
        unknown = set(self.methods) - set(METHODS)
        if unknown or not self.seeds or min(self.seeds) < 0 or self.tasks < 1:
            raise ValueError(
                f"need methods among {', '.join(METHODS)}, seeds >= 0 and tasks >= 1, "
                f"got {', '.join(self.methods)}; {self.seeds}; {self.tasks}"
            )


def run_suite(
    cfg: SuiteCfg, folder: Path, console: Console | None = None
) -> dict[str, Path]:
    """Train and evaluate all that is not done yet.

    Args:
        cfg: the settings.
        folder: where runs, logs and results are kept.
        console: where progress is printed; standard error by default.

    Returns:
        The files of results, by family and split.

    Raises:
        ValueError: for settings that cannot be trained or evaluated.
        OSError: if a process fails, naming its log.
    """
    say = console or Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        _config(cfg, family, method, seed)
        for family in cfg.families
        for method in cfg.methods or METHODS
        for seed in _seeds(cfg, family, method)
    ]
    found = {run: _done(run, folder, cfg) for run in runs}
    if cfg.as_is:
        cfg = replace(cfg, families=_complete(cfg, found, say))
        found = {r: s for r, s in found.items() if s and r.family in cfg.families}
    missing = [run for run, spec in found.items() if spec is None]
    say.print(f"policies: {len(found)}, to be trained: {len(missing)}")
    run_jobs([_training(run, folder, cfg.device) for run in missing], cfg.workers, say)
    specs = {run: spec or str(_folder(run, folder)) for run, spec in found.items()}
    results: dict[str, Path] = {}
    jobs: list[Job] = []
    for family in cfg.families:
        mine = [spec for run, spec in specs.items() if run.family == family]
        made = make_family(family)
        able = (*made.splits, *([CHANGE] if mattering(made) else []))
        for split in (s for s in map(current_split, cfg.splits) if s in able):
            path = folder / f"{family}-{split}.json"
            if not _evaluated(path, mine, cfg.tasks):
                jobs.append(_evaluation(mine, family, split, cfg, path))
            results[path.stem] = path
    say.print(f"evaluations: {len(results)}, to be made: {len(jobs)}")
    run_jobs(jobs, cfg.workers, say)
    return results


def _complete(
    cfg: SuiteCfg, runs: Mapping[TrainCfg, str | None], say: Console
) -> tuple[str, ...]:
    """Return the families that can be evaluated as they are, and name the others."""
    whole: list[str] = []
    for family in cfg.families:
        there = {r.method for r, spec in runs.items() if spec and r.family == family}
        if lacking := _lacking(there):
            say.print(f"{family} cannot be evaluated as it is: no finished {lacking}")
        else:
            whole.append(family)
    if not whole:
        raise ValueError(
            f"none of {', '.join(cfg.families)} can be evaluated as it is: a family "
            f"needs a finished {_lacking(())}"
        )
    return tuple(whole)


def _lacking(methods: Collection[str]) -> str:
    """Return the methods that a table needs and that are not there."""
    floor = [] if set(FLOORS) & set(methods) else [" or ".join(FLOORS)]
    ends = [name for name in (DEFAULT, CEILING) if name not in methods]
    return ", ".join(floor + ends)


def _seeds(cfg: SuiteCfg, family: str, method: str) -> tuple[int, ...]:
    """Return the training seeds of a method on a family; all, as it is."""
    if cfg.methods or cfg.as_is or method in CORE:
        return cfg.seeds
    return cfg.seeds[:1] if family in ATLAS else ()


def _config(cfg: SuiteCfg, family: str, method: str, seed: int) -> TrainCfg:
    run = replace(make_config(family, method), seed=seed, threads=1)
    return replace(run, iterations=cfg.iterations or run.iterations)


def _folder(run: TrainCfg, folder: Path) -> Path:
    return folder / f"{run.family}-{run.method}-seed{run.seed}"


def _done(run: TrainCfg, folder: Path, cfg: SuiteCfg) -> str | None:
    """Return the place of the finished run, if there is one."""
    own = _folder(run, folder)
    path = own / CHECKPOINT
    if path.exists() and _same(run, path) and _iterations(own) >= run.iterations:
        return str(own)
    for name in () if cfg.retrain else shipped_policies(run.family, run.method):
        path = locate(f"{SHIPPED}{name}")
        # as it is: whatever the settings that it was trained with
        as_is = cfg.as_is and checkpoint_config(path).seed == run.seed
        if as_is or _same(run, path, finished=True):
            return f"{SHIPPED}{name}"
    return None


def _same(run: TrainCfg, path: Path, *, finished: bool = False) -> bool:
    """Return whether a checkpoint was trained by this configuration."""
    stored = checkpoint_config(path)
    free = set(RESUMABLE) - ({"iterations"} if finished else set())
    names = [f.name for f in fields(TrainCfg) if f.name not in free]
    return all(getattr(stored, n) == getattr(run, n) for n in names)


def _iterations(folder: Path) -> int:
    path = folder / METRICS
    return len(read_bytes(path).splitlines()) if path.exists() else 0


def _training(run: TrainCfg, folder: Path, device: str) -> Job:
    own = _folder(run, folder)
    more = ["--resume"] if begun(own) else []
    options = {"--method": run.method, "--seed": run.seed, "--out": own}
    device = "cpu" if find_method(run.method).cpu_only else device
    options |= {"--iterations": run.iterations, "--threads": 1, "--device": device}
    flat = [str(x) for pair in options.items() for x in pair]
    return Job(
        name=own.name,
        command=["train", run.family, *flat, *more],
        log=folder / f"{own.name}.log",
    )


def _evaluation(
    specs: Sequence[str], family: str, split: str, cfg: SuiteCfg, path: Path
) -> Job:
    mine = [s for s in specs if checkpoint_config(locate(s)).method == DEFAULT]
    beside = ["--alone", "--beside", *(s for s in specs if s not in mine)]
    where = ["--change", "step"] if split == CHANGE else ["--split", split]
    options = ["--tasks", str(cfg.tasks), "--threads", "1", "--device", cfg.device]
    return Job(
        name=f"evaluate {family} {split}",
        command=["evaluate", *mine, *where, *options, "--json", str(path), *beside],
        log=path.with_suffix(".log"),
    )


def _evaluated(path: Path, specs: Sequence[str], tasks: int) -> bool:
    """Return whether the results are of these very policies, on as many tasks."""
    if not path.exists():
        return False
    # beside them there may be a robust baseline that ships, of a method not asked for
    methods = {checkpoint_config(locate(s)).method for s in specs}
    try:
        result = read_json(path)
        every = [p for group in result["policies"].values() for p in group]
        had = {p["checksum"] for p in every if p["method"] in methods}
    except BROKEN:  # it is made again
        return False
    # the tables show more than those of former versions did
    whole = "curve" not in result or "success" in result
    same = had == {checksum(locate(s)) for s in specs}
    return whole and same and result.get("tasks") == tasks

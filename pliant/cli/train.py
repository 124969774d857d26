"""The command `pliant train`: a complete configuration, with options laid over it."""

import os
import re
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from tyro import conf

from pliant.cli.names import LISTED, check_family, check_method
from pliant.cli.options import Device
from pliant.cli.parsing import SETTINGS, Flag, Folder, Hidden, parse

if TYPE_CHECKING:
    from meta.training.config import TrainCfg

HELP = """\
Meta-train a policy on a task family, or one of the baselines to compare it with.

FAMILY is one that `pliant list` shows, or module:Class of your own: a class of
pliant.Family, with one robot or a team in a MuJoCo model; of pliant.ExternalFamily,
over any vector environment of Gymnasium; or of
tasks.adapters.parallel_family.ParallelFamily, over one of PettingZoo.

Method maml learns to adapt. dr is one robust policy, which does not adapt, and oracle a
policy that observes the hidden parameters: evaluation compares with both.

Ctrl-C stops after the current iteration. --resume continues a run however it ended, and
gives the numbers of an uninterrupted run.

Defaults shown are those of {family} with {method}; name another to see its own.

Example: pliant train {family} --method {method} --iterations 50 --out runs/try
"""


class Asked(NamedTuple):
    """The run that the user asked for."""

    cfg: "TrainCfg"
    out: Path | None
    resume: bool
    overwrite: bool


def run_train(argv: list[str]) -> int:
    """Train as asked; return the exit code.

    Args:
        argv: what the user typed after `pliant train`.

    Raises:
        ValueError: for options that cannot be parsed, or a run that cannot be trained.
    """
    from meta.machine.distributed import joined, share
    from meta.recipes.registry import make_config
    from meta.training.run import CHECKPOINT, CONFIG, default_folder, read_config, train
    from pliant.views.markdown import count
    from tasks.named import Trusted

    family, rest = _family_first(argv)
    method = _method(rest)
    asked = _parse(_with_few(make_config(family, method), rest), rest, argv[0])
    folder = asked.out or default_folder(asked.cfg)
    if asked.resume and any((folder / n).exists() for n in (CHECKPOINT, CONFIG)):
        stored = read_config(folder, Trusted((family,), (method,)))
        if stored.family != family:
            raise ValueError(f"the run in {folder} is of {stored.family}, not {family}")
        # options that are not given again stay as they were
        asked = _parse(stored, rest, argv[0])
    with joined(asked.cfg.device):
        done = train(asked.cfg, folder, resume=asked.resume, overwrite=asked.overwrite)
        rank, size = share()
    # a signal in the last iteration stops nothing
    whole = done.signal is None or done.iteration >= asked.cfg.iterations
    code = 0 if whole else 128 + (done.signal or 0)
    own_method = f" --method {method}" if ":" in method else ""
    if not rank and code:
        print(
            f"stopped at iteration {done.iteration} of {asked.cfg.iterations}; go on "
            f"with: pliant train {family} --out {folder} --resume{own_method}"
        )
    elif not rank:
        own_family = f" --family {family}" if ":" in family else ""
        print(
            f"{count(done.iteration, 'iteration')} in {folder}; next: pliant evaluate "
            f"{folder}{own_family}{own_method}"
        )
    if size > 1:
        # gloo's threads can abort an interpreter that takes its time to exit
        sys.stdout.flush()
        os._exit(code)
    return code


def options_over(defaults: "TrainCfg") -> tuple[type[Any], Any]:
    """Return the dataclass of all options, and the instance that holds the defaults."""
    from meta.training.config import TrainCfg

    settings_class: Any = type(defaults.learner)

    @dataclass(frozen=True, kw_only=True)
    class Options(TrainCfg):
        family: Hidden
        method: Annotated[str, conf.arg(metavar="METHOD")]
        """One of maml; maml-plain, which adapts by estimated advantages alone; dr;
        dr-memory, which remembers its episode; dr-sb3, DR by Stable-Baselines3; rma and
        sysid, which infer what a teacher observes; explore, which also acts in order to
        tell; rl2 and rl2-transformer, which remember all episodes with a task; varibad,
        which infers what foretells its episodes, and varibad-explore, which also acts
        in order to; and oracle. Or module:Class of a learner of your own."""
        # known only now, for each method has settings of its own
        learner: settings_class = field(  # pyright: ignore[reportInvalidTypeForm]
            default_factory=settings_class
        )
        """Settings of the method."""
        out: Folder = None
        """Run folder; runs/FAMILY-METHOD-seedSEED by default."""
        resume: Flag = False
        """Continue the run in the folder; options not given again stay as they were."""
        overwrite: Flag = False
        """Replace the run in the folder."""
        device: Device = "auto"
        """Device that simulates and learns; auto is cuda where there is a GPU."""

    Options.__doc__ = HELP.format(family=defaults.family, method=defaults.method)
    return Options, Options(**_settings(replace(defaults, device="auto")))


def _parse(defaults: "TrainCfg", argv: list[str], first: str) -> Asked:
    """Parse options over a complete configuration, whose family is named first."""
    from meta.machine.devices import pick_device
    from meta.registry import DEFAULT, METHODS
    from meta.training.config import TrainCfg

    kind, default = options_over(defaults)
    prog = f"pliant train {'FAMILY' if first.startswith('-') else first}"
    if defaults.method != DEFAULT:  # whose help is without it
        prog += f" --method {defaults.method}"
    got = parse(kind, argv, prog, config=SETTINGS, default=default)
    cfg = replace(TrainCfg(**_settings(got)), device=pick_device(got.device))
    if defaults.learner.inner_steps and not cfg.learner.inner_steps:
        raise ValueError(
            f"with --inner-steps 0 {cfg.method} never adapts: that is --method dr, or "
            "dr-memory"
        )
    others = {*METHODS} - {DEFAULT}
    if _learned(cfg) and not _learned(defaults) and cfg.method in others:
        raise ValueError(f"--learned-advantage is of --method {DEFAULT}, not of others")
    return Asked(cfg, got.out, got.resume, got.overwrite)


def _learned(cfg: "TrainCfg") -> bool:
    return getattr(cfg.learner, "learned_advantage", False)


def _with_few(defaults: "TrainCfg", argv: list[str]) -> "TrainCfg":
    """Return defaults that adapt on no more episodes than are asked for."""
    from meta.training.config import adapting_on, replaced

    found = re.findall(r"(?:^| )--episodes[= ](\d+)", " ".join(argv))
    if not found or not int(found[-1]) or not defaults.learner.adapt_episodes:
        return defaults
    fewer = adapting_on(defaults, int(found[-1]))
    return replaced(defaults, {"adapt_episodes": fewer})


def _settings(cfg: "TrainCfg") -> dict[str, Any]:
    from meta.training.config import TrainCfg

    return {f.name: getattr(cfg, f.name) for f in fields(TrainCfg)}


def _family_first(argv: list[str]) -> tuple[str, list[str]]:
    """Split off the family; help without a family is that of the first one."""
    if argv and not argv[0].startswith("-"):
        check_family(argv[0])
        return argv[0], argv[1:]
    if set(argv) & {"-h", "--help"}:
        from tasks.registry import FAMILIES

        return next(iter(FAMILIES)), ["--help"]
    raise ValueError(f"name the family first: pliant train FAMILY [options]; {LISTED}")


def _method(argv: list[str]) -> str:
    """Return the method asked for, which decides the defaults of all other options."""
    found = re.findall(r"(?:^| )--method[= ](\S+)", " ".join(argv))
    for name in found:
        check_method(name)
    return found[-1] if found else "maml"

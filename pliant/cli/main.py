"""The command `pliant`: parse, call, and say what went wrong in one line.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
tyro is imported here only.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import tyro
from tyro import conf

from pliant.cli.bench import Bench, Suite
from pliant.cli.listing import List
from pliant.cli.objects import Objects
from pliant.cli.options import Device, Doctor, Evaluate, Export, Record, Replay

if TYPE_CHECKING:
    from meta.training.config import TrainCfg

T = TypeVar("T")
TRACEBACK = "PLIANT_TRACEBACK"
MENDABLE = (ValueError, OSError, MemoryError, FloatingPointError)
USAGE = """\
usage: pliant COMMAND [options]

Robots that adapt in a few episodes: meta-train a policy on a family of simulated
tasks, then measure and watch it adapt to tasks that it has never met.

commands:
  list      task families, their parameters, and the policies that ship
  train     meta-train a policy, or one of the baselines to compare it with
  evaluate  how well policies adapt, beside the baselines, on tasks of a split
  record    run a policy before and after adapting and keep what happened
  replay    watch a recording, or turn it into a video
  export    write a trained policy as one small file
  objects   look at generated objects, or at your own
  doctor    check this machine, and say how to cure what is wrong
  bench     gpu: how fast one simulates and learns; suite: every method on every family

  pliant COMMAND --help    what a command does, with an example
  pliant --version

from nothing to a number:
  pliant train cheetah-direction
  pliant train cheetah-direction --method dr
  pliant train cheetah-direction --method oracle
  pliant evaluate runs/cheetah-direction-maml-seed0 \\
      --beside runs/cheetah-direction-dr-seed0 runs/cheetah-direction-oracle-seed0

Errors are one line and exit with code 2; PLIANT_TRACEBACK=1 shows where they arise.
"""
TRAIN = """\
Meta-train a policy on a family, or one of its baselines.

A family is one that `pliant list` shows, or module:Class of a tasks.external one.

Method maml learns to adapt; dr is one robust policy that does not adapt, and oracle
one that observes the hidden parameters: evaluation compares with both.

Ctrl-C stops after the current iteration; --resume goes on after that, or after anything
else that ended a run, and gives the numbers of an uninterrupted run.

Defaults shown are those of {family} with {method}; name another to see its own.

Example: pliant train {family} --method {method} --iterations 50 --out runs/try
"""


class Command(Protocol):
    """A command's options, which can be carried out."""

    def run(self) -> int:
        """Do it; return the exit code."""
        ...


CONFIG = (conf.PositionalRequiredArgs, conf.FlagCreatePairsOff, conf.DisallowNone)
COMMANDS: dict[str, type[Command]] = {
    "list": List,
    "evaluate": Evaluate,
    "record": Record,
    "replay": Replay,
    "export": Export,
    "objects": Objects,
    "doctor": Doctor,
    "bench": Bench,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 for success, 2 for what the user can mend, 128 + the signal if stopped by one.
    """
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        # whoever read the output has gone; Python must not complain on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        # torch's for a full device by its name: torch need not be imported
        full = type(error).__name__ == "OutOfMemoryError"
        if os.environ.get(TRACEBACK) or not (full or isinstance(error, MENDABLE)):
            raise
        return _complain(_one_line(error), 2)


def _dispatch(argv: list[str]) -> int:
    match argv:
        case ["--version"]:
            from meta.machine.versions import package_version

            print(f"pliant {package_version('pliant') or '(not installed)'}")
        case ["-h" | "--help"]:
            print(USAGE, end="")
        case ["train", *rest]:
            return _train(rest)
        case ["bench", "suite", *rest]:
            return _parse(Suite, rest, "pliant bench suite", CONFIG).run()
        case [name, *rest] if name in COMMANDS:
            return _parse(COMMANDS[name], rest, f"pliant {name}", CONFIG).run()
        case _:
            given = f"unknown command {argv[0]!r}" if argv else "no command given"
            known = ", ".join(sorted((*COMMANDS, "train")))
            raise ValueError(f"{given}; commands: {known}; see pliant --help")
    return 0


class _Train(NamedTuple):
    """What `pliant train` was asked."""

    cfg: "TrainCfg"
    out: Path | None
    resume: bool
    overwrite: bool


def _train(argv: list[str]) -> int:
    from meta.machine.distributed import joined, share
    from meta.recipes.registry import make_config
    from meta.training.run import CHECKPOINT, CONFIG, default_folder, read_config, train

    family, rest = _family_first(argv)
    asked = _parse_train(make_config(family, _method(rest)), rest)
    folder = asked.out or default_folder(asked.cfg)
    if asked.resume and any((folder / n).exists() for n in (CHECKPOINT, CONFIG)):
        stored = read_config(folder)
        if stored.family != family:
            raise ValueError(f"the run in {folder} is of {stored.family}, not {family}")
        # what is not given again stays as it was
        asked = _parse_train(stored, rest)
    with joined(asked.cfg.device):
        done = train(asked.cfg, folder, resume=asked.resume, overwrite=asked.overwrite)
        rank, size = share()
    code = 0 if done.signal is None else 128 + done.signal
    if not rank and code:
        print(
            f"stopped at iteration {done.iteration} of {asked.cfg.iterations}; go on "
            f"with: pliant train {family} --out {folder} --resume"
        )
    elif not rank:
        print(
            f"{done.iteration} iterations in {folder}; next: pliant evaluate {folder}"
        )
    if size > 1:
        # gloo's threads can abort an interpreter that takes its time to exit
        sys.stdout.flush()
        os._exit(code)
    return code


def _family_first(argv: list[str]) -> tuple[str, list[str]]:
    """The family, and the rest; help without a family is that of the first one."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    from tasks.registry import FAMILIES

    if set(argv) & {"-h", "--help"}:
        return next(iter(FAMILIES)), ["--help"]
    raise ValueError(
        "name the family first: pliant train FAMILY [options]; families: "
        f"{', '.join(sorted(FAMILIES))}"
    )


def _method(argv: list[str]) -> str:
    """The method asked for, which decides the defaults of all other options."""
    found = re.findall(r"(?:^| )--method[= ](\S+)", " ".join(argv))
    return found[-1] if found else "maml"


def _parse_train(defaults: "TrainCfg", argv: list[str]) -> _Train:
    """Parse the options over a complete configuration."""
    from meta.machine.devices import pick_device
    from meta.training.config import TrainCfg

    settings_class: Any = type(defaults.learner)

    @dataclass(frozen=True, kw_only=True)
    class Options(TrainCfg):
        family: conf.Suppress[conf.Fixed[str]]
        # only known at run time
        learner: settings_class = field(  # pyright: ignore[reportInvalidTypeForm]
            default_factory=settings_class
        )
        out: conf.DisallowNone[Path | None] = None
        """Run folder; runs/FAMILY-METHOD-seedSEED by default."""
        resume: conf.FlagCreatePairsOff[bool] = False
        """Continue the run in the folder; options not given again stay as they were."""
        overwrite: conf.FlagCreatePairsOff[bool] = False
        """Replace the run in the folder."""
        device: Device = "auto"
        """What simulates and learns, cpu or cuda; auto is cuda where there is one."""

    def settings(cfg: TrainCfg) -> dict[str, Any]:
        return {f.name: getattr(cfg, f.name) for f in fields(TrainCfg)}

    Options.__doc__ = TRAIN.format(family=defaults.family, method=defaults.method)
    prog = f"pliant train {defaults.family}"
    default = Options(**settings(replace(defaults, device="auto")))
    got = _parse(Options, argv, prog, (conf.OmitArgPrefixes,), default)
    cfg = replace(TrainCfg(**settings(got)), device=pick_device(got.device))
    return _Train(cfg, got.out, got.resume, got.overwrite)


def _parse(
    kind: type[T],
    argv: list[str],
    prog: str,
    config: tuple[Any, ...],
    default: T | None = None,
) -> T:
    """Parse, with tyro's complaint, a box of several lines, made one line.

    Raises:
        ValueError: if the options cannot be parsed.
        SystemExit: after printing help.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            if default is None:
                return tyro.cli(kind, args=argv, prog=prog, config=config)
            return tyro.cli(kind, args=argv, prog=prog, config=config, default=default)
    except SystemExit as done:
        if not done.code:
            raise
        raise ValueError(f"{_unboxed(said.getvalue())}; see {prog} --help") from None


def _unboxed(text: str) -> str:
    """The sentences in a box that tyro drew, without its title and pointers to help."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    # where the terminal has no lines to draw with, a title and dashes in their place
    plain = re.sub(r"\A.*\n *-+ *\n", "", plain)
    kept: list[str] = []
    for line in (line.strip("│ ") for line in plain.splitlines()):
        if line.startswith(("Argument helptext", "For full helptext")):
            break
        if line.strip("-─") and not line.startswith(("╭", "╰")):
            kept.append(line)
    said = " ".join(" ".join(kept).split())
    return re.sub(r"^Error parsing (?!-)\S+: ", "", said).rstrip(".")


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError | RuntimeError):
        # torch goes on about its allocator
        return f"not enough memory: {str(error).split('. GPU')[0]}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error)


def _complain(message: str, code: int) -> int:
    print(f"pliant: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

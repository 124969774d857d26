"""The command `pliant`: dispatch to a command, and report an error in one line.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from pliant.cli.bench import BENCH, Gpu, Suite
from pliant.cli.completion import Completion
from pliant.cli.doctor import Doctor
from pliant.cli.errors import one_line, own_traceback
from pliant.cli.evaluate import Evaluate
from pliant.cli.export import Export
from pliant.cli.lie import Lie
from pliant.cli.listing import List
from pliant.cli.live import Live
from pliant.cli.names import check_known
from pliant.cli.objects import Objects
from pliant.cli.options import import_mujoco
from pliant.cli.parsing import parse
from pliant.cli.record import Record
from pliant.cli.replay import Replay
from pliant.cli.reproduce import Reproduce
from pliant.cli.train import run_train

TRACEBACK = "PLIANT_TRACEBACK"
USAGE = """\
usage: pliant COMMAND [options]

Robots that adapt in a few episodes: meta-train a policy on a family of simulated
tasks, then measure and watch it adapt to tasks that it has never met.

commands:
  list        show the task families, and the policies that ship for each
  train       meta-train a policy, or one of the baselines to compare it with
  evaluate    measure how well a policy adapts, beside the baselines
  lie         measure which hidden parameters of a family matter
  live        let an agent live a stream of tasks, of whose changes it is not told
  record      run a policy before and after adapting, and keep what happened
  replay      watch a recording, or turn it into a video or a picture
  reproduce   train by a published protocol, beside its figures
  export      write a trained policy to one small file
  objects     draw generated objects, or your own
  doctor      check this machine, and say how to cure what is wrong
  completion  print a script that completes commands and names in bash or zsh
  bench       gpu: measure how fast a GPU is; suite: every method on every family

  pliant COMMAND --help    what a command does, with an example
  pliant --version

from nothing to a number:
  pliant train reach-rotated --iterations 100
  pliant evaluate runs/reach-rotated-maml-seed0 --alone

Errors are one line, below the traceback if code of yours raised them, and exit with
code 2; PLIANT_TRACEBACK=1 shows where all of them arise.
"""


class Command(Protocol):
    """A command's options, which can be carried out."""

    def run(self) -> int:
        """Do it; return the exit code."""
        ...


COMMANDS: dict[str, type[Command]] = {
    "list": List,
    "evaluate": Evaluate,
    "lie": Lie,
    "live": Live,
    "record": Record,
    "replay": Replay,
    "reproduce": Reproduce,
    "export": Export,
    "objects": Objects,
    "doctor": Doctor,
    "completion": Completion,
    "bench gpu": Gpu,
    "bench suite": Suite,
}
Completion.commands = COMMANDS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 for success, 2 for what the user can mend, 128 + the signal if stopped by one.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that cannot show a character shows another one
        sys.stdout.reconfigure(errors="replace")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        # the reader of the output has gone; Python must not complain on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        said = one_line(error)
        if os.environ.get(TRACEBACK) or not said:
            raise
        print(own_traceback(error), end="", file=sys.stderr)
        return _complain(said, 2)


def _dispatch(argv: list[str]) -> int:
    match argv:
        case [] | ["-h" | "--help" | "help"]:
            print(USAGE, end="")
            return 0
        case ["--version"]:
            from meta.machine.versions import package_version

            print(f"pliant {package_version('pliant') or '(not installed)'}")
            return 0
        case ["train", *rest]:
            import_mujoco()
            return run_train(rest)
        case ["bench"] | ["bench", "-h" | "--help"]:
            print(BENCH, end="")
            return 0
        case ["bench", what, *rest]:
            check_known("benchmark", what, ("gpu", "suite"), "see pliant bench --help")
            name = f"bench {what}"
        case _:
            name, *rest = argv
            known = (*COMMANDS, "train", "bench")
            check_known("command", name, known, "see pliant --help")
    command = parse(COMMANDS[name], rest, f"pliant {name}")
    import_mujoco()
    return command.run()


def _complain(message: str, code: int) -> int:
    print(f"pliant: {' '.join(message.split())}", file=sys.stderr)
    return code

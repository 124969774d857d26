"""Run a session; see the package."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from tyro import conf

from benchmarks.gpu_session import session
from benchmarks.gpu_session.plan import GPU, REHEARSAL, machine, plan
from benchmarks.gpu_session.session import Session, owned, read
from benchmarks.gpu_session.summary import filled, summary
from meta.machine.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure all that needs a GPU, in a given time."""

    out: Path
    """Logs, figures, run folders, session.json and session.md; a second session in the
    same folder does what the first one did not."""
    seconds: float = 480.0
    """Seconds after which nothing is left running."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu rehearses everything in tiny sizes, physics on Warp's CPU device."""
    into: tuple[Path, ...] = ()
    """Fill the marked place of these documents with the summary."""
    as_is: bool = False
    """Run nothing: summarise what is there."""
    revision: str | None = None
    """Revision of the program, where it does not lie in a git checkout."""


def main() -> int:
    """Do what was asked; return the exit code."""
    options = tyro.cli(
        Options,
        prog="python -m benchmarks.gpu_session",
        config=(conf.FlagCreatePairsOff,),
    )
    try:
        return _go(options)
    except (ValueError, OSError) as error:
        print(f"gpu_session: {error}", file=sys.stderr)
        return 2


def _go(options: Options) -> int:
    out = options.out.absolute()
    for document in options.into:
        filled(document, "")  # refused now rather than after the session
    code = 0
    if not options.as_is:
        scale = GPU if options.device == "cuda" else REHEARSAL
        if options.seconds <= (least := session.reserve(scale.patience)):
            raise ValueError(
                f"seconds must be over {least:g}, which stopping can take, got "
                f"{options.seconds:g}"
            )
        with owned(out):
            one = Session(
                out=out,
                seconds=options.seconds,
                patience=scale.patience,
                revision=options.revision,
            )
            with one.asked.listening():
                code = one.go(machine(scale, out), plan(scale, out))
    found = read(out)
    if not found:
        raise ValueError(f"no session in {out}")
    for document in options.into:
        write_atomically(document, filled(document, summary(found)).encode())
    return code


if __name__ == "__main__":
    sys.exit(main())

"""A session: steps one after the other, each one's figures kept before the next."""

import fcntl
import json
import os
import shlex
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu_session.plan import Step
from benchmarks.gpu_session.process import FIRM, PATIENCE, Asked, Command, Ended, run
from benchmarks.gpu_session.summary import summary
from meta.machine.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
SESSION, SUMMARY = "session.json", "session.md"
KEPT = ("done", "reached")
"""Steps that ended so are not done again by a later session in the same folder."""
_WRITING = 3.0
"""[s] kept for what is written when the last child has ended."""
TAIL = 15
"""Lines of the log of a step that went wrong."""
_FREE = ("git_dirty",)  # filling a document makes a checkout dirty


@dataclass(slots=True, kw_only=True)
class Session:
    """Figures so far, in a folder that one process at a time writes.

    Args:
        out: the folder.
        seconds: from now to the end, by which no child is left.
        patience: [s] that a child has to end by itself when its time is over.
        asked: whether to stop earlier.
        revision: of the program, where it does not lie in a git checkout.
    """

    out: Path
    seconds: float
    patience: float = PATIENCE
    asked: Asked = field(default_factory=Asked)
    revision: str | None = None
    _begun: float = field(default_factory=time.monotonic)
    _found: dict[str, Any] = field(default_factory=dict[str, Any])

    def go(self, first: Step, steps: Sequence[Step]) -> int:
        """Do the steps; return the exit code.

        0 if none failed, 1 if one did, 128 + the signal if one asked to stop.

        Args:
            first: describes the machine; without it nothing else is begun.
            steps: the others.

        Raises:
            ValueError: if the folder holds a session of another machine or revision.
            OSError: if it cannot be written.
        """
        before = read(self.out)
        self._found = {"seconds": self.seconds, "machine": {}, "steps": []}
        described = self._do(first, first.limit)
        if described["status"] != "done":
            return self._wrong(described)
        here = described["figures"]
        here["git_revision"] = here.get("git_revision") or self.revision
        if before and _identity(before["machine"]) != _identity(here):
            raise ValueError(
                f"{self.out} holds a session of another machine or revision: give "
                "another folder"
            )
        self._found["machine"] = here
        known = {row["name"]: row for row in before.get("steps", [])}
        ways: dict[str, str] = {}
        for index, step in enumerate(steps):
            had = known.get(step.name)
            if had and had["status"] in KEPT and had["commands"] == _said(step):
                row = had
            else:
                row = self._next(step, steps[index + 1 :], ways)
            ways[step.name] = row["status"]
            self._keep(
                row, [known[s.name] for s in steps[index + 1 :] if s.name in known]
            )
        if self.asked.signal:
            return 128 + self.asked.signal
        return int("failed" in ways.values())

    def _next(
        self, step: Step, later: Sequence[Step], ways: dict[str, str]
    ) -> dict[str, Any]:
        """Do a step, if there is reason and time to."""
        left = self._left() - sum(other.least for other in later)
        why = ""
        if step.after and ways[step.after] not in KEPT:
            why = f"{step.after} is not done"
        elif self.asked.signal:
            why = "interrupted"
        elif left < max(step.least, 1.0):
            why = "no time left"
        if not why:
            return self._do(step, min(step.limit, left))
        print(f"{step.name}: skipped, {why}", flush=True)
        row = {"name": step.name, "commands": _said(step), "status": "skipped"}
        return row | {"why": why, "seconds": 0.0, "figures": step.figures()}

    def _do(self, step: Step, seconds: float) -> dict[str, Any]:
        print(f"{step.name}: at most {seconds:.0f} s", flush=True)
        logs = self.out / "logs"
        for file in step.files:
            file.unlink(missing_ok=True)
        commands = {logs / f"{name}.log": c for name, c in _going_on(step).items()}
        wrong = ""
        try:
            ended = run(
                commands,
                seconds=seconds,
                folder=ROOT,
                environment=_environment(),
                asked=self.asked,
                reached=step.reached,
                patience=self.patience,
            )
        except OSError as error:
            ended = Ended(status="failed", codes=(), seconds=0.0)
            wrong = str(error)
        row: dict[str, Any] = {
            "name": step.name,
            "commands": _said(step),
            "status": ended.status,
            "codes": ended.codes,
            "seconds": ended.seconds,
        }
        try:
            row["figures"] = step.figures()
        except (ValueError, KeyError, OSError) as error:
            row |= {"status": "failed", "figures": {}}
            wrong = f"its figures cannot be read: {error!r}"
        if row["status"] not in KEPT:
            row["log"] = [*_tails(commands, ended), *([wrong] if wrong else [])]
        print(f"{step.name}: {row['status']} after {ended.seconds:.1f} s", flush=True)
        return row

    def _keep(self, row: dict[str, Any], later: list[dict[str, Any]]) -> None:
        """Write all that is known, with what an earlier session knew of later steps."""
        self._found["steps"].append(row)
        self._found["ended_after"] = time.monotonic() - self._begun
        whole = self._found | {"steps": [*self._found["steps"], *later]}
        text = json.dumps(whole, indent=1) + "\n"
        write_atomically(self.out / SESSION, text.encode())
        write_atomically(self.out / SUMMARY, f"{summary(whole)}\n".encode())

    def _wrong(self, row: dict[str, Any]) -> int:
        """Record that nothing could be begun."""
        for line in row["log"]:
            print(f"  {line}", flush=True)
        if not (self.out / SESSION).exists():
            self._keep(row, [])
        return 128 + self.asked.signal if self.asked.signal else 1

    def _left(self) -> float:
        gone = time.monotonic() - self._begun
        return self.seconds - reserve(self.patience) - gone


def reserve(patience: float) -> float:
    """[s] before the end at which what still runs is asked to end."""
    return patience + FIRM + _WRITING


def read(out: Path) -> dict[str, Any]:
    """Read the figures of the session in a folder; none where there is no session.

    Raises:
        ValueError: if its file is no JSON.
    """
    path = out / SESSION
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


@contextmanager
def owned(out: Path) -> Generator[None]:
    """Keep other sessions, within, from writing into the folder; make it if missing.

    Raises:
        ValueError: if one does.
    """
    (out / "logs").mkdir(parents=True, exist_ok=True)
    with (out / "logs" / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another session is writing into {out}") from None
        yield


def _environment() -> dict[str, str]:
    """The session's own, with this checkout first and output that is not held back."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    added = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **added}


def _identity(machine: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in machine.items() if name not in _FREE}


def _said(step: Step) -> list[str]:
    """The commands as a person would type them."""
    return [shlex.join(command) for command in step.commands.values()]


def _going_on(step: Step) -> dict[str, Command]:
    """The commands, with which a run that was begun goes on."""
    if step.run is None or not step.run.exists():
        return dict(step.commands)
    whole = (step.run / "config.json").exists()
    option = "--resume" if whole else "--overwrite"
    return {name: [*command, option] for name, command in step.commands.items()}


def _tails(commands: dict[Path, Command], ended: Ended) -> list[str]:
    """The last lines of each command that did not end well."""
    lines: list[str] = []
    for (log, _), code in zip(commands.items(), ended.codes, strict=False):
        if code != 0 and log.exists():
            text = log.read_text(errors="replace").splitlines()
            lines += [f"{log.name}: exit code {code}", *text[-TAIL:]]
    return lines

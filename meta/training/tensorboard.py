"""TensorBoard event files, written synchronously.

torch's `SummaryWriter` writes from a thread, where a full disk ends in a traceback;
here it is an OSError of the call that wrote.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import (  # pyright: ignore[reportMissingTypeStubs]
    event_pb2,
    summary_pb2,
)
from tensorboard.summary.writer.record_writer import (  # pyright: ignore[reportMissingTypeStubs]
    RecordWriter,
)

# generated code without types
_event: Any = event_pb2
_summary: Any = summary_pb2
_PREFIX = "events.out.tfevents"


class EventFile:
    """One event file of a run.

    Args:
        folder: where it is made.
        first_step: TensorBoard drops what earlier files hold of this step and later:
            a killed run wrote past the checkpoint it is continued from.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        # TensorBoard reads files by name: a clock set back must not put this one first
        earlier = [p.name.split(".")[3] for p in folder.glob(f"{_PREFIX}.*")]
        stamps = [int(s) + 1 for s in earlier if s.isdecimal()]
        stamp = max(time.time_ns(), *stamps, 0)
        name = f"{_PREFIX}.{stamp:020d}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records: Any = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        start = _event.SessionLog(status=_event.SessionLog.START)
        self._write(step=first_step, session_log=start)

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write one step's numbers."""
        values = [
            _summary.Summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars.items()
        ]
        self._write(step=step, summary=_summary.Summary(value=values))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **content: object) -> None:
        event = _event.Event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())
        self._file.flush()

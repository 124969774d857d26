"""The command `pliant replay`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro import conf

from pliant.cli.options import check_can_be_written
from pliant.cli.parsing import File, Name
from pliant.cli.progress import progress_bar

MOST = 1000
"""Most that a replay is slowed down."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Watch a recording in a window, or turn it into a video or a picture.

    The window shows one episode after the other, again and again, until it is closed;
    a video and a picture show them side by side, and need no display.

    Example: pliant replay blow.npz --mp4 blow.mp4 --slow 4
    """

    recording: Annotated[Path, conf.arg(metavar="FILE")]
    """A file that `pliant record` wrote."""
    mp4: File = None
    """Write a video to this file instead of opening a window."""
    png: File = None
    """Write a picture of a few moments to this file instead of opening a window."""
    family: Name = None
    """The family, if it is one of yours: module:Class."""
    slow: float = 1.0
    """Show the episodes this many times slower than real time."""

    def run(self) -> int:
        """Replay."""
        from meta.recording.recorded import load_recording
        from meta.recording.replay import verify
        from meta.recording.trajectory import Recording
        from pliant.views.recording_sheet import returns
        from pliant.views.video import write_strip, write_video
        from pliant.views.viewer import show

        check_can_be_written(self.mp4, ".mp4")
        check_can_be_written(self.png, ".png")
        if not 0 < self.slow <= MOST:
            raise ValueError(
                f"--slow must be greater than 0, got {self.slow}; at most {MOST}"
            )
        if self.recording.is_dir():
            raise ValueError(
                f"{self.recording} is a folder: name a recording, such as "
                "FOLDER/episodes/000012.npz of a life"
            )
        recording = load_recording(self.recording, family=self.family)
        simulated = isinstance(recording, Recording)
        if simulated:
            self._check_named(recording.family)
        if not (simulated or self.mp4 or self.png):
            raise ValueError(
                f"a recording of {recording.family} has no window, for it holds "
                "pictures and no states: give --mp4 or --png"
            )
        if simulated and (difference := verify(recording)):
            print(f"replayed states differ by up to {difference:.1e}: other machine?")
        if self.png:
            write_strip(recording, self.png)
            print(f"wrote {self.png}: return {returns(recording)}")
        if self.mp4:
            with progress_bar("drawing") as progress:
                write_video(recording, self.mp4, slow=self.slow, progress=progress)
            print(f"wrote {self.mp4}: return {returns(recording)}")
        if simulated and not (self.mp4 or self.png):
            show(recording, slow=self.slow)
        return 0

    def _check_named(self, family: str) -> None:
        """Refuse a family of the user's own that was not named, by the file."""
        from tasks.named import check_named
        from tasks.registry import FAMILIES

        given = [self.family] if self.family else []
        try:
            check_named("family", family, given, FAMILIES)
        except ValueError as error:
            raise ValueError(f"{self.recording}: {error}") from error

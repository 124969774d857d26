"""The display of a training run, and its stopping by a person."""

import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType

import rich.progress
from rich.console import Console, RenderableType
from rich.text import Text

from meta.learner import Metrics
from meta.training.config import TrainCfg

MANY_FAULTS = 0.01
"""Share of the episodes that may end in a fault before people are cautioned."""


class _Bar(rich.progress.Progress):
    """A bar with its numbers below it: side by side, 80 columns would cut both."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar, and the numbers."""
        yield from super().get_renderables()
        for task in self.tasks:
            yield Text(f"  {task.fields['text']}")


class Progress:
    """A bar with time left, returns before and after adapting, success and speed.

    Where there is no terminal, one line at every milestone instead.

    Args:
        cfg: what is trained.
        done: iterations that are done already.
        console: where to draw; standard error by default.
    """

    def __init__(
        self, cfg: TrainCfg, done: int, console: Console | None = None
    ) -> None:
        self._console = console or Console(stderr=True)
        self._iterations = cfg.iterations
        self._each = cfg.worlds * cfg.phases
        self._faults, self._episodes = 0.0, 0
        self._bar = _Bar(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=20),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            console=self._console,
            # iterations of some families take longer than the default of 30 s
            speed_estimate_period=600,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(
            f"{cfg.family} {cfg.method}", total=cfg.iterations, completed=done, text=""
        )

    def __enter__(self) -> "Progress":
        """Start drawing."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing, and caution of many faults; the last state stays."""
        self._bar.stop()
        if self._faults > MANY_FAULTS * self._episodes:
            self.say(
                f"CAUTION: of {self._episodes:,} episodes a fault ended "
                f"{self._faults:,.0f}, and a step that faults earns nothing"
            )

    def show(
        self, iteration: int, metrics: Metrics, rate: float, *, milestone: bool
    ) -> None:
        """Show an iteration's numbers; `rate` is in env steps per second."""
        if not self._episodes and metrics["faults"] > self._each / 2:
            self.say(
                f"CAUTION: of {self._each:,} episodes of iteration {iteration} a fault "
                f"ended {metrics['faults']:,.0f}, and little is learned from them: "
                "stop, and look for numbers that are not finite or absurd, or warnings "
                "of MuJoCo"
            )
        self._faults += metrics["faults"]
        self._episodes += self._each
        text = (
            f"return {metrics['return_pre']:.2f} -> {metrics['return_post']:.2f}  "
            f"success {metrics['success_pre']:.2f} -> {metrics['success_post']:.2f}  "
            f"{rate:,.0f} env steps/s"
        )
        if self._console.is_terminal:
            self._bar.update(self._task, completed=iteration, text=text)
        elif milestone or iteration == self._iterations:
            self.say(f"{iteration}/{self._iterations}  {text}")

    def say(self, line: str) -> None:
        """Print a line, above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class Stop:
    """Make, within, a first SIGINT or SIGTERM ask to stop, and a second one interrupt.

    Signals are left alone outside the main thread, where Python cannot receive them.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.signal: int | None = None
        self._say = say

    def __enter__(self) -> "Stop":
        """Install the handlers."""
        main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if main else ()
        self._before = {s: signal.signal(s, self._handle) for s in signals}
        return self

    def __exit__(self, *_: object) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._say("stopping after this iteration; once more to stop at once")

"""Replay of earlier pieces' tasks, which a simulator can always set up again.

The share of an iteration's tasks that is drawn from earlier pieces takes the place of
as many of the piece under way, so that an iteration has no more env steps than without.
"""

from meta.continual.training.memory import Memory, Moment


class Replay(Memory):
    """Keeps what the pieces are; `hold` is the share of tasks from earlier ones."""

    title = "replay of tasks"
    default = 0.25
    most = 1.0

    def draw(self, moment: Moment, count: int) -> list[int]:
        """Return earlier pieces in turn, and then the one under way."""
        old = round(self.hold * count) if moment.piece else 0
        first = moment.iteration * old
        replayed = [(first + i) % moment.piece for i in range(old)]
        return replayed + [moment.piece] * (count - old)

"""Settings of an agent, and all that it hears and says of an episode."""

from dataclasses import dataclass
from typing import NamedTuple

from meta.bounds import check_bounds

RECALLS = ("similar", "none", "recent", "random", "truth")
"""Entries that an agent recalls: the nearest, if it is near; none; the last one that it
kept but for the task just left; any but that one; or the one that a `Guide` names, who
knows the hidden parameters."""
NOTICES = ("none", "change", "task")
"""Told of no change; told that there is one; and told its task by name, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Settings of an agent."""

    recall: str = "similar"
    """One of `RECALLS`."""
    notice: str = "none"
    """One of `NOTICES`."""
    look: int = 0
    """Exploring episodes before it looks anything up; 0: it looks at once, by the
    episode in which it noticed the change."""
    explore: int = 1
    """Exploring episodes with a task that it does not know."""
    acted: bool = False
    """Adapt to acted episodes, too, and not only to those in which it explored."""
    mistaken: bool = False
    """Adapt to the episode in which it noticed the change, too."""
    alert: bool = True
    """False: it never suspects a change, and its belief is of its last episodes."""
    endless: bool = False
    """Fine-tuning without end: each episode adapts it on from where it is, and nothing
    is ever forgotten on purpose or recalled. One that takes gradient steps samples all
    its actions, for it learns from no others."""
    kept: int = 10
    """Episodes that are kept of a task, and of a segment: the latest that are adapted
    to, and then the latest others."""
    most: int = 1000
    """Tasks that are kept."""
    sure: float = 0.7
    """Probability from which on an earlier task counts as the one at hand; before it
    has explored, from which on what was worked out about that one serves here, too."""
    tries: int = 1
    """First acted episodes in which an alarm counts against what was guessed, and not
    as a change."""

    def __post_init__(self) -> None:
        """Refuse what no agent can do."""
        if self.recall not in RECALLS or self.notice not in NOTICES:
            raise ValueError(
                f"recall is one of {', '.join(RECALLS)} and notice one of "
                f"{', '.join(NOTICES)}, got {self.recall!r} and {self.notice!r}"
            )
        check_bounds(
            self,
            *("kept >= 1", "most >= 1", "explore >= 0", f"0 <= look <= {self.explore}"),
            *("0 <= sure <= 1", "tries >= 0"),
        )
        if not self.alert and (self.recall != "none" or self.notice != "none"):
            raise ValueError("an agent that expects no change recalls nothing")
        if self.endless and self.alert:
            raise ValueError("an agent that adapts without end expects no change")


class Told(NamedTuple):
    """Words of the world about an episode, beside the episode itself."""

    name: str
    """Name of the task, which notes in the library carry; an agent whose notice is not
    `task` looks at no name before it has kept it."""
    changed: bool
    """True in the first episode of a visit."""


class Noticed(NamedTuple):
    """All that an agent made of an episode."""

    evidence: float
    """Cumulative sum for a change; NaN after an exploring episode."""
    alarm: bool
    """True if it takes the task for another one than before."""
    gave_up: bool
    """True if it takes the task for another one than it guessed after a change."""
    recalled: str
    """Name of the task that it has just recalled; empty: it did not."""
    distance: float
    """To the nearest entry when it looked; NaN where it did not."""
    nearest: tuple[str, ...]
    """Names of the nearest tasks, three at most, when it looked."""
    entries: int
    """Number of tasks in its library."""


NOTHING = Noticed(
    evidence=float("nan"),
    alarm=False,
    gave_up=False,
    recalled="",
    distance=float("nan"),
    nearest=(),
    entries=0,
)
"""All that an agent made of an episode in which it looked at nothing."""

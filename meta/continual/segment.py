"""Segments: what an agent has lived since the last change that it noticed."""

from dataclasses import dataclass, field
from typing import NamedTuple

from meta.experience.rollout import Experience
from meta.library.library import Entry


class Part(NamedTuple):
    """One episode of a segment."""

    episode: Experience
    name: str
    explored: bool
    tells: bool
    """True if the belief is an adaptation to it."""


@dataclass(slots=True)
class Segment:
    """The episodes since the last change that was noticed."""

    parts: list[Part] = field(default_factory=list[Part])
    recalled: Entry | None = None
    guessed: bool = False
    """True if its belief was of an earlier task, or of episodes acted by mistake."""
    tries: int = 0
    """Episodes acted by what was guessed."""

    @property
    def explored(self) -> bool:
        """True if an episode of it was an exploring one."""
        return any(part.explored for part in self.parts)

    @property
    def telling(self) -> list[Experience]:
        """The episodes that the belief is an adaptation to."""
        return [part.episode for part in self.parts if part.tells]

    @property
    def name(self) -> str:
        """The name of most episodes."""
        names = [part.name for part in self.parts]
        return max(names, key=names.count)

    def drop(self) -> None:
        """Forget the oldest episode that does not tell, else the oldest."""
        told = [part.tells for part in self.parts[:-1]]
        del self.parts[told.index(False) if False in told else 0]

    def cut(self, last: int) -> list[Part]:
        """Drop the last so many episodes, and return them."""
        at = max(0, len(self.parts) - last)
        self.parts, late = self.parts[:at], self.parts[at:]
        return late

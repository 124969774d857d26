"""Segments: what an agent has lived since the last change that it noticed."""

from dataclasses import dataclass, field

from meta.experience.rollout import Experience
from meta.library.library import Entry


@dataclass(slots=True)
class Segment:
    """The episodes since the last change that was noticed."""

    episodes: list[Experience] = field(default_factory=list[Experience])
    explored: list[bool] = field(default_factory=list[bool])
    names: list[str] = field(default_factory=list[str])
    recalled: Entry | None = None
    tries: int = 0
    """Episodes acted by what was recalled."""

    @property
    def oldest(self) -> int:
        """Place of the oldest acted episode, else of the oldest; never the last."""
        earlier = self.explored[:-1]
        return earlier.index(False) if False in earlier else 0

    def add(self, episode: Experience, name: str, *, explored: bool) -> None:
        """Append an episode."""
        self.episodes.append(episode)
        self.names.append(name)
        self.explored.append(explored)

    def drop(self, place: int) -> None:
        """Forget an episode."""
        del self.episodes[place], self.names[place], self.explored[place]

    def cut(self, last: int) -> Experience:
        """Drop the last so many episodes, and return the very last."""
        final, at = self.episodes[-1], max(0, len(self.episodes) - last)
        self.episodes, self.explored = self.episodes[:at], self.explored[:at]
        self.names = self.names[:at]
        return final

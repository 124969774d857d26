"""An agent that lives a stream of tasks, notices changes, and remembers.

It has a meta-trained policy, which stays as it is, and works one episode at a time. In
an episode it explores, or acts by its *belief*: the policy's adaptation to the episodes
of the *segment* that tell of the task, and to those of the earlier task that it
recalled. The segment began with the last change that it noticed. After an episode that
it acted in, its senses say whether the task is still the same. If not, the segment is
kept in the library without the episodes since the evidence arose, and a new one begins,
with those or with none. It looks up whether it has been here before, or somewhere of
which the belief would serve, explores for as long as its habits say where it does not
know, and acts by what it found out itself.

What it believes of a task so soon is a guess: an alarm in the first episode that was
acted by it counts against the guess, and not as another change.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from meta.continual.habits import NOTHING, Habits, Noticed, Told
from meta.continual.segment import Part, Segment
from meta.continual.senses import Senses, remembers
from meta.experience.rollout import Experience, some_episodes
from meta.library.embedding import joined
from meta.library.library import Entry, Library
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained

Guide = Callable[[Sequence[str], str], int | None]
"""Returns which of some earlier tasks, by name, to take another one for, if any."""


class Looked(NamedTuple):
    """An agent's look into its library."""

    entry: Entry | None = None
    """The entry to recall; none to go on alone."""
    distance: float = float("nan")
    nearest: tuple[str, ...] = ()


class Agent:
    """One life.

    Args:
        policy: the policy.
        senses: fitted to it.
        habits: settings.
        seed: decides what chance does, for `recall="random"` alone.
        guide: names the entry for `recall="truth"`.
    """

    def __init__(
        self,
        policy: Trained,
        senses: Senses,
        habits: Habits,
        *,
        seed: int = 0,
        guide: Guide | None = None,
    ) -> None:
        if (guide is None) == (habits.recall == "truth"):
            raise ValueError("a guide is for recall='truth', which needs one")
        self.policy = policy
        self.senses = senses
        self.habits = habits
        self.library = Library.of(policy, senses.embedding, most=habits.most)
        self.segment = Segment()
        self.remembers = remembers(policy) and habits.acted
        self.learns = remembers(policy) and habits.mistaken
        self.adaptation = policy.begin(1).adaptation
        self.exploring = max(habits.explore, int(habits.alert))
        """Exploring episodes that are left to it."""
        self._guide = guide
        self._rng = derived_generator(seed)
        self._sum, self._since = 0.0, 0
        self._mistaken: Experience | None = None
        """The episode in which the last change was noticed."""
        self._left: Entry | None = None
        """The entry of the task before this one, if there is one."""
        self._looks = False
        """True while it wants to know whether it has been here before."""

    @property
    def explores(self) -> bool:
        """True if the next episode is an exploring one."""
        samples = self.habits.endless and not remembers(self.policy)
        return samples or self.exploring > 0

    @property
    def start(self) -> Params:
        """Adaptation that it explores by."""
        return (
            self.adaptation if self.habits.endless else self.policy.begin(1).adaptation
        )

    def live(self, episode: Experience, told: Told) -> Noticed:
        """Take in an episode that it has just lived.

        Args:
            episode: experience of one task and one episode.
            told: what else is known of it.
        """
        if self.habits.endless:
            return self._go_on(episode)
        explored = self.explores
        alarm = self._suspects(episode, told, explored=explored)
        new = self._since + 1
        self._append(episode, told.name, explored=explored)
        evidence = float("nan") if explored else self._sum
        if explored:
            self.exploring -= 1
        gives_up = alarm and self._doubts
        if gives_up:
            self._give_up()
        elif alarm:
            self._turn(new)
        looked = self._look(told, explored=explored or alarm)
        if explored or alarm or looked.entry or self.remembers:
            self._believe()
        return Noticed(
            evidence=evidence,
            alarm=alarm and not gives_up,
            gave_up=gives_up,
            recalled=looked.entry.note if looked.entry else "",
            distance=looked.distance,
            nearest=looked.nearest,
            entries=len(self.library),
        )

    def _go_on(self, episode: Experience) -> Noticed:
        """Adapt on, and make nothing else of an episode."""
        so_far = self.policy.begin(1)._replace(adaptation=self.adaptation)
        self.adaptation = so_far.after(episode).adaptation
        self.exploring = max(0, self.exploring - 1)
        return NOTHING

    @property
    def _doubts(self) -> bool:
        """True if an alarm counts against what was guessed."""
        soon = self.segment.tries <= self.habits.tries
        return self.segment.guessed and soon and self.habits.notice == "none"

    def _suspects(self, episode: Experience, told: Told, *, explored: bool) -> bool:
        """Tell whether the task has changed, and since how many episodes."""
        if self.habits.notice != "none":
            self._since = 0
            return told.changed and bool(self.segment.parts)
        if explored or not self.habits.alert:
            self._since = 0
            return False
        found = float(self.senses.read(self.policy, self.adaptation, episode))
        self._since = self._since + 1 if self._sum > 0 else 0
        self._sum = max(0.0, self._sum + found)
        return self._sum > self.senses.alarm

    def _append(self, episode: Experience, name: str, *, explored: bool) -> None:
        segment = self.segment
        segment.parts.append(
            Part(episode, name, explored, tells=explored or self.remembers)
        )
        if len(segment.parts) > self.habits.kept:
            segment.drop()
        segment.tries += segment.guessed and not explored

    def _turn(self, new: int) -> None:
        """Keep the segment without its last episodes, and begin a new one."""
        self._sum, self._since = 0.0, 0
        segment = self.segment
        late = segment.cut(new)
        self._mistaken = late[-1].episode
        self.segment = Segment()
        if self.learns:
            self.segment.parts = [part._replace(tells=True) for part in late]
            self.segment.guessed = True
        self._left = self.keep(segment)
        self.exploring = self.habits.explore
        self._looks = self.habits.recall != "none"

    def _give_up(self) -> None:
        """Drop what was guessed, and explore if it has not yet."""
        self._sum, self._since = 0.0, 0
        self.segment.recalled = None
        if self.learns:
            self.segment.parts[-1] = self.segment.parts[-1]._replace(tells=True)
        if not self.segment.explored:
            self.exploring = self.habits.explore

    def _look(self, told: Told, *, explored: bool) -> Looked:
        """Recall an earlier task, once there is enough to know it by."""
        named = self.habits.notice == "task"
        waits = self.habits.explore - self.exploring < self.habits.look
        ready = explored and self._looks and (named or not waits)
        if not (ready and len(self.library)):
            return Looked()
        looked = self._choose(told)
        self._looks = self.exploring > 0
        if looked.entry:
            self.segment.recalled, self.segment.tries = looked.entry, 0
            self.segment.guessed = True
            self.exploring, self._looks = 0, False
        return looked

    def _choose(self, told: Told) -> Looked:
        """Return the entry that its habits recall."""
        entries = self.library.entries
        notes = [entry.note for entry in entries]
        if self.habits.notice == "task":
            known = told.name in notes
            return Looked(entries[notes.index(told.name)] if known else None)
        if self.habits.recall in ("recent", "random"):
            others = [entry for entry in entries if entry is not self._left]
            if not others:
                return Looked()
            drawn = torch.randint(len(others), (), generator=self._rng)
            return Looked(others[-1 if self.habits.recall == "recent" else int(drawn)])
        if self._guide:
            found = self._guide(notes, told.name)
            return Looked(None if found is None else entries[found])
        own = self._evidence()
        if own is not None and self.segment.explored:
            return self._recognise(own, "explored")
        if self._mistaken is None:
            return Looked()
        return self._recognise(self._mistaken, "mistaken")

    def _recognise(self, own: Experience, query: str) -> Looked:
        """Look for the entry that some episodes are probably about.

        By an episode acted by mistake, look for one that probably serves.
        """
        adapted = self.policy.begin(1).after(own).adaptation
        place = self.senses.place(self.policy, adapted)
        found = self.library.nearest(place, len(self.library))
        near = [self.library.entries[int(i)] for i in found.entry[0]]
        if query == "mistaken":
            points = self.library.points[found.entry[0]]
            probable = self.senses.serve(place[0], points)
        else:
            probable = self.senses.recognise(found.distance[0], query)
        best = int(probable.argmax())
        known = float(probable[best]) >= self.habits.sure
        names = tuple(entry.note for entry in near[:3])
        return Looked(near[best] if known else None, float(found.distance[0, 0]), names)

    def _evidence(self) -> Experience | None:
        """Return the segment's episodes that its policy adapts to."""
        used = self.segment.telling
        return joined(used, axis=1) if used else None

    def _believe(self) -> None:
        """Adapt to the segment, and to what was recalled."""
        own, recalled = self._evidence(), self.segment.recalled
        parts = [] if recalled is None else [recalled.experience]
        parts += [] if own is None else [own]
        start = self.policy.begin(1)
        self.adaptation = (
            start.after(joined(parts, axis=1)) if parts else start
        ).adaptation

    def keep(self, segment: Segment) -> Entry | None:
        """Put a segment into the library, in the place of what it is the same as.

        Returns:
            Its entry, or what it had recalled where nothing of it is worth keeping.
        """
        used = segment.telling
        if not self.habits.alert or not used:
            return segment.recalled
        own = joined(used, axis=1)
        same = segment.recalled if self.habits.notice == "task" else None
        if same is None and self.habits.recall != "none" and len(self.library):
            same = self._recognise(own, "whole").entry
        if same is not None and any(same is e for e in self.library.entries):
            own = joined([same.experience, own], axis=1)
            self.library.forget(same)
        own = some_episodes(own, slice(-self.habits.kept, None))
        adapted = self.policy.begin(1).after(own).adaptation
        place = self.senses.place(self.policy, adapted)
        # the name is for those who look on
        self.library.add(place, adapted, own, [segment.name])
        return self.library.entries[-1]

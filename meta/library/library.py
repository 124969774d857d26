"""The library: entries of earlier tasks, searched by their points, within a budget.

The search is exact, over all entries, by `torch.cdist`: with ten thousand entries of
eight components that is quicker than an episode by far, and needs no package that
Pliant does not need anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meta.experience.rollout import Experience, mapped
from meta.library.embedding import Embedding, check_embeddable, joined
from meta.theta import Params
from meta.training.trained import Trained

MOST = 10_000
"""Entries that a library keeps unless it is told otherwise."""


class Entry(NamedTuple):
    """All that is kept of one task."""

    point: Float[Tensor, "dim"]
    """Its embedding."""
    adaptation: Params
    """Each tensor leads with one task."""
    experience: Experience
    """The episodes with it; leads with one task."""
    note: str
    """Anything that a person wants to know it by; no search reads it."""


class Found(NamedTuple):
    """The nearest entries of some queries, nearest first."""

    entry: Int[Tensor, "query k"]
    """Their places in the library."""
    distance: Float[Tensor, "query k"]


@dataclass(slots=True, kw_only=True)
class Library:
    """Earlier tasks of one policy.

    Beyond `most` entries, the one whose nearest neighbour is closest goes; of such a
    pair the older. So near-duplicates merge into the latest, and rare tasks stay.
    """

    embedding: Embedding
    policy: str
    """Place that the policy was loaded from."""
    checksum: str
    """Checksum of the policy, without which an adaptation means nothing."""
    most: int = MOST
    entries: list[Entry] = field(default_factory=list[Entry], repr=False)
    _points: Tensor = field(init=False, repr=False)
    _near: Tensor = field(init=False, repr=False)
    _who: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the entries, and refuse a budget of none."""
        if type(self.most) is not int or self.most < 1:
            raise ValueError(
                f"most is a whole number of entries, at least 1, got most={self.most}"
            )
        self._points = torch.zeros(0, self.embedding.dim)
        self._near, self._who = torch.zeros(0), torch.zeros(0, dtype=torch.long)
        given, self.entries = self.entries, []
        for entry in given:
            self._insert(entry)

    @classmethod
    def of(
        cls, policy: Trained, embedding: Embedding, *, most: int = MOST
    ) -> "Library":
        """Return an empty library of a policy's tasks.

        Raises:
            ValueError: for a policy that does not adapt, or to one episode at a time.
        """
        check_embeddable(policy)
        return cls(
            embedding=embedding,
            policy=policy.source,
            checksum=policy.checksum,
            most=most,
        )

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.entries)

    @property
    def points(self) -> Float[Tensor, "entry dim"]:
        """The embeddings of all entries."""
        return self._points

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept of tasks."""
        return sum(t.nbytes for entry in self.entries for t in _tensors(entry))

    def check(self, policy: Trained) -> None:
        """Raise ValueError for another policy than the one whose tasks these are."""
        if policy.checksum != self.checksum:
            raise ValueError(
                f"the library holds adaptations of {self.policy} (checksum "
                f"{self.checksum[:12]}), which {policy.source} (checksum "
                f"{policy.checksum[:12]}) cannot act with"
            )

    def add(
        self,
        points: Float[Tensor, "task dim"],
        adaptation: Params,
        experience: Experience,
        notes: Sequence[str] = (),
    ) -> None:
        """Keep some tasks, one after another.

        Args:
            points: their embeddings.
            adaptation: what was worked out about them; each tensor leads with tasks.
            experience: the episodes that it was worked out from.
            notes: one for each task, or none.

        Raises:
            ValueError: unless all are of equally many tasks, and the points are finite
                and of the embedding's width.
        """
        tasks = len(points)
        counts = [len(v) for v in adaptation.values()] + [len(experience.valid)]
        counts += [len(notes)] if notes else []
        if set(counts) != {tasks} or points.shape[1:] != (self.embedding.dim,):
            raise ValueError(
                f"need points (tasks, {self.embedding.dim}) and as many adaptations, "
                f"experiences and notes; got points {tuple(points.shape)} and "
                f"{', '.join(map(str, counts))} of the others"
            )
        if not torch.isfinite(points).all():
            raise ValueError("a point that is not finite is near to nothing")
        for i in range(tasks):
            own = {k: v[i : i + 1].detach().clone() for k, v in adaptation.items()}
            lived = one_task(experience, i)
            note = notes[i] if notes else ""
            self._insert(Entry(points[i].detach().clone(), own, lived, note))

    def nearest(self, points: Float[Tensor, "query dim"], k: int = 1) -> Found:
        """Return the k nearest entries of each query, by Euclidean distance.

        Args:
            points: embeddings of the queries.
            k: number of entries; all of them if there are fewer.

        Raises:
            ValueError: for k below 1, an empty library, or points of another width.
        """
        if k < 1 or not self.entries or points.shape[1:] != (self.embedding.dim,):
            raise ValueError(
                f"need k >= 1, an entry, and points of {self.embedding.dim} components;"
                f" got k={k}, {len(self)} entries and points {tuple(points.shape)}"
            )
        distance = _distances(points, self._points)
        found = distance.topk(min(k, len(self)), dim=1, largest=False)
        return Found(entry=found.indices, distance=found.values)

    def adaptation(self, index: Int[Tensor, "task"]) -> Params:
        """Return the adaptations of some entries, each tensor leading with them."""
        chosen = [self.entries[i].adaptation for i in index.tolist()]
        return {k: torch.cat([a[k] for a in chosen]) for k in chosen[0]}

    def experience(self, index: Int[Tensor, "task"]) -> Experience:
        """Return the experience of some entries.

        Where one has fewer episodes than another, episodes without a valid step follow.
        """
        chosen = [self.entries[i].experience for i in index.tolist()]
        longest = max(e.valid.shape[1] for e in chosen)
        return joined([_padded(e, longest) for e in chosen], axis=0)

    def forget(self, entry: Entry) -> None:
        """Remove an entry.

        Raises:
            ValueError: if it is not there.
        """
        for i, other in enumerate(self.entries):
            if other is entry:
                self._drop(i)
                return
        raise ValueError(f"the library has no such entry as {entry.note!r}")

    def _insert(self, entry: Entry) -> None:
        """Append an entry, and drop the most redundant one if there are too many."""
        count = len(self)
        self.entries.append(entry)
        away = _distances(entry.point[None], self._points)[0]
        closer = away < self._near
        self._near = torch.where(closer, away, self._near)
        self._who = torch.where(closer, count, self._who)
        near, who = away.min(0) if count else (torch.tensor(torch.inf), torch.tensor(0))
        self._points = torch.cat([self._points, entry.point[None]])
        self._near = torch.cat([self._near, near[None]])
        self._who = torch.cat([self._who, who[None]])
        if len(self) > self.most:
            self._drop(int(self._near.argmin()))

    def _drop(self, index: int) -> None:
        """Remove an entry; those that it was nearest to find another neighbour."""
        del self.entries[index]
        keep = torch.arange(len(self._near)) != index
        orphans = (self._who == index)[keep]
        self._points, self._near = self._points[keep], self._near[keep]
        self._who = self._who[keep]
        self._who -= (self._who > index).long()
        rows = orphans.nonzero()[:, 0]
        if not len(rows):
            return
        distance = _distances(self._points[rows], self._points)
        distance[torch.arange(len(rows)), rows] = torch.inf
        self._near[rows], self._who[rows] = distance.min(1)


def one_task(e: Experience, i: int) -> Experience:
    """Return the experience of one task, the episodes that count, as a copy."""
    counted = e.valid[i].any(-1)
    counted[0] = True  # one at least
    own = mapped(e, lambda x: x[i : i + 1][:, counted].clone())
    return own._replace(lived=None)


def _tensors(entry: Entry) -> list[Tensor]:
    e = entry.experience
    kept = [v for k, v in e._asdict().items() if k != "old" and v is not None]
    return [entry.point, *entry.adaptation.values(), *kept, *e.old]


def _padded(e: Experience, episodes: int) -> Experience:
    """Return experience with so many episodes: the first again, of no valid step."""
    lacking = episodes - e.valid.shape[1]
    if not lacking:
        return e
    index = torch.zeros(lacking, dtype=torch.long)
    blank = mapped(e._replace(lived=None), lambda x: x[:, index])
    blank = blank._replace(valid=torch.zeros_like(blank.valid))
    return joined([e, blank], axis=1)


def _distances(
    a: Float[Tensor, "query dim"], b: Float[Tensor, "entry dim"]
) -> Float[Tensor, "query entry"]:
    # by differences: by products, points that are nearly the same are not
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

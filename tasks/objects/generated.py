"""Generated solids by name, each made when it is first asked for.

Families name many of them, and one takes some hundredths of a second to make, which a
command that needs none must not wait for.
"""

from collections.abc import Iterator, Mapping

from tasks.objects.generator import make_solid
from tasks.objects.solids import Solid, traits


class Generated(Mapping[str, Solid]):
    """The first solids of several kinds.

    Args:
        counts: number of solids of each kind.
        flat: as for `make_solid`.
    """

    def __init__(self, counts: Mapping[str, int], *, flat: bool) -> None:
        self._flat = flat
        self._keys = {
            f"{kind}-{seed}": (kind, seed)
            for kind, count in counts.items()
            for seed in range(count)
        }
        self._made: dict[str, Solid] = {}

    def __getitem__(self, name: str) -> Solid:
        """Return the solid of a name; KeyError if there is none."""
        if name not in self._made:
            self._made[name] = make_solid(*self._keys[name], flat=self._flat)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names; nothing is made."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return the number of solids."""
        return len(self._keys)


class Traits(Mapping[str, tuple[float, ...]]):
    """The traits of solids by name, worked out when they are first asked for."""

    def __init__(self, *solids: Mapping[str, Solid]) -> None:
        self._from = {name: part for part in solids for name in part}
        self._known: dict[str, tuple[float, ...]] = {}

    def __getitem__(self, name: str) -> tuple[float, ...]:
        """Return the traits of a solid; KeyError if there is none of that name."""
        if name not in self._known:
            self._known[name] = traits(self._from[name][name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names; nothing is worked out."""
        return iter(self._from)

    def __len__(self) -> int:
        """Return the number of solids."""
        return len(self._from)

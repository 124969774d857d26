"""The command `pliant objects`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro import conf

from pliant.cli.names import check_known
from pliant.cli.options import (
    Up,
    check_can_be_written,
    check_object_options,
    own_objects,
)
from pliant.cli.parsing import Files
from pliant.cli.progress import progress_bar

if TYPE_CHECKING:
    from tasks.objects.solids import Solid


MOST = 100
"""Most objects of a kind; a picture of more could not be looked at."""


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Draw the objects that the generator makes, or your own, with their convex parts.

    Your own are drawn as their files show them, too. Below each: its name, size and
    volume, its complexity and its difficulty; at the bottom, where all of them lie on
    the grid of the two.

    Example: pliant objects --kinds mug hull --count 4 --object my.stl --out objects.png
    """

    kinds: Annotated[tuple[str, ...], conf.arg(metavar="KIND...")] = ()
    """Kinds of the generator to draw; all by default, none if --object is given."""
    seed: int = 0
    """Seed of the first object of each kind."""
    count: int = 6
    """Number of objects of each kind."""
    flat: bool = False
    """Draw the flat ones, for pushing on a table, instead of the graspable."""
    object: Files = ()
    """Your own, as for `pliant evaluate`, or folders of them."""
    scale: float = 1.0
    """Metres per unit of your object's file: 0.001 for millimetres."""
    up: Up = "z"
    """Axis of your object's file that points upwards."""
    out: Annotated[Path, conf.arg(metavar="FILE")] = Path("objects.png")
    """The picture."""

    def run(self) -> int:
        """Draw the sheet."""
        from meta.machine.files import write_atomically
        from pliant.views.markdown import count
        from pliant.views.solid_sheet import draw_sheet
        from tasks.objects.generator import KINDS, make_solid

        if not 1 <= self.count <= MOST:
            raise ValueError(
                f"--count must be at least 1, got {self.count}; at most {MOST}"
            )
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"--seed must be >= 0 and of 63 bits, got {self.seed}")
        check_object_options(self.object, self.scale, self.up)
        check_can_be_written(self.out, ".png")
        kinds = self.kinds or (() if self.object else tuple(KINDS))
        for kind in kinds:
            check_known("kind", kind, KINDS, f"kinds: {', '.join(KINDS)}")
        wanted = [
            (kind, seed)
            for kind in kinds
            for seed in range(self.seed, self.seed + self.count)
        ]
        total = len(self.object) + len(wanted) + 1
        with progress_bar("objects") as progress:
            solids: list[Solid] = []
            for i, path in enumerate(self.object):
                progress(i, total)
                if own := own_objects(path, self.scale, self.up):
                    solids += own.all
            for i, (kind, seed) in enumerate(wanted, start=len(self.object)):
                progress(i, total)
                solids.append(make_solid(kind, seed, flat=self.flat))
            progress(total - 1, total)
            write_atomically(self.out, draw_sheet(solids, columns=self.count))
        print(f"wrote {self.out}: {count(len(solids), 'object')}")
        return 0

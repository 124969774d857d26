"""The command `pliant objects`: what solids look like, and how hard they are."""

from dataclasses import dataclass
from pathlib import Path

from pliant.cli.options import check_can_be_written, own_object


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Draw the objects that the generator makes, or your own, with their convex parts.

    Below each: its name, size and volume, its complexity and its difficulty; and last
    where all of them lie on the grid of the two.

    Example: pliant objects --kinds mug hull --count 4 --object my.stl --out objects.png
    """

    kinds: tuple[str, ...] = ()
    """Kinds of the generator to draw; all by default, none if --object is given."""
    seed: int = 0
    """Of the first object of each kind."""
    count: int = 6
    """Objects of each kind."""
    flat: bool = False
    """Draw the flat ones, for pushing on a table, instead of the graspable."""
    object: tuple[Path, ...] = ()
    """Your own: closed meshes in metres (.obj, .stl) or MJCF bodies (.xml)."""
    out: Path = Path("objects.png")
    """The picture."""

    def run(self) -> int:
        """Draw the sheet."""
        from meta.machine.files import write_atomically
        from pliant.views.solid_sheet import draw_sheet
        from tasks.objects.generator import KINDS, make_solid

        if self.out.suffix != ".png":
            raise ValueError(f"--out takes a file name ending in .png, got {self.out}")
        if self.count < 1:
            raise ValueError(f"--count must be at least 1, got {self.count}")
        check_can_be_written(self.out)
        kinds = self.kinds or (() if self.object else tuple(KINDS))
        solids = [solid for path in self.object if (solid := own_object(path))]
        solids += [
            make_solid(kind, seed, flat=self.flat)
            for kind in kinds
            for seed in range(self.seed, self.seed + self.count)
        ]
        write_atomically(self.out, draw_sheet(solids, columns=self.count))
        print(f"wrote {self.out}: {len(solids)} objects")
        return 0

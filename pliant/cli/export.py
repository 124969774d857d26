"""The command `pliant export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro import conf

from pliant.cli.names import check_policy
from pliant.cli.options import Named, check_can_be_written
from pliant.cli.parsing import Policy


@dataclass(frozen=True, kw_only=True)
class Export(Named):
    """Write a trained policy to one small file, to use or to share.

    The file holds no optimiser: the policy in it can be evaluated and recorded, but
    its training cannot be resumed.

    Example: pliant export runs/strike-maml-seed0 strike.safetensors
    """

    policy: Policy
    """A run folder, a .safetensors file or shipped:NAME."""
    out: Annotated[Path, conf.arg(metavar="FILE")]
    """The new file; its name ends in .safetensors."""

    def run(self) -> int:
        """Export."""
        from meta.training.trained import export_policy, load_trained

        check_policy(self.policy)
        check_can_be_written(self.out, ".safetensors")
        self.check_named(load_trained(self.policy, named=self.named))
        export_policy(self.policy, self.out, self.named)
        print(f"wrote {self.out}: {self.out.stat().st_size:,} bytes")
        return 0

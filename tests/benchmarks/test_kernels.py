"""Kernels for a GPU that is not here."""

import pytest

from benchmarks.gpu_session.kernels import Launches
from robots.sim.simulator import Pools
from tasks.registry import make_family


@pytest.mark.slow
def test_what_a_gpu_would_launch_is_found_without_one() -> None:
    pools = Pools(contacts=18, constraints=48)
    model = make_family("cheetah-direction").model
    simulator = Launches(model, worlds=8, substeps=5, pools=pools, device="cpu")
    blocks = {(module.name, size) for module, size in simulator.variants}
    assert ("robots.sim.warp", 256) in blocks
    assert len(blocks) > 50
    # of tiles, which the threads of a GPU's block work on together
    assert any("cholesky" in name and size < 256 for name, size in blocks)

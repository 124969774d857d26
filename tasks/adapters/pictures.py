"""Pictures of worlds, as other libraries ask for them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robots.sim.cpu import CpuSimulator
from robots.sim.render import Renderer
from tasks.contract import Worlds
from tasks.env import Env
from tasks.external import ExternalEnv

MODES = ("rgb_array",)
"""Render modes beside none."""
Picture = NDArray[np.uint8]


class Pictures:
    """Draws worlds: Pliant's own by MuJoCo, external ones by their own `render`.

    Args:
        env: the worlds.
        width: of a picture [pixels]; external worlds choose their own.
        height: of a picture [pixels].
        camera: name of a camera; see `Renderer`.

    Raises:
        ValueError: for worlds that cannot be drawn.
    """

    def __init__(
        self,
        env: Worlds,
        *,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
    ) -> None:
        self.env = env
        self.width, self.height, self.camera = width, height, camera
        self._renderers: dict[int, Renderer] = {}
        if isinstance(env, Env) and not isinstance(env.sim, CpuSimulator):
            raise ValueError(
                f"pictures are drawn of worlds on the cpu, not {env.device}"
            )
        if isinstance(env, ExternalEnv) and not env.renders:
            env.frames()  # says why not

    @property
    def fps(self) -> int:
        """Pictures a second, one a step, that show the worlds in real time."""
        if isinstance(self.env, Env):
            return round(1 / self.env.sim.control_dt)
        envs = self.env.envs if isinstance(self.env, ExternalEnv) else None
        return round(envs.metadata.get("render_fps", 30)) if envs else 30

    def draw(self, worlds: Sequence[int]) -> list[Picture]:
        """Draw some worlds, by index."""
        if isinstance(self.env, ExternalEnv):
            frames = self.env.frames()
            return [frames[w] for w in worlds]
        if not (isinstance(self.env, Env) and isinstance(self.env.sim, CpuSimulator)):
            raise TypeError(f"cannot draw worlds of type {type(self.env).__name__}")
        states = self.env.sim.state()
        return [self._renderer(self.env.sim, w).draw(states[w]) for w in worlds]

    def forget(self, worlds: Sequence[int]) -> None:
        """Take note that worlds have new tasks, and so perhaps other models."""
        for world in worlds:
            renderer = self._renderers.pop(world, None)
            if renderer is not None:
                renderer.close()

    def close(self) -> None:
        """Give the memory back."""
        self.forget(list(self._renderers))

    def _renderer(self, sim: CpuSimulator, world: int) -> Renderer:
        if world not in self._renderers:
            self._renderers[world] = Renderer(
                sim.model_of(world),
                width=self.width,
                height=self.height,
                camera=self.camera,
            )
        return self._renderers[world]


def make_pictures(
    env: Worlds,
    render_mode: str | None,
    *,
    width: int,
    height: int,
    camera: str | None,
) -> Pictures | None:
    """Return what draws worlds in a render mode, if it draws at all.

    Raises:
        ValueError: for an unknown render mode, a size below 1, or worlds that cannot be
            drawn.
    """
    if render_mode not in (None, *MODES):
        raise ValueError(f"render mode is rgb_array or None, got {render_mode!r}")
    if min(width, height) < 1:
        raise ValueError(f"a picture needs 1 x 1 pixels, got {width} x {height}")
    if render_mode is None:
        return None
    return Pictures(env, width=width, height=height, camera=camera)

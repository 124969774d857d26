"""Recordings simulated again, and made visible: a video, pictures, MuJoCo's viewer."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import mujoco
import numpy as np
import torch
from PIL import Image

from meta.recording.trajectory import Recording, world_hash
from meta.training.checkpoint import write_atomically
from pliant.views.recording_sheet import Sheet, captions
from robots.sim.cpu import CpuSimulator
from robots.sim.render import Renderer
from robots.sim.tape import cpu_simulator
from tasks.env import Env
from tasks.family import Family
from tasks.registry import make_family

MAX_DRAWN = 60
"""Moments of an episode that a video draws at most; a picture takes about 0.1 s."""
HOLD = (0.6, 1.8)  # [s] that the first and the last picture stay
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value


def world_of(recording: Recording) -> tuple[Family, CpuSimulator]:
    """Build the world that a recording was made in.

    Raises:
        ValueError: if it is another one than was recorded.
    """
    family = make_family(recording.task.family, object=recording.object)
    env = Env(family, worlds=1, threads=1)
    env.assign([recording.task])
    sim = cpu_simulator(env.sim)
    if world_hash(sim) != recording.model_hash:
        raise ValueError(
            f"the world of this {family.name} task is not the one that was recorded: "
            "the recording was made with another version of Pliant or MuJoCo, or its "
            "task was changed"
        )
    sizes = (sim.state().shape[1], sim.model.nu)
    for e in recording.episodes:
        if (e.states.shape[1], e.controls.shape[1]) != sizes:
            raise ValueError(
                f"a state and a control of {family.name} have {sizes} numbers, the "
                f"recorded ones {(e.states.shape[1], e.controls.shape[1])}"
            )
    return family, sim


def verify(recording: Recording) -> float:
    """Simulate both episodes again, from their first states and under their controls.

    Returns:
        The largest difference to a recorded state: 0 if all are equal bit for bit, as
        they are on the machine that recorded them.

    Raises:
        ValueError: if the world is another one than was recorded.
    """
    _, sim = world_of(recording)
    worst = 0.0
    for episode in recording.episodes:
        sim.set_state(episode.states[:1])
        states = [sim.state()]
        for control in episode.controls:
            sim.step(torch.from_numpy(control[None]))
            states.append(sim.state())
        difference = np.abs(np.concatenate(states) - episode.states).max()
        worst = max(worst, float(difference))
    return worst


def write_video(
    recording: Recording,
    path: Path,
    *,
    width: int = 640,
    slow: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write an mp4: both episodes side by side, the hidden parameters above.

    Args:
        recording: what to show.
        path: the file, replaced if it exists.
        width: of one episode's picture, even [pixels].
        slow: how many times slower than real time.
        progress: called with the share that is done.

    Raises:
        ValueError: for a width or speed that cannot be, or if the recorded world cannot
            be built again.
        OSError: if there is no OpenGL, or the file cannot be written.
    """
    if width < 64 or width % 2 or slow <= 0:
        raise ValueError(
            f"need an even width of at least 64 and slow > 0, got {width} and {slow}"
        )
    family, sim = world_of(recording)
    steps = max(len(e.rewards) for e in recording.episodes)
    every = -(-steps // MAX_DRAWN)
    fps = 1 / (sim.control_dt * every * slow)
    remark = f"{slow:g} times slower" if slow != 1 else ""
    sheet = Sheet(recording, family, dt=sim.control_dt, width=width, remark=remark)

    def pages() -> Iterator[Image.Image]:
        instants = [*range(0, steps, every), steps]
        with Renderer(sim.model_of(0), width=width, height=sheet.height) as renderer:
            renderer.zoom(_all_states(recording))
            for done, instant in enumerate(instants, 1):
                page = sheet.frame(_moment(recording, renderer, instant), instant)
                stay = HOLD[0] if done == 1 else HOLD[1] if instant == steps else 0
                yield from [page] * max(1, round(stay * fps))
                if progress:
                    progress(done / len(instants))

    _encode(path, pages(), fps)


def write_strip(
    recording: Recording, path: Path, *, moments: int = 5, width: int = 320
) -> None:
    """Write a PNG: a few moments of both episodes, one row each.

    Args:
        recording: what to show.
        path: the file, replaced if it exists.
        moments: pictures of each episode, evenly apart in time.
        width: of a picture [pixels].

    Raises:
        ValueError: for too few moments or pixels, or as `write_video`.
        OSError: as `write_video`.
    """
    if moments < 2 or width < 64:
        raise ValueError(
            f"need moments >= 2 and width >= 64, got {moments} and {width}"
        )
    family, sim = world_of(recording)
    steps = max(len(e.rewards) for e in recording.episodes)
    instants = [round(steps * i / (moments - 1)) for i in range(moments)]
    sheet = Sheet(recording, family, dt=sim.control_dt, width=width)
    with Renderer(sim.model_of(0), width=width, height=sheet.height) as renderer:
        renderer.zoom(_all_states(recording))
        drawn = [_moment(recording, renderer, instant) for instant in instants]
    content = io.BytesIO()
    rows = list(zip(*drawn, strict=True))
    sheet.strip(rows, instants).save(content, format="PNG", optimize=True)
    write_atomically(path, content.getvalue())


def show(recording: Recording) -> None:
    """Play both episodes, one after the other, in a window until it is closed.

    Raises:
        ValueError: if there is no display, or as `write_video`.
    """
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(os.environ.get(d) for d in displays):
        raise ValueError(
            "there is no display to open a window on; write a video: --mp4"
        )
    from mujoco import viewer

    _, sim = world_of(recording)
    model = sim.model_of(0)
    data = mujoco.MjData(model)
    opened: Any = viewer.launch_passive(
        model, data, show_left_ui=False, show_right_ui=False
    )
    with opened as window:
        for caption, state, stay in _endlessly(recording, sim.control_dt):
            if not window.is_running():
                return
            due = time.monotonic() + stay
            with window.lock():
                mujoco.mj_setState(model, data, state, _STATE)
                mujoco.mj_forward(model, data)
            window.set_texts((None, None, caption, ""))
            window.sync()
            time.sleep(max(0.0, due - time.monotonic()))


def _endlessly(
    recording: Recording, dt: float
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Caption, state, and the time that it stays [s], over and over."""
    while True:
        for name, e in zip(captions(recording), recording.episodes, strict=True):
            for i, state in enumerate(e.states):
                yield name, state, dt if i < len(e.rewards) else HOLD[1]


def _moment(recording: Recording, renderer: Renderer, instant: int) -> list[np.ndarray]:
    """Both episodes; one that has ended stays as it ended."""
    return [
        renderer.draw(e.states[min(instant, len(e.states) - 1)])
        for e in recording.episodes
    ]


def _all_states(recording: Recording) -> np.ndarray:
    return np.concatenate([e.states for e in recording.episodes])


def _encode(path: Path, pages: Iterator[Image.Image], fps: float) -> None:
    """Write the pages as H.264 that every player takes."""
    partial = path.with_name(f".{path.name}.partial.mp4")
    rate: Any = fps  # any number will do, says ffmpeg
    partial.touch()  # finds out before the drawing whether it can be written
    try:
        first = next(pages)
        writer = imageio_ffmpeg.write_frames(
            str(partial), first.size, fps=rate, macro_block_size=2, quality=8
        )
        writer.send(None)
        try:
            for page in chain([first], pages):
                writer.send(page.tobytes())
        finally:
            writer.close()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""Recordings in MuJoCo's viewer."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from meta.recording.replay import world_of
from meta.recording.trajectory import Recording
from pliant.views.recording_sheet import captions

STAY = 1.8
"""Time that an episode's last state stays [s]."""
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value


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
                yield name, state, dt if i < len(e.rewards) else STAY

"""Recordings in MuJoCo's viewer."""

import math
import os
import sys
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from meta.recording.replay import world_of
from meta.recording.trajectory import Recording
from pliant.views.hidden import hidden_parameters
from pliant.views.recording_sheet import captions
from robots.sim.render import CLOSE, OVERVIEW

STAY = 1.8
"""Time for which an episode's last state stays [s]."""
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value


class Shown(NamedTuple):
    """One state in the window."""

    caption: str
    """Name of the episode."""
    result: str
    """Return so far; at the end also success or not."""
    state: Float[np.ndarray, "state"]
    stay: float
    """Time for which it stays [s]."""


def show(recording: Recording, *, slow: float = 1.0) -> None:
    """Play both episodes, one after the other, in a window until it is closed.

    Args:
        recording: the recording to show.
        slow: factor by which the episodes are slower than real time.

    Raises:
        ValueError: if there is no display, or as `write_video`.
    """
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(os.environ.get(d) for d in displays):
        raise ValueError(
            "there is no display to open a window on; write a video with --mp4, or a "
            "picture with --png"
        )
    from mujoco import viewer

    family, sim = world_of(recording)
    model = sim.model_of(0)
    data = mujoco.MjData(model)
    near = _near(model, data, recording.before.states[0])
    hidden = "\n".join(("hidden:", *hidden_parameters(recording, family)))
    opened: Any = viewer.launch_passive(
        model, data, show_left_ui=False, show_right_ui=False
    )
    with opened as window:
        with window.lock():
            _place(window.cam, near)
        for shown in _endlessly(recording, sim.control_dt * slow):
            if not window.is_running():
                return
            due = time.monotonic() + shown.stay
            with window.lock():
                mujoco.mj_setState(model, data, shown.state, _STATE)
                mujoco.mj_forward(model, data)
            window.set_texts(_texts(shown, hidden))
            window.sync()
            time.sleep(max(0.0, due - time.monotonic()))


def _near(
    model: mujoco.MjModel, data: mujoco.MjData, state: Float[np.ndarray, "state"]
) -> mujoco.MjvCamera:
    """Return a camera that looks as the scene's near one, which videos use, does.

    It is a free one, which the user can turn and move, with the same field of view;
    but where a scene has another camera only, which may follow the robot, it is that.
    """
    eye = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, eye)
    names = [str(model.camera(i).name) for i in range(model.ncam)]
    name = next((n for n in (CLOSE, OVERVIEW) if n in names), None)
    if name is None:
        if names:
            eye.type, eye.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED.value, 0
        return eye
    mujoco.mj_setState(model, data, state, _STATE)
    mujoco.mj_forward(model, data)
    position, axes = data.camera(name).xpos, data.camera(name).xmat.reshape(3, 3)
    x, y, z = forwards = -axes[:, 2]
    # turned about a point on the ground; about the middle, if the camera looks up
    eye.distance = float(-position[2] / z if z < 0 else model.stat.extent)
    eye.lookat[:] = position + eye.distance * forwards
    eye.azimuth = math.degrees(math.atan2(y, x))
    eye.elevation = math.degrees(math.asin(z))
    model.vis.global_.fovy = float(model.cam_fovy[names.index(name)])
    return eye


def _place(eye: mujoco.MjvCamera, like: mujoco.MjvCamera) -> None:
    """Make a window's camera one like another."""
    eye.type, eye.fixedcamid = like.type, like.fixedcamid
    eye.lookat[:] = like.lookat
    eye.distance, eye.azimuth = like.distance, like.azimuth
    eye.elevation = like.elevation


def _texts(shown: Shown, hidden: str) -> list[tuple[int, int, str, str]]:
    """Return the caption above left, and the hidden parameters below it."""
    font = mujoco.mjtFontScale.mjFONTSCALE_150.value
    top, bottom = (
        mujoco.mjtGridPos.mjGRID_TOPLEFT.value,
        mujoco.mjtGridPos.mjGRID_BOTTOMLEFT.value,
    )
    return [
        (font, top, shown.caption, shown.result),
        (font, bottom, hidden, ""),
    ]


def _endlessly(recording: Recording, dt: float) -> Iterator[Shown]:
    """Yield the states of both episodes, over and over.

    Args:
        recording: the recording to show.
        dt: time for which a state stays [s], but for the last.
    """
    while True:
        for name, e in zip(captions(recording), recording.episodes, strict=True):
            so_far = (0.0, *accumulate(e.rewards.tolist()))
            for i, (state, value) in enumerate(zip(e.states, so_far, strict=True)):
                last = i == len(e.rewards)
                outcome = f", {'' if e.success else 'no '}success" if last else ""
                stay = STAY if last else dt
                yield Shown(name, f"return {value:.2f}{outcome}", state, stay)

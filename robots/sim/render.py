"""Pictures of stored states, drawn without a display.

Python's `mujoco.Renderer` is bound to the OpenGL backend that `MUJOCO_GL` named when
mujoco was first imported, and without it to GLFW, which wants a display. Here the
backend is chosen when a renderer is made, so that the order of imports does not matter.
"""

import itertools
import math
import os
import sys
import warnings
from copy import copy
from types import TracebackType
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, UInt8

OVERVIEW = "overview"
"""Name of the camera that a scene should be looked at through."""
CLOSE = "table"
"""Name of a camera close to what is handled, which sees little of the robot."""
MAX_ZOOM = 1.8
"""Greatest magnification of `Renderer.zoom`."""
_MARGIN = 1.15
_CORNERS = np.array(list(itertools.product((-1, 1), repeat=3)))
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value


class Renderer:
    """Draws states of one model. Use it as a context manager, or call `close`.

    Args:
        model: as compiled, or as `CpuSimulator.model_of` returns it; it is not changed.
        width: of a picture [pixels].
        height: of a picture [pixels].
        camera: name of a camera; by default `overview`, else the model's first, else a
            free one that frames the scene.

    Raises:
        ValueError: for a camera that the model does not have, or a size below 1.
        OSError: if OpenGL cannot be had.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        width: int,
        height: int,
        camera: str | None = None,
    ) -> None:
        if min(width, height) < 1:
            raise ValueError(f"a picture needs 1 x 1 pixels, got {width} x {height}")
        self._gl: Any = None
        self._window: Float[np.ndarray, "2 2"] | None = None
        self._camera = _camera(model, camera)
        # a copy, because the model itself says how large the off-screen buffer is
        self._model = copy(model)
        self._model.vis.global_.offwidth = width
        self._model.vis.global_.offheight = height
        quality = self._model.vis.quality
        # beyond, software rendering gets slow and pictures no prettier
        quality.shadowsize = min(quality.shadowsize, 2048)
        quality.offsamples = min(quality.offsamples, 4)
        self._data = mujoco.MjData(self._model)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(self._model, maxgeom=2000)
        self._option = mujoco.MjvOption()
        self._gl, self._context = _contexts(self._model, width, height)
        buffer = mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value
        mujoco.mjr_setBuffer(buffer, self._context)

    def zoom(self, states: Float[np.ndarray, "n size"]) -> None:
        """Cut later pictures down to where things are in any of these states.

        Nothing changes but the part of the picture that is seen; and the camera, if
        `table` sees the robot's hand and all that is no robot. A free camera frames the
        scene already and stays as it is.

        Args:
            states: rows of mjSTATE_INTEGRATION.
        """
        if self._camera.type != mujoco.mjtCamera.mjCAMERA_FIXED.value:
            return
        model, camera = self._model, self._camera
        close = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, CLOSE)
        view = None
        if close >= 0:
            view = self._extent(states, close, _hand_and_objects(model))
        if view and (np.maximum(-view[0], view[1]) < view[2]).all():
            camera.fixedcamid = close
        else:
            everything = np.ones(model.ngeom, np.bool_)
            view = self._extent(states, camera.fixedcamid, everything)
        low, high, whole = view
        share = np.max(_MARGIN * (high - low) / 2 / whole)
        extent = whole * np.clip(share, 1 / MAX_ZOOM, 1.0)
        centre = np.clip((low + high) / 2, extent - whole, whole - extent)
        self._window = np.stack([centre, extent])

    def draw(self, state: Float[np.ndarray, "size"]) -> UInt8[np.ndarray, "y x 3"]:
        """Draw a state.

        Args:
            state: a row of mjSTATE_INTEGRATION, as `CpuSimulator.state` returns it.
        """
        self._gl.make_current()
        self._set(state)
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        if self._window is not None:
            (x, y), (wide, high) = self._window
            for eye in self._scene.camera:
                near = eye.frustum_near
                eye.frustum_center, eye.frustum_width = near * x, near * wide
                eye.frustum_bottom, eye.frustum_top = (
                    near * (y - high),
                    near * (y + high),
                )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._rect, self._context)
        return np.flipud(self._pixels).copy()  # OpenGL's rows go upwards

    def close(self) -> None:
        """Give the OpenGL context back; nothing can be drawn afterwards."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None

    def _set(self, state: Float[np.ndarray, "size"]) -> None:
        mujoco.mj_setState(self._model, self._data, state, _STATE)
        mujoco.mj_forward(self._model, self._data)

    def _extent(
        self,
        states: Float[np.ndarray, "n size"],
        camera: int,
        shown: Bool[np.ndarray, "geom"],
    ) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
        """Return where geoms begin and end, and half the frame, at distance 1."""
        boxes = np.array([self._box(state, camera, shown) for state in states])
        half = math.tan(math.radians(self._model.cam_fovy[camera]) / 2)
        whole = np.array([half * self._rect.width / self._rect.height, half])
        return boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0), whole

    def _box(
        self,
        state: Float[np.ndarray, "size"],
        camera: int,
        shown: Bool[np.ndarray, "geom"],
    ) -> Float[np.ndarray, "2 2"]:
        self._set(state)
        model, data = self._model, self._data
        # planes have no radius
        seen = shown & (model.geom_rbound > 0) & (model.geom_rgba[:, 3] > 0)
        seen &= self._option.geomgroup[model.geom_group] > 0
        axes = data.cam_xmat[camera].reshape(3, 3)  # columns: right, up, backwards
        centre, half = np.split(model.geom_aabb[seen, None], 2, axis=-1)
        corners = centre + half * _CORNERS
        turned = corners @ data.geom_xmat[seen].reshape(-1, 3, 3).mT
        at = (turned + data.geom_xpos[seen, None] - data.cam_xpos[camera]) @ axes
        place = at[..., :2] / np.maximum(-at[..., 2:], 1e-6)
        return np.stack([place.min(axis=(0, 1)), place.max(axis=(0, 1))])

    def __enter__(self) -> "Renderer":
        """The renderer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def _hand_and_objects(model: mujoco.MjModel) -> Bool[np.ndarray, "geom"]:
    """Select the geoms that are not the ground's nor the robot's, but for its end.

    The robot is the tree of bodies that has most joints.
    """
    robot = int(model.tree_dofnum.argmax())
    shown = model.body_treeid != robot
    ends = np.setdiff1d(np.arange(model.nbody), model.body_parentid)
    shown[ends] = True
    body = int(model.tree_bodyadr[robot])
    while body:
        body = int(model.body_parentid[body])
        shown[body] = False
    return shown[model.geom_bodyid]


def _camera(model: mujoco.MjModel, name: str | None) -> mujoco.MjvCamera:
    names = [str(model.camera(i).name) for i in range(model.ncam)]
    if name is not None and name not in names:
        raise ValueError(
            f"unknown camera {name!r}; cameras: {', '.join(names) or 'none'}"
        )
    camera = mujoco.MjvCamera()
    if not names:
        mujoco.mjv_defaultFreeCamera(model, camera)
        return camera
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
    wanted = name or (OVERVIEW if OVERVIEW in names else names[0])
    camera.fixedcamid = names.index(wanted)
    return camera


def _backend() -> str:
    """Return the OpenGL backend that MUJOCO_GL names, or on Linux EGL."""
    return os.environ.get("MUJOCO_GL") or ("egl" if sys.platform == "linux" else "")


def _contexts(
    model: mujoco.MjModel, width: int, height: int
) -> tuple[Any, mujoco.MjrContext]:
    """Return an OpenGL context, made current, and MuJoCo's in it."""
    with warnings.catch_warnings():
        # without a display GLFW warns of every call; what fails then is one line
        warnings.simplefilter("ignore")
        gl = _context(width, height)
        gl.make_current()
        try:
            font = mujoco.mjtFontScale.mjFONTSCALE_100.value
            return gl, mujoco.MjrContext(model, font)
        except mujoco.FatalError as error:
            gl.free()
            raise _no_opengl(error) from error


def _context(width: int, height: int) -> Any:  # noqa: ANN401  (one of three types)
    """Make an OpenGL context with the backend."""
    backend = _backend()
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        elif backend == "osmesa":
            from mujoco.osmesa import GLContext
        else:
            from mujoco.gl_context import GLContext
        return GLContext(width, height)
    # a missing library shows as any of these, depending on which one it is
    except (ImportError, AttributeError, RuntimeError, TypeError, OSError) as error:
        raise _no_opengl(error) from error


def _no_opengl(error: Exception) -> OSError:
    """Return the error for a user, with the cure for the backend at hand."""
    backend = _backend()
    egl = "install EGL (Debian and Ubuntu: apt install libegl1 libgl1)"
    osmesa = "install OSMesa (Debian and Ubuntu: apt install libosmesa6)"
    match backend:
        case "egl":
            cure = f"{egl}, or {osmesa} and set MUJOCO_GL=osmesa"
        case "osmesa":
            cure = f"{osmesa}, or unset MUJOCO_GL to draw with EGL"
        case _:
            cure = "it needs a display; without one, unset MUJOCO_GL to draw with EGL"
    said = " ".join(str(error).split())
    return OSError(f"no OpenGL to draw with (MUJOCO_GL={backend}): {said}; {cure}")

"""Pictures show the state that they are given, without a display."""

import os
import subprocess
import sys
from collections.abc import Iterator

import mujoco
import mujoco.egl
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from robots.sim.cpu import CpuSimulator
from robots.sim.render import MAX_ZOOM, Renderer

WIDTH, HEIGHT = 96, 64
STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value
OVERVIEW = '<camera name="overview" pos="0 -4 0" xyaxes="1 0 0 0 0 1"/>'
ELSEWHERE = '<camera name="other" pos="0 9 0" xyaxes="1 0 0 0 0 -1"/>'


def make_model(cameras: str = OVERVIEW) -> mujoco.MjModel:
    """A red ball that slides along x and z, before a camera that looks along y."""
    return mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <visual><headlight ambient="1 1 1"/></visual>
      <worldbody>
        {cameras}
        <body>
          <joint type="slide" axis="1 0 0"/>
          <joint type="slide" axis="0 0 1"/>
          <geom name="ball" size=".2" rgba="1 0 0 1"/>
        </body>
      </worldbody>
    </mujoco>
    """)


def state_of(model: mujoco.MjModel, x: float, z: float) -> NDArray[np.float64]:
    data = mujoco.MjData(model)
    data.qpos[:] = x, z
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    return state


def red(picture: NDArray[np.uint8]) -> tuple[float, float, int]:
    """Row and column of the red part's middle, and its pixels."""
    values = picture.astype(int)
    rows, columns = np.nonzero(values[..., 0] > 100 + values[..., 1])
    return float(rows.mean()), float(columns.mean()), len(rows)


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    with Renderer(make_model(), width=WIDTH, height=HEIGHT) as opened:
        yield opened


def test_up_is_up_and_right_is_right(renderer: Renderer) -> None:
    model = make_model()
    row, column, pixels = red(renderer.draw(state_of(model, 0.0, 0.0)))
    assert row == pytest.approx((HEIGHT - 1) / 2, abs=1)
    assert column == pytest.approx((WIDTH - 1) / 2, abs=1)
    assert pixels > 50
    assert red(renderer.draw(state_of(model, 0.0, 1.0)))[0] < row - 10
    assert red(renderer.draw(state_of(model, 1.0, 0.0)))[1] > column + 10


def test_a_picture_has_its_size_and_stays_as_it_is(renderer: Renderer) -> None:
    model = make_model()
    first = renderer.draw(state_of(model, 0.0, 0.0))
    kept = first.copy()
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert not np.array_equal(first, renderer.draw(state_of(model, 1.0, 0.0)))
    assert np.array_equal(first, kept)
    assert np.array_equal(first, renderer.draw(state_of(model, 0.0, 0.0)))


def test_larger_than_the_model_allows_for() -> None:
    model = make_model()
    before = model.vis.global_.offwidth, model.vis.quality.shadowsize
    size = before[0] + 16
    with Renderer(model, width=size, height=48) as renderer:
        assert renderer.draw(state_of(model, 0.0, 0.0)).shape == (48, size, 3)
    assert (model.vis.global_.offwidth, model.vis.quality.shadowsize) == before


@pytest.mark.parametrize("cameras", [OVERVIEW, ELSEWHERE + OVERVIEW])
def test_overview_is_preferred(cameras: str, renderer: Renderer) -> None:
    model = make_model(cameras)
    state = state_of(model, 0.3, 0.1)
    with Renderer(model, width=WIDTH, height=HEIGHT) as other:
        assert np.array_equal(renderer.draw(state), other.draw(state))


def test_the_first_camera_is_next_and_a_free_one_last() -> None:
    drawn: list[NDArray[np.uint8]] = []
    for cameras, name in ((ELSEWHERE, None), (OVERVIEW + ELSEWHERE, "other")):
        model = make_model(cameras)
        with Renderer(model, width=WIDTH, height=HEIGHT, camera=name) as renderer:
            drawn.append(renderer.draw(state_of(model, 0.3, 0.1)))
    assert np.array_equal(*drawn)
    model = make_model("")
    with Renderer(model, width=WIDTH, height=HEIGHT) as renderer:
        renderer.zoom(state_of(model, 0.0, 0.0)[None])
        assert red(renderer.draw(state_of(model, 0.0, 0.0)))[2] > 50


def test_an_unknown_camera_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'top'; cameras: other, overview"):
        Renderer(make_model(ELSEWHERE + OVERVIEW), width=8, height=8, camera="top")
    with pytest.raises(ValueError, match=r"got 0 x 8"):
        Renderer(make_model(), width=0, height=8)


def test_zooming_keeps_all_states_in_the_picture(renderer: Renderer) -> None:
    model = make_model()
    states = np.stack([state_of(model, *at) for at in ((0.2, 0.5), (1.1, 0.9))])
    whole = [red(renderer.draw(state))[2] for state in states]
    renderer.zoom(states)
    for state, before in zip(states, whole, strict=True):
        row, column, pixels = red(renderer.draw(state))
        assert pixels == pytest.approx(before * MAX_ZOOM**2, rel=0.2)
        radius = np.sqrt(pixels / np.pi)
        assert radius - 1 < row < HEIGHT - radius
        assert radius - 1 < column < WIDTH - radius


def test_zooming_never_shows_more_than_the_camera(renderer: Renderer) -> None:
    model = make_model()
    state = state_of(model, 0.0, 0.0)
    before = renderer.draw(state)
    far = np.stack([state_of(model, x, 0.0) for x in (-50.0, 50.0)])
    renderer.zoom(far)
    # the same part of the scene, but for rounding
    assert np.abs(renderer.draw(state).astype(int) - before).mean() < 1


@pytest.mark.parametrize(
    ("ball", "hand", "close"),
    [(0.3, 0.0, True), (3.0, 0.0, False), (0.3, 1.5, False)],
)
def test_zooming_looks_from_near_by_at_what_is_done(
    ball: float, hand: float, close: bool
) -> None:
    # the robot, but for its hand, is out of the nearer camera's sight
    model = mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <visual><headlight ambient="1 1 1"/></visual>
      <worldbody>
        {OVERVIEW}
        <camera name="table" pos="0 -2 0" xyaxes="1 0 0 0 0 1"/>
        <body pos="0 0 -.3">
          <joint type="slide" axis="1 0 0"/><geom size=".1" rgba="1 0 0 1"/>
        </body>
        <body pos="0 0 3">
          <geom size=".2"/>
          <body>
            <joint axis="0 1 0"/>
            <geom size=".1"/>
            <body pos="0 0 -3">
              <joint type="slide" axis="0 0 1"/><geom size=".1"/>
            </body>
          </body>
        </body>
      </worldbody>
    </mujoco>
    """)
    states = np.zeros((2, mujoco.mj_stateSize(model, STATE)))
    states[1, 1:4] = ball, 0.0, hand
    with Renderer(model, width=WIDTH, height=HEIGHT) as renderer:
        size = red(renderer.draw(states[0]))[2]
        renderer.zoom(states)
        larger = red(renderer.draw(states[0]))[2] / size
        # twice as near, and cut down by less than the limit
        assert larger > 4 if close else larger < 2
        if ball < 1:
            assert red(renderer.draw(states[1]))[2] > size / 2


def test_a_world_is_drawn_with_its_own_fields() -> None:
    model = make_model()
    sim = CpuSimulator(model, worlds=2, substeps=1, fields=("geom_rgba",), threads=1)
    colours = torch.tensor([[[1.0, 0, 0, 1]], [[0.0, 1, 0, 1]]])
    sim.assign({"geom_rgba": colours})
    for world, channel in ((0, 0), (1, 1)):
        with Renderer(sim.model_of(world), width=WIDTH, height=HEIGHT) as renderer:
            picture = renderer.draw(sim.state()[world])
        assert picture[HEIGHT // 2, WIDTH // 2].argmax() == channel


def test_no_variable_need_be_set_before_mujoco_is_imported() -> None:
    hidden = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    code = (
        "import mujoco, numpy as np\n"
        "from robots.sim.render import Renderer\n"
        "xml = '<mujoco><worldbody><geom size=\".2\"/></worldbody></mujoco>'\n"
        "model = mujoco.MjModel.from_xml_string(xml)\n"
        f"state = np.zeros(mujoco.mj_stateSize(model, {STATE}))\n"
        "with Renderer(model, width=32, height=24) as renderer:\n"
        "    assert renderer.draw(state).std() > 0\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_without_opengl_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(width: int, height: int) -> None:
        raise ImportError("no driver")

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(mujoco.egl, "GLContext", missing)
    with pytest.raises(OSError, match=r"no driver; install EGL") as error:
        Renderer(make_model(), width=8, height=8)
    assert "\n" not in str(error.value)

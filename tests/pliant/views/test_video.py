"""What is shown is what was recorded, with everything that must stand beside it."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import imageio_ffmpeg
import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pliant.views.video
import pliant.views.viewer
from meta.recording.trajectory import Recording, Trajectory, world_hash
from pliant.views.lines import enough
from pliant.views.recording_sheet import Sheet, Told, captions, hidden_parameters
from pliant.views.style import typeface
from pliant.views.video import HOLD, write_strip, write_video
from pliant.views.viewer import STAY, show
from robots.sim.render import CLOSE, OVERVIEW
from tasks.env import Env
from tasks.registry import FAMILIES, make_family

DT = 0.04
STEPS = make_family("reach-rotated").horizon
WIDTH = 96


def make_recording(family: str = "reach-rotated", steps: int = STEPS) -> Recording:
    """Random actions, and no policy: half an episode before, a whole one after."""
    made = make_family(family)
    env = Env(made, worlds=made.team, threads=1)
    task, *_ = team = made.sample("held-out", 1, made.team)
    env.assign(team)
    sim: Any = env.sim
    episodes: list[Trajectory] = []
    for length in (steps // 2, steps):
        rng = torch.Generator().manual_seed(0)
        env.reset(rng)
        states, actions = [sim.state()], []
        for _ in range(length):
            action = torch.rand(env.worlds, env.action_dim, generator=rng) * 2 - 1
            env.step(action)
            actions.append(action.flatten()[None])
            states.append(sim.state())
        whole = length == steps
        episodes.append(
            Trajectory(
                states=np.concatenate(states),
                controls=np.zeros((length, sim.model.nu)),
                actions=torch.cat(actions).double().numpy(),
                rewards=np.full(length, 0.5 if whole else -0.1),
                success=whole,
                adapt_episodes=5 if whole else 0,
                seed=0,
            )
        )
    before, after = episodes
    return Recording(
        task=task, model_hash=world_hash(sim), policy="", before=before, after=after
    )


@pytest.fixture(scope="module")
def recording() -> Recording:
    return make_recording()


def record_texts(patch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is written on pictures from now on."""
    written: list[str] = []
    original = ImageDraw.ImageDraw.text

    def text(self: Any, xy: Any, text: str, *args: Any, **kwargs: Any) -> None:
        written.append(text)
        original(self, xy, text, *args, **kwargs)

    patch.setattr(ImageDraw.ImageDraw, "text", text)
    return written


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_texts(monkeypatch)


class Video(NamedTuple):
    size: tuple[int, int]
    fps: float
    frames: NDArray[np.uint8]


def read_video(path: Path) -> Video:
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    form = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-")
    done = subprocess.run(
        [ffmpeg, "-i", str(path), *form], capture_output=True, check=True, timeout=60
    )
    said = re.search(r", (\d+)x(\d+)\b.*?([\d.]+) fps", done.stderr.decode())
    assert said is not None
    width, height = int(said[1]), int(said[2])
    pixels = np.frombuffer(done.stdout, np.uint8)
    frames = pixels.reshape(-1, height, width, 3)
    return Video((width, height), float(said[3]), frames)


# -- videos and strips ---------------------------------------------------------------


class Film(NamedTuple):
    path: Path
    done: list[tuple[int, int]]
    texts: list[str]
    video: Video


@pytest.fixture(scope="module")
def film(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = tmp_path_factory.mktemp("film") / "it.mp4"
    done: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        texts = record_texts(patch)
        write_video(
            recording, path, width=WIDTH, progress=lambda *now: done.append(now)
        )
    return Film(path, done, texts, read_video(path))


def test_a_video_is_in_real_time_and_of_its_size(film: Film) -> None:
    video = film.video
    assert video.fps == pytest.approx(1 / DT)
    held = [round(seconds / DT) for seconds in HOLD]
    assert len(video.frames) == sum(held) + STEPS - 1
    assert video.size[0] == 2 * WIDTH
    assert video.size[1] % 16 == 0
    assert film.done == [(i, STEPS + 1) for i in range(1, STEPS + 2)]
    assert [p.name for p in film.path.parent.iterdir()] == [film.path.name]


def test_a_video_says_what_it_shows(film: Film, recording: Recording) -> None:
    family = make_family(recording.task.family)
    for text in (*captions(recording), family.name, "held-out"):
        assert text in film.texts
    line = next(t for t in film.texts if "rotation" in t)
    assert all(quantity in line for quantity in hidden_parameters(recording, family))


def test_the_two_halves_show_the_two_episodes(film: Film) -> None:
    frames = [f[34:72].astype(int) for f in film.video.frames]
    # without the rule between them
    halves = [(f[:, 3 : WIDTH - 3], f[:, WIDTH + 3 : -3]) for f in frames]
    # they begin alike and end apart
    assert np.abs(halves[0][0] - halves[0][1]).mean() < 1
    assert np.abs(halves[-1][0] - halves[-1][1]).mean() > 1
    # the first episode is over at half time: nothing but the other moves any more
    over = round(HOLD[0] / DT) + STEPS // 2 + 1
    still, moving = (
        np.abs(halves[over + 6][i] - halves[over][i]).mean() for i in (0, 1)
    )
    assert still < 0.5 < moving


def test_a_long_and_slow_video_is_thinned_and_says_so(
    recording: Recording,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
) -> None:
    monkeypatch.setattr(pliant.views.video, "MAX_DRAWN", 5)
    done: list[tuple[int, int]] = []
    # a colon in a name is a protocol to ffmpeg, if one lets it
    monkeypatch.chdir(tmp_path)
    path = Path("half:speed.mp4")
    write_video(
        recording, path, width=WIDTH, slow=2.0, progress=lambda *now: done.append(now)
    )
    assert len(done) == 6  # every fifth of 25 steps, and the last state
    assert read_video(path.absolute()).fps == pytest.approx(1 / (5 * DT * 2), rel=0.01)
    assert "held-out  ·  2 times slower" in texts


@pytest.mark.parametrize("family", FAMILIES)
def test_a_strip_of_every_family(family: str, tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "it.png"
    write_strip(make_recording(family, steps=8), path, moments=3, width=WIDTH)
    with Image.open(path) as image:
        assert image.width >= 3 * WIDTH
        assert image.height > 2 * WIDTH * 3 / 4
        pixels = np.asarray(image.convert("RGB"))
    assert pixels[-60:].std() > 5
    assert {"before adaptation", "after 5 episodes", "success", "no success"} <= {
        *texts
    }


def test_what_cannot_be_drawn_is_refused(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "it"
    for given in ({"width": 65}, {"width": 2}, {"slow": 0.0}):
        with pytest.raises(ValueError, match="need an even width"):
            write_video(recording, path, **given)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="need moments >= 2"):
        write_strip(recording, path, moments=1)
    with pytest.raises(FileNotFoundError):
        write_video(recording, tmp_path / "nowhere" / "it.mp4", width=64)
    with pytest.raises(ValueError, match="not the one that was recorded"):
        write_video(replace(recording, model_hash=""), path)
    assert not list(tmp_path.iterdir())


# -- the sheet -----------------------------------------------------------------------


def make_sheet(recording: Recording) -> tuple[Sheet, list[NDArray[np.uint8]]]:
    told = Told.of(recording, make_family(recording.task.family))
    sheet = Sheet(recording, told, dt=DT, width=WIDTH)
    grey = np.full((sheet.height, WIDTH, 3), 128, np.uint8)
    return sheet, [grey, grey]


def test_returns_run_along_and_outcomes_come_last(
    recording: Recording, texts: list[str]
) -> None:
    sheet, pictures = make_sheet(recording)
    sheet.frame(pictures, 10)
    assert {"-1.00", "5.00", "return after 0.40 s"} <= {*texts}
    assert not {"success", "no success"} & {*texts}
    texts.clear()
    sheet.frame(pictures, STEPS // 2)
    assert "no success" in texts
    assert "success" not in texts
    texts.clear()
    sheet.frame(pictures, STEPS)
    assert {"success", "no success", "-1.20", "12.50"} <= {*texts}


def test_another_hidden_parameter_is_another_picture(recording: Recording) -> None:
    parameters = {**recording.task.parameters, "mirrored": "no"}
    drawn: list[NDArray[np.int_]] = []
    for mirrored in ("no", "yes"):
        task = replace(recording.task, parameters={**parameters, "mirrored": mirrored})
        sheet, pictures = make_sheet(replace(recording, task=task))
        drawn.append(np.asarray(sheet.frame(pictures, 0)).astype(int))
    differs = (drawn[0] != drawn[1]).any(axis=(1, 2))
    assert differs[:10].any()
    assert not differs[12:].any()


def test_quantities_have_units(recording: Recording) -> None:
    parameters = {
        "rotation": -35.25,
        "mirrored": "yes",
        "shoulder_strength": 0.71234,
        "elbow_strength": 1.0,
    }
    task = replace(recording.task, parameters=parameters)
    family = make_family(recording.task.family)
    assert hidden_parameters(replace(recording, task=task), family) == [
        "rotation -35.2 deg",
        "mirrored yes",
        "shoulder strength 0.712 of nominal",
        "elbow strength 1 of nominal",
    ]


@pytest.mark.parametrize(
    ("count", "caption"),
    [(1, "after 1 episode"), (3, "after 3 episodes"), (0, "does not adapt")],
)
def test_captions(recording: Recording, count: int, caption: str) -> None:
    after = replace(recording.after, adapt_episodes=count)
    assert captions(replace(recording, after=after)) == ("before adaptation", caption)


def test_a_return_that_never_changes_is_drawn(recording: Recording) -> None:
    before, after = (replace(e, rewards=0 * e.rewards) for e in recording.episodes)
    sheet, pictures = make_sheet(replace(recording, before=before, after=after))
    assert sheet.frame(pictures, 3).size[0] == 2 * WIDTH


# -- the window ----------------------------------------------------------------------


def test_without_a_display_a_video_is_recommended(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"no display.*--mp4"):
        show(recording)


class Window:
    """What `mujoco.viewer.launch_passive` returns, as far as it is used."""

    def __init__(self, model: Any, data: Any, closes: int) -> None:
        self.model = model
        self.data = data
        self.cam = mujoco.MjvCamera()
        self.left = closes
        self.texts: list[tuple[Any, ...]] = []
        self.seen: list[tuple[str, str, float]] = []

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None: ...

    def is_running(self) -> bool:
        return self.left > 0

    def lock(self) -> "Window":
        return self

    def set_texts(self, texts: list[tuple[Any, ...]]) -> None:
        self.texts = texts

    def sync(self) -> None:
        caption, value = self.texts[0][2:]
        self.seen.append((caption, value, float(self.data.time)))
        self.left -= 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """Windows that are opened, each closed once both episodes have begun again."""
    import mujoco.viewer

    windows: list[Window] = []

    def launch(model: Any, data: Any, **_: Any) -> Window:
        windows.append(Window(model, data, closes=STEPS // 2 + 1 + STEPS + 1 + 1))
        return windows[-1]

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(mujoco.viewer, "launch_passive", launch)
    monkeypatch.setattr(pliant.views.viewer.time, "sleep", lambda seconds: None)
    return windows


def test_a_window_shows_one_episode_after_the_other(
    recording: Recording, opened: list[Window]
) -> None:
    show(recording)
    rows: list[tuple[str, str, float]] = []
    for name, e in zip(captions(recording), recording.episodes, strict=True):
        so_far = np.concatenate([[0.0], np.cumsum(e.rewards)])
        texts = [f"return {value:.2f}" for value in so_far]
        texts[-1] += ", success" if e.success else ", no success"
        times = [float(t) for t in e.states[:, 0]]
        rows += [(name, text, t) for text, t in zip(texts, times, strict=True)]
    assert opened[0].seen == [*rows, rows[0]]  # and again
    family = make_family(recording.task.family)
    shown = [text for entry in opened[0].texts for text in entry[2:]]
    for quantity in hidden_parameters(recording, family):
        assert any(quantity in text for text in shown)


def test_a_window_is_as_slow_as_asked(
    recording: Recording, opened: list[Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(pliant.views.viewer.time, "sleep", slept.append)
    monkeypatch.setattr(pliant.views.viewer.time, "monotonic", lambda: 0.0)
    show(recording, slow=3.0)
    assert slept[:2] == pytest.approx([3 * DT, 3 * DT])
    assert max(slept) == STAY


RUNNERS = ["cheetah-direction", "cheetah-velocity"]


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - set(RUNNERS)))
def test_a_window_looks_as_the_near_camera_does(
    family: str, opened: list[Window]
) -> None:
    show(make_recording(family, steps=4))
    model, eye = opened[0].model, opened[0].cam
    assert eye.type == mujoco.mjtCamera.mjCAMERA_FREE.value  # the user can turn it
    names = [model.camera(i).name for i in range(model.ncam)]
    fixed = mujoco.MjvCamera()
    fixed.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
    fixed.fixedcamid = names.index(next(n for n in (CLOSE, OVERVIEW) if n in names))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    seen: list[Any] = []
    for camera in (fixed, eye):
        scene = mujoco.MjvScene(model, maxgeom=100)
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        option = mujoco.MjvOption()
        mujoco.mjv_updateScene(model, data, option, None, camera, everything, scene)
        seen.append(scene.camera[0])
    for name in ("pos", "forward", "up", "frustum_top", "frustum_bottom"):
        x, y = (np.array(getattr(camera, name)) for camera in seen)
        # the two eyes of a stereo picture are apart
        assert x == pytest.approx(y, abs=0.05 if name == "pos" else 1e-3), name


@pytest.mark.parametrize("family", RUNNERS)
def test_a_window_follows_a_robot_that_runs(family: str, opened: list[Window]) -> None:
    show(make_recording(family, steps=4))
    model, eye = opened[0].model, opened[0].cam
    assert eye.type == mujoco.mjtCamera.mjCAMERA_FIXED.value
    follows = mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM
    assert model.cam_mode[eye.fixedcamid] == follows.value


def test_of_many_hidden_parameters_as_many_are_named_as_can_be_read() -> None:
    many = [f"friction thigh {i} 0.5{i}" for i in range(28)]
    for room in (400.0, 900.0):
        text = enough(many, 16.0, room)
        kept = text.split("   ·   ")[:-1]
        assert kept == many[: len(kept)]
        assert text.endswith(f"and {28 - len(kept)} more")
        small = typeface(16 * 2 / 3)
        assert small.getlength(text) <= room
        one_more = "   ·   ".join([*many[: len(kept) + 1], "and 9 more"])
        assert small.getlength(one_more) > room
    assert enough(many[:3], 16.0, 900.0) == "   ·   ".join(many[:3])

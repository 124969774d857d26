"""Recordings of families that are simulated elsewhere: pictures, and no imports."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from PIL import Image

import pliant
import tasks.registry
from meta.recipes.registry import make_config
from meta.recording.footage import Footage, film, is_footage, load_footage
from meta.training.run import train
from meta.training.trained import Trained, load_trained
from pliant.cli.main import main
from tasks.external import ExternalFamily
from tasks.named import Trusted
from tasks.parameters import Scalar, Value


class Clock(gymnasium.Env[Any, Any]):
    """Shows its time as brightness, and ends after `length` steps."""

    metadata: ClassVar[Any] = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = Box(0, 1, (1,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)
    length: int = 4

    def __init__(self, render_mode: str | None = "rgb_array") -> None:
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, ...]:
        self.time += 1
        ended = self.time >= self.length
        return np.full(1, self.time / 9, np.float32), 1.0, ended, False, {}

    def render(self) -> Any:
        return np.full((30, 50, 3), 20 * self.time, np.uint8)


class Clocks(ExternalFamily):
    """Wait until the bell rings."""

    horizon, obs_dim, action_dim = 6, 1, 1
    parameters = (Scalar(name="bell_time", unit="steps", low=4.0, high=4.5),)
    mode: ClassVar[AutoresetMode] = AutoresetMode.NEXT_STEP
    shown: ClassVar[str | None] = "rgb_array"

    def make(self, worlds: int) -> SyncVectorEnv:
        made = [lambda: Clock(self.shown)] * worlds
        return SyncVectorEnv(made, autoreset_mode=self.mode)

    def set_tasks(
        self, envs: Any, worlds: Sequence[int], tasks: Sequence[Mapping[str, Value]]
    ) -> None:
        for world, task in zip(worlds, tasks, strict=True):
            envs.envs[world].length = int(task["bell_time"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    cfg = replace(make_config(Clocks.name, "maml"), iterations=1, tasks=2, hidden=(4,))
    folder = tmp_path_factory.mktemp("runs") / "clock"
    train(cfg, folder)
    return load_trained(str(folder), named=Trusted([Clocks.name]))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_picture_is_kept_of_each_step_to_the_end(
    trained: Trained, mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clocks, "mode", mode)
    made = film(trained, seed=1, adapt_episodes=2)
    for take in made.episodes:
        bright = take.pictures[:, 0, 0, 0].tolist()
        # where a world begins anew at once, its last moment cannot be drawn
        last = 60 if mode is AutoresetMode.SAME_STEP else 80
        assert bright == [0, 20, 40, 60, last]
        assert take.rewards.tolist() == [1.0] * 4
    assert (made.before.adapt_episodes, made.after.adapt_episodes) == (0, 2)
    assert made.fps == 10
    assert made.units == {"bell_time": "steps"}


def test_long_episodes_keep_a_picture_every_few_steps(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meta.recording.footage.MOMENTS", 2)
    made = film(trained, adapt_episodes=1)
    assert made.every == 3
    assert made.before.pictures[:, 0, 0, 0].tolist() == [0, 60, 80]


def test_in_python_it_is_recorded_as_by_the_command(
    trained: Trained, tmp_path: Path
) -> None:
    path = tmp_path / "clock.npz"
    made = pliant.record(trained, seed=1, adapt_episodes=2, out=path)
    again = pliant.load_recording(str(path))
    assert isinstance(made, pliant.Footage)
    assert isinstance(again, pliant.Footage)
    assert np.array_equal(again.after.pictures, made.after.pictures)
    assert again.before.pictures[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    with pytest.raises(ValueError, match="need 1 <= adapt_episodes <= 10,000"):
        pliant.record(trained, adapt_episodes=10**6)


def test_the_commands_record_and_show_it_without_its_code(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "clock.npz"
    policy = ["record", trained.source, "--adapt-episodes", "2"]
    policy += ["--family", Clocks.name]
    assert main([*policy, "--out", str(file)]) == 0
    assert is_footage(file)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(tasks.registry, "imported", refuse)
    made = load_footage(file)
    assert made.summary == "Wait until the bell rings."
    assert made.split == "held-out"
    shown = [str(tmp_path / "clock.mp4"), str(tmp_path / "clock.png")]
    assert main(["replay", str(file), "--mp4", shown[0], "--png", shown[1]]) == 0
    assert "return 4.000 before adapting, 4.000 after" in capsys.readouterr().out
    assert Path(shown[0]).stat().st_size > 1000
    picture = np.asarray(Image.open(shown[1]).convert("L"))
    # five moments, the first black and the last at a brightness of 80
    row = picture[picture.shape[0] // 3]
    assert row[160] < 10
    assert abs(int(row[-160]) - 80) < 10
    assert main(["replay", str(file)]) == 2
    assert "give --mp4 or --png" in capsys.readouterr().err


def test_what_is_not_drawn_says_so(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clocks, "shown", None)
    with pytest.raises(ValueError, match=r"is not drawn: .* render_mode='rgb_array'"):
        film(trained)


def broken(made: Footage, path: Path, **changes: Any) -> Path:
    made.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays["about"].item())
    for name, value in changes.items():
        if name in arrays:
            arrays[name] = value
        else:
            about[name] = value
    arrays["about"] = np.array(json.dumps(about))
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path.write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "x"}, "its format is not 'pliant-footage-1'"),
        ({"every": 0}, "a picture every 0 steps"),
        ({"before_pictures": np.zeros(3)}, "before_pictures are no pictures"),
        ({"after_rewards": np.full(2, np.nan)}, "must be finite"),
    ],
)
def test_broken_footage_is_one_error(
    trained: Trained, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = broken(film(trained, adapt_episodes=1), tmp_path / "x.npz", **changes)
    with pytest.raises(ValueError, match=words):
        load_footage(path)


def test_a_bomb_is_not_read(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    film(trained, adapt_episodes=1).save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("more", bytes(10**6))
    monkeypatch.setattr("meta.recording.footage.LARGEST", 10**6)
    with pytest.raises(ValueError, match="at most 1,000,000 are read"):
        load_footage(path)

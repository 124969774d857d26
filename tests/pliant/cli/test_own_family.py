"""Commands with a family of a user's own, in a module of the working directory."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pliant
from meta.recording.trajectory import Recording
from pliant.cli.main import main
from tasks.family import Family
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.named import check_named, imported
from tasks.registry import FAMILIES, find_family, make_family

MODULE = '''
from dataclasses import replace

from tasks.manipulation.reach_rotated import ReachRotated

class Mine(ReachRotated):
    """Reach something of mine.

    In more words.
    """

    name = "mine"

class Bare(ReachRotated):
    parameters = ReachRotated.parameters[0]

class Timed(ReachRotated):
    horizon = "20"

class Wide(ReachRotated):
    obs_dim = ReachRotated.obs_dim + 1

class Unweighed(ReachRotated):
    weights = {}

class Named(ReachRotated):
    fields = "geom_friction"

class Spoken(ReachRotated):
    parameters = (
        replace(ReachRotated.parameters[0], words=("left", "right")),
        *ReachRotated.parameters[1:],
    )

class Idle(ReachRotated):
    scenery = ("colour",)

class Letters(ReachRotated):
    scenery = "rotation"

class Failing(ReachRotated):
    def control(self, now, action):
        return turned(now, action)

def turned(now, action):
    return now.values["angle"]

class Unpacked(ReachRotated):
    def judge(self, before, now, action):
        before, now = before, now, action

class Homeless(ReachRotated):
    def compile(self):
        return open("no/scene.xml")

class Flat(ReachRotated):
    def judge(self, before, now, action):
        found = super().judge(before, now, action)
        object.__setattr__(found, "success", found.success[:1])
        return found

class Floating(ReachRotated):
    def judge(self, before, now, action):
        found = super().judge(before, now, action)
        object.__setattr__(found, "success", found.success.float())
        return found

class Short(ReachRotated):
    def model_fields(self, values):
        return {k: v[:1] for k, v in super().model_fields(values).items()}

class More(ReachRotated):
    def model_fields(self, values):
        found = super().model_fields(values)
        return dict(found) | {"dof_damping": next(iter(found.values()))}

class Half(ReachRotated):
    @property
    def obs_dim(self): raise AttributeError

class Narrow(ReachRotated):
    def control(self, now, action):
        return super().control(now, action)[:, :1]

class Silent(ReachRotated):
    def start(self, values, rng): ...

class Blind(ReachRotated):
    def observe(self, now): ...

class Fieldless(ReachRotated):
    def model_fields(self, values): ...

class Still(ReachRotated):
    def start(self, values, rng):
        qpos, qvel = super().start(values, rng)
        return qpos, qvel[0]
'''
NAME = "worlds_of_mine:Mine"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "worlds_of_mine.py").write_text(MODULE)
    yield
    sys.modules.pop("worlds_of_mine", None)
    for name in [n for n in FAMILIES if n.startswith("worlds_of_mine:")]:
        del FAMILIES[name]


def test_it_is_trained_recorded_and_replayed_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--iterations", "1", "--tasks", "2", "--threads", "1", "--out", "run"]
    assert main(["train", NAME, *small]) == 0
    assert f"--family {NAME}" in capsys.readouterr().out
    assert main(["export", "run", "p.safetensors"]) == 2
    assert f"add --family {NAME}" in capsys.readouterr().err

    own = ["--family", NAME]
    assert main(["export", "run", "p.safetensors", *own]) == 0
    taken = ["--adapt-episodes", "1", "--out", "one.npz"]
    assert main(["record", "p.safetensors", *taken, *own]) == 0
    recording = pliant.load_recording("one.npz", family=NAME)
    assert isinstance(recording, Recording)
    assert recording.task.family == NAME

    sys.modules.pop("worlds_of_mine")
    del FAMILIES[NAME]
    capsys.readouterr()
    assert main(["replay", "one.npz", "--png", "one.png"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"pliant: one.npz: its family is {NAME}, and no code is run")
    assert f"add --family {NAME}" in said
    assert "worlds_of_mine" not in sys.modules
    bare = "; if it is worlds_of_mine:Bare now, let a module worlds_of_mine have a"
    for other, more in (("push", ""), ("worlds_of_mine:Bare", bare)):
        assert main(["replay", "one.npz", "--png", "one.png", "--family", other]) == 2
        said = f"pliant: one.npz is of family {NAME}, not {other}{more}"
        more = " `class Mine(Bare)`" if more else ""
        assert capsys.readouterr().err == f"{said}{more}\n"
    assert main(["replay", "one.npz", "--png", "one.png", *own]) == 0
    assert Path("one.png").stat().st_size > 10_000


def test_a_run_whose_class_is_gone_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--iterations", "1", "--tasks", "2", "--threads", "1", "--out", "run"]
    assert main(["train", NAME, *small]) == 0
    sys.modules.pop("worlds_of_mine")
    del FAMILIES[NAME]
    Path("worlds_of_mine.py").rename("renamed.py")
    capsys.readouterr()
    argv = ["export", "run", "p.safetensors", "--family", NAME]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert "No module named 'worlds_of_mine'; go to the folder that it is in" in said
    advice = "class Mine(renamed.Mine)"
    assert f"let a module worlds_of_mine have a `{advice}`" in said
    assert main([*argv[:-1], "renamed:Mine"]) == 2
    said = capsys.readouterr().err
    assert f"its family is {NAME}, not renamed:Mine" in said
    assert (
        f"if it is renamed:Mine now, let a module worlds_of_mine have a `{advice}`"
        in said
    )
    Path("worlds_of_mine.py").write_text(f"import renamed\n{advice}: ...\n")
    assert main(argv) == 0


def test_a_folder_of_a_modules_name_does_not_hide_that_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run's folder, say, which Python imports as an empty package."""
    Path("hollow").mkdir()
    monkeypatch.syspath_prepend(str(Path.cwd()))
    with pytest.raises(ValueError, match="no attribute 'Mine'; go to the folder that"):
        imported("hollow:Mine")


def test_a_class_of_a_notebook_is_not_sought_by_commands() -> None:
    with pytest.raises(ValueError, match="made in a script or a notebook, and is foun"):
        check_named("family", "__main__:Mine", ())
    check_named("family", "__main__:Mine", ["__main__:Mine"])


def test_the_name_that_a_class_of_a_script_states_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(ReachRotated):
        name = "here"

    monkeypatch.setitem(FAMILIES, "here", Here)
    small = {"iterations": 1, "tasks": 2, "threads": 1}
    with pytest.warns(UserWarning, match="commands will not find family 'here'"):
        trained = pliant.train(Here, out="run", **small)
    pliant.record(trained, adapt_episodes=1, out="one.npz")
    monkeypatch.delitem(FAMILIES, "here")
    capsys.readouterr()
    for command in (
        ["evaluate", "run"],
        ["export", "run", "p.safetensors", "--family", NAME],
        ["replay", "one.npz", "--png", "one.png"],
        ["replay", "one.npz", "--png", "one.png", "--family", "here"],
    ):
        assert main(command) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "its family here is none of Pliant's; a class that states" in line
        assert "put it into a module" in line


def test_it_is_listed_with_what_stands_in_for_what_it_does_not_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--family", NAME, "--json"]) == 0
    [about] = json.loads(capsys.readouterr().out)["families"]
    assert (about["name"], about["group"]) == (NAME, "yours")
    assert about["summary"] == "Reach something of mine."
    assert about["success"] == ReachRotated.success


def test_it_has_the_name_that_it_is_found_by() -> None:
    found = find_family(NAME)
    assert isinstance(found, Family)
    assert found.name == NAME
    assert type(make_family(NAME)) is type(found)
    assert {t.family for t in found.sample("train", 0, 2)} == {NAME}
    assert "mine" not in FAMILIES


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Bare", "parameters is a tuple, of such as Scalar and Choice; got Scalar("),
        ("Timed", "horizon is a whole number of at least 1, got '20'"),
        ("Named", "fields is a tuple, of names; got 'geom_friction'"),
        ("Wide", "observe returns obs_dim ="),
        ("Unweighed", "has none"),
        ("Spoken", "words of a number are a tuple of 5, for fifths of its range"),
        ("Idle", "scenery is hidden, and colour is not among its hidden parameters: "),
        ("Flat", "success that judge returns has shape (10,), got (1,)"),
        ("Floating", "success that judge returns is of torch.bool, got torch.float32"),
        ("Short", "each with a row for all 2 tasks, got actuator_"),
        ("More", "each with a row for all 2 tasks, got actuator_"),
        ("Letters", "scenery is a tuple, of names; got 'rotation'"),
        ("Narrow", "what control returns is a tensor of shape (10, "),
        ("Silent", "start returns qpos and qvel, got NoneType"),
        ("Blind", "observe returns a tensor, got NoneType"),
        ("Fieldless", "model_fields returns a tensor by name for each of actuator_"),
        ("Still", "qvel that start returns is a tensor of shape (10, "),
    ],
)
def test_what_it_states_wrongly_is_said_in_one_line(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--iterations", "1", "--tasks", "2", "--threads", "1", "--out", "run"]
    assert main(["train", f"worlds_of_mine:{name}", *small]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"family worlds_of_mine:{name}" in line
    assert said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "Failing",
            "worlds_of_mine:Failing.control (worlds_of_mine.py, line 46) raised "
            "KeyError: 'angle'",
        ),
        ("Unpacked", "Unpacked.judge (worlds_of_mine.py, line 50) raised ValueError: "),
        ("Homeless", "pliant: no/scene.xml: No such file or directory"),
    ],
)
def test_where_its_own_code_fails_is_shown_and_said_in_one_line(
    name: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = ["--iterations", "1", "--tasks", "2", "--threads", "1", "--out", "run"]
    argv = ["train", f"worlds_of_mine:{name}", *small]
    assert main(argv) == 2
    *shown, line = capsys.readouterr().err.splitlines()
    assert said in line
    # from the user's code on, but for a file that is not there
    assert bool(shown) == (name != "Homeless")
    assert all("worlds_of_mine.py" in own for own in shown[:1])
    assert not Path("run").exists()
    monkeypatch.setenv("PLIANT_TRACEBACK", "1")
    with pytest.raises((KeyError, ValueError, OSError)):
        main(argv)


def test_an_error_of_ours_is_no_mistake_of_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It keeps its traceback, for a report."""
    monkeypatch.setattr("tasks.registry.make_env", None)
    monkeypatch.setattr("meta.training.build.make_env", None)
    with pytest.raises(TypeError, match="not callable"):
        main(["train", NAME, "--iterations", "1", "--tasks", "2", "--out", "run"])


def test_its_class_and_its_name_are_the_same_to_python_and_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = imported(NAME)
    small = {"iterations": 1, "tasks": 2, "threads": 1}
    assert pliant.train(mine, out="run", **small).cfg.family == NAME
    assert "mine" not in FAMILIES
    assert main(["export", "run", "p.safetensors"]) == 2
    assert f"its family is {NAME}, and no code" in capsys.readouterr().err
    assert main(["export", "run", "p.safetensors", "--family", NAME]) == 0
    again = ["--iterations", "2", "--threads", "1", "--out", "run", "--resume"]
    assert main(["train", NAME, *again]) == 0
    assert pliant.load("run", family=mine).iteration == 2
    with pytest.raises(ValueError, match=f"its family is {NAME}, not reach-rotated"):
        pliant.load("run", family=ReachRotated)


def test_what_it_does_not_state_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--family", "worlds_of_mine:Half"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "worlds_of_mine:Half does not state obs_dim" in line

"""A file never decides which code is run: it is imported only if the user names it."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pliant
from meta.recording.taping import record
from meta.recording.trajectory import load_recording
from meta.training.format import read, write
from meta.training.run import CONFIG, read_config
from meta.training.trained import load_trained, locate
from pliant.cli.main import main
from pliant.views.names import name_of

SHIPPED = "shipped:cheetah-direction"


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the file that `spy`, of the working directory, leaves when imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    text = "from pathlib import Path; Path('trace').write_text('')\n"
    (tmp_path / "spy.py").write_text(text)
    yield tmp_path / "trace"
    sys.modules.pop("spy", None)


def crafted(**changes: object) -> Path:
    """A policy that ships, with another configuration and a right checksum."""
    tensors, metadata = read(locate(SHIPPED))
    config = json.loads(metadata["config"]) | changes
    del metadata["sha256"]
    path = Path("crafted.safetensors")
    write(path, tensors, metadata | {"config": json.dumps(config)})
    return path


@pytest.mark.parametrize("kind", ["family", "method"])
def test_a_checkpoint_imports_only_what_the_user_names(
    trace: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = str(crafted(**{kind: "spy:Thing"}))
    for command in (
        ["evaluate", path],
        ["evaluate", SHIPPED, "--beside", path],
        ["record", path],
        ["export", path, "out.safetensors"],
    ):
        assert main(command) == 2, command
        [line] = capsys.readouterr().err.splitlines()
        assert f"add --{kind} spy:Thing" in line
    with pytest.raises(ValueError, match=f"{kind}='spy:Thing'"):
        pliant.load(path)
    assert not trace.exists()
    # what the user names is imported, and then is none
    with pytest.raises(ValueError, match=r"cannot be imported: .*no attribute 'Thing'"):
        pliant.load(path, **{kind: "spy:Thing"})
    assert trace.exists()


@pytest.mark.parametrize("kind", ["family", "method"])
def test_a_run_folder_is_resumed_only_as_what_the_user_names(
    trace: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    metadata = read(locate(SHIPPED))[1]
    config = json.loads(metadata["config"]) | {kind: "spy:Thing"}
    Path("run").mkdir()
    (Path("run") / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"add --{kind} spy:Thing"):
        read_config(Path("run"))
    assert main(["train", "cheetah-direction", "--out", "run", "--resume"]) == 2
    assert f"add --{kind} spy:Thing" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["family", "method"])
@pytest.mark.parametrize("command", ["record", "evaluate", "export"])
def test_a_name_that_is_not_the_policys_is_one_line(
    trace: Path, capsys: pytest.CaptureFixture[str], kind: str, command: str
) -> None:
    foreign = str(crafted(**{kind: "spy:Thing"}))
    known = {"family": "cheetah-direction", "method": "maml"}[kind]
    rest = ["out.safetensors"] if command == "export" else []
    for path, given, said in (
        (foreign, "spy:Thimg", f"its {kind} is spy:Thing, not spy:Thimg"),
        (foreign, known, f"its {kind} is spy:Thing, not {known}, and no code is run"),
        (SHIPPED, "spy:Thing", f"{SHIPPED} is of {kind} {known}, not spy:Thing"),
    ):
        assert main([command, path, *rest, f"--{kind}", given]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line
    assert not trace.exists()
    assert not Path("out.safetensors").exists()


def test_a_right_name_of_one_kind_is_no_wrong_one_of_the_other(trace: Path) -> None:
    path = crafted(family="spy:Thing", method="spy:Other")
    with pytest.raises(ValueError, match="its method is spy:Other, and no code"):
        pliant.load(path, family="spy:Thing")
    assert not trace.exists()


def test_the_family_in_the_file_is_the_one_that_was_named() -> None:
    with pytest.raises(ValueError, match="of family cheetah-direction, not push"):
        pliant.load(SHIPPED, family="push")
    assert pliant.load(SHIPPED, family="cheetah-direction", method="maml")


def test_a_recording_imports_nothing(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("one.npz")
    record(load_trained(SHIPPED), adapt_episodes=1).save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays.pop("about").item())
    task = json.loads(about["task"]) | {"family": "spy:Thing"}
    del task["hash"]
    content = io.BytesIO()
    about = np.array(json.dumps(about | {"task": json.dumps(task)}))
    np.savez(content, about=about, **arrays)
    path.write_bytes(content.getvalue())
    assert load_recording(path).task.family == "spy:Thing"
    for options in (["--png", "a.png"], ["--mp4", "a.mp4"], []):
        assert main(["replay", str(path), *options]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "add --family spy:Thing" in line
    assert not trace.exists()


def test_results_import_nothing(trace: Path) -> None:
    assert name_of("spy:Thing") == "spy:Thing"
    assert not trace.exists()


@pytest.mark.parametrize("name", [".x:y", "runs/fams:X", ":", "a:", "a..b:C", "a:b-c"])
def test_what_is_no_name_is_refused_with_one_that_is(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for command in (["train", name], ["train", "push", "--method", name]):
        assert main(command) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "a name is module:Class, with dots between packages" in line


def test_pliants_own_names_do_not_open_the_working_directory(tmp_path: Path) -> None:
    """Optional packages are imported late: a file must not take their place."""
    (tmp_path / "coacd.py").write_text("open('trace', 'w')")
    code = (
        "import sys; from meta.recipes.registry import make_config; "
        "from meta.training.build import make_learner; "
        "make_learner(make_config('push', 'maml')); "
        "sys.exit(sys.path.count('') + sys.path.count(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    python = [sys.executable, "-P", "-c", code, str(tmp_path)]
    assert subprocess.run(python, cwd=tmp_path, env=environment).returncode == 0

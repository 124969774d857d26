"""The wheel works alone: nothing of the checkout is needed, nor in its way."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, where nothing else of Pliant is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]
    subprocess.run([*command, str(folder)], cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def run(
    installed: Path, cwd: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    # -S: no .pth file, so that a checkout installed as editable is not found
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_five_lines_run_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    lines = (ROOT / "examples" / "adapt.py").read_text()
    (tmp_path / "adapt.py").write_text(f"{lines}\nprint(pliant.__file__)\n")
    done = run(installed, tmp_path, "adapt.py")
    before, after, where = done.stdout.splitlines()
    assert float(after.split()[-1]) > float(before.split()[-1])
    assert Path(where).is_relative_to(installed)


def test_the_doctor_runs_from_the_wheel_beside_a_users_tasks(
    installed: Path, tmp_path: Path
) -> None:
    """A `tasks.py`, as Invoke and Celery have it, lies where the user stands."""
    (tmp_path / "tasks.py").write_text("raise SystemExit('the wrong tasks')\n")
    done = run(installed, tmp_path, "-P", "-m", "pliant", "doctor")
    assert done.returncode == 0, done.stderr
    assert "env steps/s" in done.stdout


@pytest.mark.parametrize("imported_before", [True, False])
def test_a_users_tasks_beside_a_script_are_named(
    installed: Path, tmp_path: Path, imported_before: bool
) -> None:
    (tmp_path / "tasks.py").write_text("def build(): ...\n")
    script = "import tasks\nimport pliant\n" if imported_before else "import pliant\n"
    (tmp_path / "script.py").write_text(script)
    done = run(installed, tmp_path, "script.py")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Pliant needs its own package 'tasks'")
    assert str(tmp_path / "tasks.py") in last
    # and without looking beside the script, it works
    (tmp_path / "script.py").write_text("import pliant\npliant.Scalar\n")
    assert run(installed, tmp_path, "-P", "script.py").returncode == 0

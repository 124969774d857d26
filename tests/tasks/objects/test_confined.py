"""Work on foreign files: it ends in time, in bounded memory, and in one line."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import trimesh

from tasks.objects import confined as module
from tasks.objects.confined import RefusedError, confined
from tasks.objects.mesh_file import load_solid
from tasks.objects.solids import volume

BODY = '<body name="o"><freejoint/><geom type="box" size=".03 .02 .04"/>{}</body>'
MODEL = "<mujoco><asset>{}</asset><worldbody>" + BODY + "</worldbody></mujoco>"
AGAIN = MODEL.format(
    '<model name="again" file="again.xml"/>',
    '<attach model="again" body="o" prefix="a"/>',
)


def test_whatever_the_work_raises_is_one_line() -> None:
    arrays = {"vertices": np.zeros((3, 3)), "faces": np.array([[0, 1, 2]])}
    with pytest.raises(RefusedError, match=r"^cannot be read: [^\n]+$"):
        confined("tasks.objects.cutting:cut", arrays)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (AGAIN, r"cannot be read: the parser died \(SIG"),
        (
            MODEL.format('<texture name="t" type="2d" builtin="flat" width="40000" '
                         'height="40000"/>', ""),
            "memory|the parser died",
        ),
        (
            "<mujoco><asset><hfield name='h' nrow='60000' ncol='60000' size='1 1 1 1'/>"
            "</asset><worldbody><geom type='hfield' hfield='h'/></worldbody></mujoco>",
            "cannot be read|memory",
        ),
    ],
)  # fmt: skip
def test_a_model_that_harms_is_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "again.xml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_solid(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["include", "mesh", "texture", "itself"])
def test_a_pipe_that_never_ends_is_waited_for_no_longer_than_the_limit(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 2)
    pipe = tmp_path / {"mesh": "pipe.stl", "texture": "pipe.png"}.get(kind, "pipe.xml")
    os.mkfifo(pipe)
    path = tmp_path / "model.xml"
    match kind:
        case "include":
            path.write_text(MODEL.format("", f'<include file="{pipe.name}"/>'))
        case "mesh":
            path.write_text(MODEL.format(f'<mesh file="{pipe.name}"/>', ""))
        case "texture":
            path.write_text(
                MODEL.format(f'<texture type="2d" name="t" file="{pipe.name}"/>', "")
            )
        case _:
            path = pipe
    begun, before = time.monotonic(), psutil.Process().children(recursive=True)
    with pytest.raises(ValueError, match=r"more than 2 s|no such file"):
        load_solid(path)
    assert time.monotonic() - begun < 10
    assert psutil.Process().children(recursive=True) == before


def test_a_material_that_is_a_pipe_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mtl")
    path = tmp_path / "box.obj"
    box = trimesh.creation.box(extents=(0.05, 0.06, 0.07))
    path.write_text(f"mtllib pipe.mtl\nusemtl a\n{box.export(file_type='obj')}")
    begun = time.monotonic()
    assert volume(load_solid(path)) == pytest.approx(box.volume)
    assert time.monotonic() - begun < 10


def test_no_code_beside_the_file_runs(tmp_path: Path) -> None:
    """Neither a module of a library's name nor a site file is imported."""
    for name in ("trimesh", "mujoco", "numpy", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    path = tmp_path / "part.xml"
    path.write_text(MODEL.format("", ""))
    load = f"from tasks.objects.mesh_file import load_solid; load_solid({str(path)!r})"
    env = os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])}
    subprocess.run(
        [sys.executable, "-P", "-c", load], cwd=tmp_path, check=True, env=env
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")
def test_the_work_ends_with_its_parent() -> None:
    ask = "from tasks.objects.confined import confined; confined('subprocess:call', "
    parent = subprocess.Popen([sys.executable, "-c", f"{ask}args=['sleep', '9'])"])
    own = psutil.Process(parent.pid)
    deadline = time.monotonic() + 60
    found: list[psutil.Process] = []
    # a child has its parent's name until it has become what it is to run
    while "sleep" not in [p.name() for p in found]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        found = own.children(recursive=True)
    parent.kill()
    parent.wait()
    [child] = [p for p in found if p.name() != "sleep"]
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive

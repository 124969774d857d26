"""Whose code failed: the user's own is named, and nothing else is."""

import importlib.util
from pathlib import Path

import pytest

from pliant.cli.errors import one_line


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("own", "theirs:forward (theirs.py, line 2) raised RuntimeError: shapes"),
        ("lib/python3/dist-packages", ""),
        (".local/lib/python3.11/site-packages", ""),
    ],
)
def test_only_the_users_own_code_is_named(
    folder: str, said: str, tmp_path: Path
) -> None:
    """An error in a package, wherever it is installed, may be a fault of Pliant's."""
    file = tmp_path / folder / "theirs.py"
    file.parent.mkdir(parents=True)
    file.write_text("def forward():\n    raise RuntimeError('shapes')\n")
    spec = importlib.util.spec_from_file_location("theirs", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(RuntimeError) as raised:
        module.forward()
    # the frame of this test is none of theirs
    of_theirs = raised.tb.tb_next
    found = one_line(raised.value.with_traceback(of_theirs))
    assert found.startswith(said)
    assert bool(found) == bool(said)

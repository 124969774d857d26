"""How a family's tasks begin, on one page."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pliant.cli.main import main
from pliant.views.task_sheet import SIZE, draw_tasks
from tasks.registry import make_family


def test_tasks_of_every_split_are_drawn_and_differ(tmp_path: Path) -> None:
    family, path = make_family("push"), tmp_path / "push.png"
    draw_tasks(family, path, each=4)
    with Image.open(path) as picture:
        sheet = np.asarray(picture.convert("RGB")).astype(int)
    rows, columns = len(family.splits), 4
    height = sheet.shape[0] // rows
    assert sheet.shape == (rows * height, columns * SIZE[0], 3)
    cells = sheet.reshape(rows, height, columns, SIZE[0], 3).swapaxes(1, 2)
    cells = cells.reshape(rows * columns, height, SIZE[0], 3)
    for i, cell in enumerate(cells):
        assert cell[: SIZE[1]].std() > 10  # something is seen, and read below it
        assert cell[SIZE[1] :].max() > 200
        for other in cells[:i]:
            assert np.abs(cell - other)[: SIZE[1]].max() > 50


def test_the_command_draws_one_named_family(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sheet.jpg"
    asked = ["list", "--family", "cheetah-direction", "--pictures", str(path)]
    assert main(asked) == 0
    assert capsys.readouterr().out.strip() == str(path)
    with Image.open(path) as picture:
        assert picture.width == 4 * SIZE[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--pictures", "x.png"], "name it with --family"),
        (["--family", "strike", "--pictures", "x.txt"], "pictures are .png or .jpg"),
        (["--family", "x"], "unknown family 'x'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    asked: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *asked]) == 2
    assert words in capsys.readouterr().err

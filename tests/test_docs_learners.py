"""The page of learners names every method as tables do."""

from pathlib import Path

import pytest

from meta.registry import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "learners.md"
SEEN = {"never": ("no", "no"), "in training": ("yes", "no"), "always": ("yes", "yes")}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_row(name: str) -> None:
    [row] = [
        line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}`")
    ]
    _, _, title, training, afterwards, *_ = map(str.strip, row.split("|"))
    method = METHODS[name]
    assert title == method.title
    assert (training, afterwards) == SEEN[method.observes_hidden]


def test_no_other_method_has_a_row() -> None:
    rows = [
        r
        for r in PAGE.read_text().splitlines()
        if r.startswith("| `") and "`--" not in r
    ]
    assert len(rows) == len(METHODS)

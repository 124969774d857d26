"""Tables in documents: what stands around them is never lost."""

from pathlib import Path

import pytest

from meta.registry import METHODS
from pliant.views.names import colour_of, in_order, name_of
from pliant.views.tables import write_tables

START, END = "<!-- suite:table -->", "<!-- suite:end -->"


def test_a_table_takes_the_place_of_the_last_one_and_nothing_else(
    tmp_path: Path,
) -> None:
    document = tmp_path / "results.md"
    document.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    for _ in range(2):
        write_tables({}, tmp_path, [document])
        head, table, tail = document.read_text().partition("| return after 5")
        assert (head, bool(table)) == (f"before\n{START}\n", True)
        assert tail.endswith(f"|\n{END}\nafter\n")
        assert "old" not in tail


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "has no place for a table"),
        (f"before\n{START}\nthe rest of the document\n", f"{START} has no {END}"),
        (f"before\n{END}\n{START}\nthe rest\n", f"{START} has no {END}"),
        (f"{START}\na\n<!-- suite:details -->\nb\n{END}\nc", f"{START} has no {END}"),
    ],
)
def test_a_document_without_a_whole_place_stays_as_it_is(
    tmp_path: Path, text: str, words: str
) -> None:
    document = tmp_path / "results.md"
    document.write_text(text)
    with pytest.raises(ValueError, match=words):
        write_tables({}, tmp_path, [document])
    assert document.read_text() == text


def test_methods_are_named_and_in_order_and_so_are_those_of_others() -> None:
    assert in_order(["oracle", "maml", "mine:Learner", "random", "dr"]) == [
        *("random", "dr", "mine:Learner", "maml", "oracle")
    ]
    assert name_of("dr-finetune") == "DR, fine-tuned"
    assert name_of("mine:Learner") == "mine:Learner"
    for name, method in METHODS.items():
        assert (name_of(name), colour_of(name)) == (method.title, method.colour)

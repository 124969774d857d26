"""Tables in documents: what stands around them is never lost."""

import json
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


def level(value: float, **more: float | None) -> dict[str, float | None]:
    """A level of the JSON, whose intervals reach 0.1 to either side."""
    row = {"return": value, "success": value / 10} | more
    for name, x in dict(row).items():
        row[f"{name}_low"] = None if x is None else x - 0.1
        row[f"{name}_high"] = None if x is None else x + 0.1
    return row


def point(
    episodes: int, value: float, during: float | None, share: float = 0.5
) -> dict[str, float | None]:
    total = value if during is None else episodes * during + value
    more = {"return_during": during, "return_cumulative": total, "harm_rate": 0.3}
    alone = {"episodes": episodes, "worst_decile": -2.0}
    return level(value, normalised=share, **more) | alone


def test_what_adapting_costs_is_a_table_of_each_split(tmp_path: Path) -> None:
    curve = [point(0, 1.0, None), point(1, 2.0, 1.5, share=0.2)]
    curve += [point(5, 3.0, 1.5), point(10, 4.0, 1.5, share=0.8)]
    methods = {"policy": "maml", "dr": "dr", "oracle": "oracle", "rma": "rma"}
    result = {
        "family": "strike",
        "tasks": 40,
        "success": "it lies in the box",
        "policies": {name: [{"method": m}] * 3 for name, m in methods.items()},
        "baselines": {"random": level(0.0), "dr": level(2.0), "oracle": level(5.0)},
        "rivals": {"rma": curve, "dr-sb3": [point(k, 2.0, 2.0) for k in (0, 5)]},
        "curve": curve,
        "improvement": {},
        "ahead": {},
        "admission": {"value": 0.5, "low": 0.4, "high": 0.6},
        "leaks": [],
        "faults": 0,
        "grid": [],
    }
    results = {s: tmp_path / f"{s}.json" for s in ("held-out", "extrapolation")}
    for split, path in results.items():
        path.write_text(json.dumps(result | {"split": split}))
    document = tmp_path / "results.md"
    document.write_text(f"a\n<!-- suite:price -->\nold\n{END}\nz\n")
    write_tables(results, tmp_path, [document])
    price = (tmp_path / "price.md").read_text()
    assert f"suite:price -->\n{price}{END}" in document.read_text()
    first, second = price.split("\n\n")
    assert first.startswith("| the price of adapting, held-out | return of an adapting")
    assert second.startswith("| the price of adapting, extrapolation | ")
    adapted = "1.50 [1.40, 1.60] | 3.00 [2.90, 3.10] | 10 [10, 11] | 0.30 [0.20, 0.40]"
    assert first.splitlines()[2:] == [
        "| **strike** |  |  |  |  |  |",
        "| DR | 2.00 [1.90, 2.10] | 2.00 [1.90, 2.10] | 12 [11, 13] |  |  |",
        f"| RMA | {adapted} | -2.00 |",
        f"| MAML-PPO | {adapted} | -2.00 |",
    ]
    shares = (tmp_path / "shares.md").read_text()
    assert shares.splitlines() == [
        "| share of the gap, held-out | 1 episode | 5 episodes |",
        "| --- | ---: | ---: |",
        "| **strike**, 2.00 to 5.00 |  |  |",
        "| RMA | 0.20 [0.10, 0.30] | 0.50 [0.40, 0.60] |",
        "| MAML-PPO | 0.20 [0.10, 0.30] | 0.50 [0.40, 0.60] |",
    ]
    one = dict(result, split="held-out", curve=curve[:1] + curve[2:])
    one["policies"] = {
        n: [{"method": m}] * (3 - 2 * (n == "rma")) for n, m in methods.items()
    }
    none = one | {"admission": {"value": 0.05, "low": 0.0, "high": 0.1}}
    for row, fewer in (
        ("| RMA | 0.20 (tasks 0.10, 0.30) | 0.50 (tasks 0.40, 0.60) |", one),
        ("| MAML-PPO |  | 0.50 [0.40, 0.60] |", one),
        ("| RMA | no gap | no gap |", none),
    ):
        (tmp_path / "one.json").write_text(json.dumps(fewer | {"family": "push"}))
        write_tables({**results, "one": tmp_path / "one.json"}, tmp_path)
        assert row in (tmp_path / "shares.md").read_text()
    write_tables(results, tmp_path)
    admission = (tmp_path / "admission.md").read_text()
    assert (
        "| strike | DR | 0.00 [-0.10, 0.10] | 2.00 [1.90, 2.10] | 5.00 [" in admission
    )
    assert admission.endswith("| 0.50 [0.40, 0.60] | several episodes | 3 |\n")
    for value, needs in ((0.31, "several episodes"), (0.29, "one episode")):
        share = {"value": value, "low": 0.0, "high": 1.0}
        changed = result | {"split": "held-out", "admission": share}
        results["held-out"].write_text(json.dumps(changed))
        write_tables(results, tmp_path)
        assert f"| {needs} | 3 |" in (tmp_path / "admission.md").read_text()
    details = (tmp_path / "details.md").read_text()
    assert "Success after 5 episodes (it lies in the box): random 0.00 [" in details


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

"""The README's table holds figures of the full one, which a command fills."""

from pathlib import Path

from tasks.registry import FAMILIES

ROOT = Path(__file__).parents[1]


def rows(text: str) -> list[list[str]]:
    lines = (line for line in text.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def full(page: str) -> dict[str, dict[str, list[str]]]:
    """Cells of a page's table, by family and method."""
    text = (ROOT / "docs" / page).read_text()
    table = text.split("<!-- suite:table -->")[1].split("<!-- suite:end -->")[0]
    found: dict[str, dict[str, list[str]]] = {}
    family = ""
    for name, *cells in rows(table):
        if name.startswith("**"):
            family = name.strip("*")
        found.setdefault(family, {})[name] = cells
    return found


def test_the_readmes_table_is_part_of_the_full_ones() -> None:
    known = full("results.md") | full("core.md")
    readme = (ROOT / "README.md").read_text().split("## Results")[1]
    (header, _, *shown) = rows(readme)
    assert [row[0].strip("`") for row in shown] == list(FAMILIES)
    for family, *cells in shown:
        for method, cell in zip(header[1:], cells, strict=True):
            there = known[family.strip("`")].get(method, [""])
            assert cell == there[0], (family, method)


def test_the_readmes_second_table_names_every_family() -> None:
    readme = (ROOT / "README.md").read_text().split("## The families")[1]
    listed = [row[0].strip("`") for row in rows(readme.split("## Results")[0])[2:]]
    assert listed == list(FAMILIES)

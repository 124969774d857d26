"""The house: where packages lie, how large they grow, and what no file may hold.

The layers between the packages are import-linter's, in `make check`.
"""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("robots", "tasks", "policies", "meta", "pliant")
MODULE_LINES = 300
FUNCTION_LINES = 40
# in halves, for this file is read too
HOSTS = ("pypi" + ".org", "python" + "hosted")


def modules() -> list[Path]:
    return [path for package in CODE for path in (ROOT / package).rglob("*.py")]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's place, and its lines from `def`, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node):
                first = node.body[0]
                lines -= (first.end_lineno or 0) - first.lineno + 1
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines


@pytest.mark.parametrize("package", [*CODE, "assets"])
def test_packages_are_this_checkouts(package: str) -> None:
    """A foreign distribution with a package of the same name would win silently."""
    found = importlib.import_module(package).__file__
    assert found == str(ROOT / package / "__init__.py")


def test_modules_are_within_budget() -> None:
    lines = {
        str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in modules()
    }
    assert lines
    assert {path: n for path, n in lines.items() if n > MODULE_LINES} == {}


def test_functions_are_within_budget() -> None:
    lines = dict(place for path in modules() for place in functions(path))
    assert lines
    assert {place: n for place, n in lines.items() if n > FUNCTION_LINES} == {}


FRAGMENT = re.compile(r"(Of|What|How|Who|Whoever|Whether|Nobody|Somebody|Within:)\b")
"""Beginnings of a summary line that then lacks its verb or its noun."""


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and first line of every docstring, those of attributes too."""
    for node in ast.walk(ast.parse(path.read_text())):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip().partition("\n")[0]
                case _:
                    pass


def test_summary_lines_have_a_verb_or_a_noun() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {first}"
        for package in (*CODE, "benchmarks", "examples", "assets")
        for path in (ROOT / package).rglob("*.py")
        for line, first in docstrings(path)
        if FRAGMENT.match(first)
    ]
    assert found == []


def test_tests_are_no_package() -> None:
    """`tests/robots/__init__.py` would shadow `robots`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the installer's configuration, not the project's."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to tell the project's files from others")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if (ROOT / name).is_file()]
    assert paths
    naming = [
        str(path.relative_to(ROOT))
        for path in paths
        if any(host.encode() in path.read_bytes() for host in HOSTS)
    ]
    assert naming == []

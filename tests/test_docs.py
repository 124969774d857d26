"""Every block of Python in the documents runs, and every command in them parses.

The blocks of a page run in order, in one process and an empty folder. In a page

* a block that begins with `# name.py` is a file of that name, which is written there;
* commands are parsed, and run where the line above the block is `<!-- run -->`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
    )
)
INVENTED = {
    "tasks/manipulation/swivel.py",
    "robots/arms/planar.py",
    "assets/robots/planar/",
}
"""Paths at which the guides' examples would stand."""
PATH = re.compile(
    r"`((?:pliant|meta|tasks|policies|robots|assets|tests|benchmarks|examples)"
    r"/[\w/.-]+)`"
)
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>run) -->\n)?"
    r"```(?P<kind>python|sh)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
FILE = re.compile(r"# (\w+\.py)\n")
PRELUDE = """\
import contextlib, io, sys, tyro
sys.path.insert(0, "")
from pliant.cli.main import main
class Parsed(Exception): pass
def parsed(argv):
    real = tyro.cli
    def cli(*args, **kwargs):
        real(*args, **kwargs)
        raise Parsed
    tyro.cli = cli
    try:
        assert main(argv) == 0 and len(argv) < 2, argv
    except Parsed: pass
    finally: tyro.cli = real
def ran(argv):
    assert main(argv) == 0, argv
"""
# most of the time of an evaluation goes into tuning its baselines
FEW_TASKS = (
    "import meta.evaluation.finetuned as f; f._TUNING_TASKS = 2; f.RATES = (1e-3,)\n"
)


class Block(NamedTuple):
    line: int
    mark: str
    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    assert text.count("```") % 2 == 0
    return [
        Block(
            line=text[: found.start("text")].count("\n"),
            mark=found["mark"] or "",
            kind=found["kind"],
            text=found["text"],
        )
        for found in BLOCK.finditer(text)
    ]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command, as bash splits and expands them."""
    joined = block.text.replace("\\\n", " ")
    for line in filter(
        None, (line.partition(" #")[0].strip() for line in joined.splitlines())
    ):
        if line.startswith("#"):
            continue
        words = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {line}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")[:-1]
        yield words


def program(page: str) -> str:
    """A page as one program, each block at the line that it has in the page."""
    written = PRELUDE
    if "pliant.evaluate(" in (ROOT / page).read_text():
        written += FEW_TASKS
    for block in blocks(page):
        if block.kind == "python" and (name := FILE.match(block.text)):
            written += f"open({name[1]!r}, 'w').write({block.text!r})\n"
        elif block.kind == "python":
            source = "\n" * block.line + block.text
            written += f"exec(compile({source!r}, {page!r}, 'exec'))\n"
        else:
            call = "ran" if block.mark == "run" else "parsed"
            for words in commands(block):
                if "pliant" in words:
                    argv = words[words.index("pliant") + 1 :]
                    written += f"{call}({argv!r})\n"
    return written


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)])
def test_blocks_of_a_page_run_in_order(page: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program(page)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MUJOCO_GL": "egl"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", PAGES)
def test_other_commands_of_a_page_exist(page: str) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    for words in (w for b in blocks(page) if b.kind == "sh" for w in commands(b)):
        if words[0] == "make":
            assert words[1] in targets
        elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
            place = ROOT / words[2].replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").is_file()


def test_every_block_is_recognised() -> None:
    """A mark that is misspelt, or a fence that is indented, would hide a block."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert len(blocks(page)) == len(re.findall(r"```(?:python|sh)\b", text)), page
        marks = re.findall(r"^<!-- ([a-z ]+) -->$", text, re.M)
        assert len(marks) == sum(bool(b.mark) for b in blocks(page)), (page, marks)


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    named = set(PATH.findall((ROOT / page).read_text()))
    missing = {path for path in named if not (ROOT / path).exists()}
    assert missing - INVENTED == set()

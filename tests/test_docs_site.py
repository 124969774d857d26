"""The site builds without a warning, and loads nothing from anywhere else."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|"
    r"<link\b(?=[^>]*\brel=\"?(?:stylesheet|preconnect|preload|icon))"
    r"[^>]*\bhref=\"?(?:https?:)?//|"
    r"(?:@import|url\()\s*[\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs the extra docs")
    built = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(built)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return built


def test_every_document_is_a_page(site: Path) -> None:
    written = {
        str(p.relative_to(ROOT / "docs").with_suffix(".html"))
        for p in (ROOT / "docs").rglob("*.md")
    }
    pages = {str(p.relative_to(site)) for p in site.rglob("*.html")}
    assert pages - {"404.html"} == written | {
        "index.html",
        "contributing.html",
        "changelog.html",
    }


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    files = [p for p in site.rglob("*") if p.suffix in {".html", ".css"}]
    assert files
    loading = {
        str(p.relative_to(site)): found
        for p in files
        if (found := LOADED.findall(p.read_text()))
    }
    assert loading == {}


def test_contracts_are_in_the_reference(site: Path) -> None:
    text = "".join(p.read_text() for p in (site / "api").glob("*.html"))
    for name in (
        "tasks.contract.TaskFamily.sample",
        "tasks.external.ExternalFamily.set_tasks",
        "tasks.parameters.Scalar",
        "meta.learner.Learner.adapt",
        "robots.sim.simulator.Simulator.assign",
        "policies.mlp.MlpPolicy",
    ):
        assert f'id="{name}"' in text

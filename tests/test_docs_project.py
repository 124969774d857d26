"""The files around the code name one version, and hooks and CI run what exists."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_citation_and_changelog_name_the_packages_version_and_date() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(
        r"^## \[(\d[^]]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    cited = dict(
        re.findall(
            r'^(version|date-released): "?([^"\n]+)"?$',
            (ROOT / "CITATION.cff").read_text(),
            re.M,
        )
    )
    assert released[0] == (version, cited["date-released"])
    assert cited["version"] == version


def test_hooks_and_ci_run_targets_and_scripts_that_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    named = re.findall(r"entry: make (\w+)", hooks)
    assert named
    assert set(named) <= set(targets)
    scripts = re.findall(
        r"run: bash (\S+)", (ROOT / ".github/workflows/ci.yml").read_text()
    )
    assert scripts == [".ci/run"]
    assert (ROOT / scripts[0]).is_file()

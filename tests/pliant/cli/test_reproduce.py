"""`pliant reproduce`: its table, and a run that goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

import meta.recipes.promp
from meta.recipes.promp import promp_config
from meta.training.config import TrainCfg
from pliant.cli.main import main
from pliant.cli.reproduce import table


def test_returns_are_means_of_the_last_ten_iterations() -> None:
    rows = [
        {"env_steps": 160_000.0 * n, "return_pre": -n, "return_post": 2.0 * n}
        for n in range(1, 56)
    ]
    lines = table(rows, promp_config(7)).splitlines()
    assert lines[0] == "cheetah-direction, seed 7: return of sampled actions"
    # iterations 41 to 50, then 46 to 55
    assert [line.split() for line in lines[2:]] == [
        ["8.0", "M", "-45.5", "91.0"],
        ["8.8", "M", "-50.5", "101.0"],
    ]
    assert len(table([], promp_config(0)).splitlines()) == 2


def test_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def small(seed: int, device: str, threads: int) -> TrainCfg:
        cfg = replace(promp_config(seed, device, threads), tasks=2, episodes=2)
        return replace(cfg, device="cpu")

    monkeypatch.setattr(meta.recipes.promp, "promp_config", small)
    out = ["--out", str(tmp_path / "run"), "--threads", "1", "--device", "cpu"]
    for iterations in ("1", "2"):
        assert not main(
            ["reproduce", "cheetah-direction", *out, "--iterations", iterations]
        )
    said = capsys.readouterr().out
    assert said.count("return of sampled actions") == 2
    assert "254 to 268 after 211" in said
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2
